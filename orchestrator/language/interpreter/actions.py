"""Actions: rendered and validated before anything is sent, tried as often as the playbook says."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.contract import Capability, Effect
from orchestrator.errors import ExpressionError, FailureKind
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import compile_value
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    ApprovalRequest,
    Joined,
    StepError,
    StepStatus,
    Wanted,
)
from orchestrator.language.interpreter.ends import StepFailed, invalid, leave_if_cancelled, settled
from orchestrator.language.interpreter.run import Run, plainly
from orchestrator.language.interpreter.scope import Path, Scope, State, told
from orchestrator.language.model import ActionStep, Retry, Until
from orchestrator.language.outputs import all_routes_of

READS = Retry(attempts=3)
WRITES = Retry(attempts=1)
DEMANDED = "~approval"
"""stands in the path of an approval that the site demands, before the step that it is about"""
FIRST_LOOK = 1.0
LONGEST_LOOK = 60.0
"""seconds until what waits looks again whether it may go on: each time twice as many"""
TIMEOUT = "30s"
"""of one attempt, where the step does not say"""


async def action(run: Run, name: str, step: ActionStep, here: Path, scope: Scope) -> State:
    """Call the capability, as it was shown where people were asked about it."""
    call = _call(run, name, step, here, scope)
    capability = run.capabilities[step.action]
    retry = step.retry or (READS if capability.effect is Effect.READ else WRITES)
    outcome = await _attempts(run, here, scope, call, retry)
    if outcome.error is not None:
        raise StepFailed(name, outcome.error)
    if outcome.output is None:
        return told(outcome.status, run.default(step))
    _note_case(run, step, outcome)
    return told(outcome.status, _gives(capability, step).model_validate(outcome.output))


def _call(run: Run, name: str, step: ActionStep, here: Path, scope: Scope) -> ActionCall:
    """What is sent: as it was tried before, as it was shown, or rendered now."""
    tried = run.progress.marks.get((*here, "@attempts"))
    behind = tried or run.progress.marks.get((*here, "@above"))
    if behind is not None:
        return ActionCall.model_validate(behind["call"])
    covered = run.progress.covered.get(here)
    if covered is not None and covered.call is not None:
        return covered.call.model_copy(update={"approval": covered.decision.approval})
    return call_for(run, name, step, here, scope)


def _gives(capability: Capability[Any, Any], step: ActionStep) -> Any:
    return all_routes_of(capability) if step.all_routes else capability.gives


def _note_case(run: Run, step: ActionStep, outcome: ActionOutcome) -> None:
    """The first ticket that a run opens is its case."""
    if step.action == "ticket.open" and run.case is None and outcome.output:
        run.progress.case = str(outcome.output["id"])


def call_for(run: Run, name: str, step: ActionStep, here: Path, scope: Scope) -> ActionCall:
    """The step's call, rendered and validated; raises `StepFailed` before anything is sent."""
    capability = run.capabilities.get(step.action)
    if capability is None:
        raise invalid(name, f"no action {step.action}")
    given = run.render(name, step.with_, scope)
    try:
        wanted = {word: value for word, value in given.items() if value is not None}
        parameters = capability.takes.model_validate(wanted).model_dump(mode="json")
    except ValidationError as error:
        raise invalid(name, plainly(error)) from None
    return ActionCall(
        step=name,
        path=here,
        action=step.action,
        parameters=parameters,
        expires=_lasts(run, name, step, scope),
        keep=step.keep,
        optional=step.optional,
        unattended=step.unattended,
        all_routes=step.all_routes,
        verified=step.verify == "wait",
        timeout=parse_duration(step.timeout or TIMEOUT).total_seconds(),
        summary=step.name or "",
        seen=_joined(run).count,
    )


def _joined(run: Run) -> Joined:
    return run.host.joined()


def _lasts(run: Run, name: str, step: ActionStep, scope: Scope) -> float | None:
    """How long the effect lasts, in seconds."""
    if not isinstance(step.for_, Until):
        return parse_duration(step.for_).total_seconds() if step.for_ else None
    try:
        value = compile_value(step.for_.value).value(run.names(scope))
    except ExpressionError as error:
        raise invalid(name, f"for: {error}") from None
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise invalid(name, "for: the value is no duration; write it as `24 | hours`")
    return min(value, parse_duration(step.for_.at_most)).total_seconds()


async def _attempts(run: Run, here: Path, scope: Scope, call: ActionCall, retry: Retry) -> ActionOutcome:
    """The first attempt that does not fail, or the last one's failure."""
    while True:
        behind = run.progress.marks.get((*here, "@attempts"), {"made": 0, "pause": in_seconds(retry.backoff)})
        if behind["made"]:
            await run.sleep_until(behind["again"])
        attempt = behind["made"] + 1
        outcome = await _attempt(run, here, scope, call.model_copy(update={"attempt": attempt}))
        run.host.seen(outcome.seen)
        if outcome.error is None or attempt == retry.attempts or not _may_mend(outcome.error, retry):
            return outcome
        pause = timedelta(seconds=max(behind["pause"], outcome.error.retry_after or 0.0))
        run.progress.marks[(*here, "@attempts")] = {
            "made": attempt, "again": run.host.now() + pause, "call": call.model_dump(mode="json"),
            "pause": min(behind["pause"] * 2, in_seconds(retry.max_backoff)),
        }  # fmt: skip
        leave_if_cancelled()


async def _attempt(run: Run, here: Path, scope: Scope, call: ActionCall) -> ActionOutcome:
    """One attempt; asked for again and again while it is halted, above a budget, or waits for its target."""
    pause = FIRST_LOOK
    while True:
        await run.host.ready()
        leave_if_cancelled()
        outcome = await settled(run.host.act(call, run.take_traces()))
        run.host.halted(here, outcome.waits, above=outcome.above is not None)
        if outcome.wanted is not None:
            call = await _approved(run, here, scope, call, outcome.wanted)
            continue
        if not outcome.waits:
            return outcome
        if outcome.above is not None:
            await _above(run, here, scope, call)
            continue
        told = outcome.error.retry_after if outcome.error else None
        await _halted(run, here, scope, pause if told is None else min(told, LONGEST_LOOK))
        pause = min(pause * 2, LONGEST_LOOK)


async def _above(run: Run, here: Path, scope: Scope, call: ActionCall) -> None:
    """Wait as long again as it has waited; the next item of the loop goes on meanwhile.

    What people are asked about is what is sent: it is not rendered again where the run goes on elsewhere.
    """
    now = run.host.now()
    since = run.once(here, "above", lambda: {"since": now, "call": call.model_dump(mode="json")})["since"]
    waited = (now - since) / timedelta(seconds=1)
    async with scope.place.left() if scope.place else contextlib.nullcontext():
        await _halted(run, here, scope, min(max(waited, FIRST_LOOK), LONGEST_LOOK))


async def _approved(run: Run, here: Path, scope: Scope, call: ActionCall, wanted: Wanted) -> ActionCall:
    """The call as people approved it, because the site demands that; fails the step where they did not."""
    path = (*here[:-1], DEMANDED, here[-1])
    since = run.once(path, "asked", run.host.now)
    request = ApprovalRequest(
        step=call.step, path=path, ask=f"{call.action}: {wanted.line}", calls=(call,), group=wanted.group,
        count=wanted.count, deadline=since + timedelta(seconds=wanted.within), otherwise=wanted.otherwise,
        demanded=wanted.key,
    )  # fmt: skip
    await run.host.ready()
    leave_if_cancelled()
    with scope.uncounted(run.host.now):
        decision = await run.host.ask(request, run.take_traces())
    leave_if_cancelled()
    if decision.status is StepStatus.SUCCEEDED:
        return call.model_copy(update={"approval": decision.approval})
    said = f"{decision.status} by {decision.by}" if decision.by else decision.note or "nobody answered in time"
    message = f"the policy demands an approval ({wanted.line}): {said}"
    raise StepFailed(call.step, StepError(kind=FailureKind.REFUSED_BY_POLICY, message=message))


async def _halted(run: Run, here: Path, scope: Scope, pause: float) -> None:
    """Wait so long; that time is not counted against what the step stands in."""
    try:
        leave_if_cancelled()
        with scope.uncounted(run.host.now):
            await run.sleep_until(run.host.now() + timedelta(seconds=pause))
    except asyncio.CancelledError:
        run.host.halted(here, "")
        raise


def in_seconds(duration: str) -> float:
    """A duration as a number."""
    return parse_duration(duration).total_seconds()


def _may_mend(error: StepError, retry: Retry) -> bool:
    return not error.kind.never_retried and (retry.on is None or FailureKind(error.kind) in retry.on)


__all__ = ["StepStatus", "action", "call_for"]

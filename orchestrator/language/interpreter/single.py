"""Steps of their own: wait, set, undo, stop, and a sub-playbook."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from orchestrator.alerts.alert import Alert
from orchestrator.errors import ExpressionError, FailureKind
from orchestrator.language.expressions import compile_condition, compile_value
from orchestrator.language.expressions.compare import in_utc
from orchestrator.language.host import Joined, StepError, StepStatus, SubCall, SubOutcome, UndoCall
from orchestrator.language.interpreter.ends import RunStopped, StepFailed, invalid, leave_if_cancelled, settled
from orchestrator.language.interpreter.run import Run
from orchestrator.language.interpreter.scope import Path, Scope, State, told
from orchestrator.language.model import PlaybookStep, SetStep, StopStep, UndoStep, WaitStep
from orchestrator.language.packing import NotPacked, Packer

MOST_PASSED = 1_000_000
"""bytes of the inputs of a sub-playbook, or of outputs; Temporal refuses payloads above 2 MB"""


async def set_(run: Run, name: str, step: SetStep, here: Path, scope: Scope) -> State:
    """Give names to values; all are read before the first is given."""
    scope.vars.update(run.typed(name, step.set, scope, "set"))
    return told(StepStatus.SUCCEEDED)


async def stop(run: Run, name: str, step: StopStep, here: Path, scope: Scope) -> State:
    """End the run."""
    message = str(run.render(name, step.message, scope, "message"))
    raise RunStopped(name, success=step.stop == "success", message=message)


async def undo(run: Run, name: str, step: UndoStep, here: Path, scope: Scope) -> State:
    """Release the run's hold on what these steps did."""
    await run.host.ready()
    leave_if_cancelled()
    call = UndoCall(step=name, path=here, steps=step.undo)
    outcome = await settled(run.host.undo(call, run.take_traces()))
    if outcome.error is not None:
        raise StepFailed(name, outcome.error)
    return told(StepStatus.SUCCEEDED)


async def wait(run: Run, name: str, step: WaitStep, here: Path, scope: Scope) -> State:
    """Wait for a time, a moment, or an alert."""
    if step.wait.for_:
        await run.sleep_until(run.deadline(here, step.wait.for_))
        return told(StepStatus.SUCCEEDED)
    if step.wait.until:
        await run.sleep_until(run.once(here, "until", lambda: _moment(run, name, step, scope)))
        return told(StepStatus.SUCCEEDED)
    found = await _alert(run, name, step, here, scope)
    if found is None:
        run.saw(step, "expired")
    return told(StepStatus.SUCCEEDED if found else StepStatus.EXPIRED, found or run.default(step))


def _moment(run: Run, name: str, step: WaitStep, scope: Scope) -> datetime:
    try:
        value = compile_value(str(step.wait.until)).value(run.names(scope))
    except ExpressionError as error:
        raise invalid(name, f"until: {error}") from None
    if not isinstance(value, datetime):
        raise invalid(name, "until: the value is no time; write it as `alert.time + (2 | hours)`")
    return in_utc(value)


async def _alert(run: Run, name: str, step: WaitStep, here: Path, scope: Scope) -> Alert | None:
    """The first alert since the last one given for which the condition holds; none in time."""
    deadline = run.deadline(here, str(step.wait.within))
    place = run.once(here, "from", lambda: run.progress.given)
    while True:
        joined = run.host.joined()
        found, place = _fitting(run, name, step, here, scope, joined, place)
        run.host.seen(joined.count)
        left = (deadline - run.host.now()).total_seconds()
        if found is not None or left <= 0:
            return found
        more = asyncio.ensure_future(run.host.joining(joined.count))
        try:
            await asyncio.wait((more,), timeout=left)
        except asyncio.CancelledError:
            more.cancel()
            raise
        more.cancel()


def _fitting(
    run: Run, name: str, step: WaitStep, here: Path, scope: Scope, joined: Joined, place: int
) -> tuple[Alert | None, int]:
    """The alert, and the place of the next one to look at. Only an alert that is given is behind other waits too.

    An error in the condition is recorded, and the alert is not the one.
    """
    known = {**dict(enumerate(joined.alerts)), **dict(joined.latest)}
    condition = compile_condition(str(step.wait.alert))
    for one in sorted(known):
        if one < place:
            continue
        joining = Alert.model_validate(known[one])
        reason = condition.explain({**run.names(scope), "joining": joining})
        if reason.holds:
            run.progress.given = max(run.progress.given, one + 1)
            run.trace("step.decided", name, here[:-1], {"alert": joining.key, "values": reason.values})
            return joining, one + 1
        if reason.error:
            error = invalid(name, f"alert: {reason.error}").error
            run.trace("step.decided", name, here[:-1], {"alert": joining.key, "error": error.model_dump(mode="json")})
    return None, joined.count


async def playbook(run: Run, name: str, step: PlaybookStep, here: Path, scope: Scope) -> State:
    """Run a sub-playbook; its failure is this step's."""
    count = run.once(here, "joined", lambda: run.host.joined().count)
    call = SubCall.model_validate(run.once(here, "call", lambda: _call(run, name, step, here, scope)))
    await run.host.ready()
    leave_if_cancelled()
    outcome = await _called(run, call, here)
    run.host.seen(count)
    if outcome.error is not None:
        leave_if_cancelled()  # it ended because this had to end: that is no failure of its own
        raise StepFailed(name, outcome.error)
    output = run.default(step) if step.detach else _outputs(name, run.packer, outcome.outputs)
    return told(outcome.status, output)


async def _called(run: Run, call: SubCall, here: Path) -> SubOutcome:
    """How it ended. While it is waited for, that is known of it."""
    call = call.model_copy(update={"begun": here in run.progress.called})
    if not call.detach:
        run.progress.called[here] = call.model_copy(update={"inputs": {}})  # its id is what it is found by
    outcome = await run.host.call(call, run.take_traces())
    run.progress.called.pop(here, None)
    return outcome


def _call(run: Run, name: str, step: PlaybookStep, here: Path, scope: Scope) -> dict[str, Any]:
    """What is called, as plain data."""
    severity = run.severity(run.host.joined())
    call = SubCall(
        step=name,
        path=here,
        playbook=step.playbook,
        inputs=packed(name, run.packer, run.typed(name, step.with_, scope, "with")),
        severity=str(severity) if severity else "informational",
        case=run.case,
        detach=step.detach,
    )
    return call.model_dump(mode="json")


def packed(name: str, packer: Packer, values: Mapping[str, Any]) -> dict[str, Any]:
    """What goes from one run to another; fails the step where Temporal would take it from neither."""
    made: dict[str, Any] = packer.pack(values)
    try:
        size = len(orjson.dumps(made))
    except TypeError as error:
        raise invalid(name, f"it holds what JSON cannot say: {error}") from None
    if size > MOST_PASSED:
        raise invalid(name, f"{size} bytes, and {MOST_PASSED} can be passed on between runs")
    return made


def _outputs(name: str, packer: Packer, packed: Mapping[str, Any]) -> Any:
    try:
        return packer.unpack(dict(packed))
    except NotPacked as error:
        raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=str(error))) from None

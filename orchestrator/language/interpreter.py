"""Runs a playbook in whatever world it is handed: the Temporal workflow and the simulator use the same lines.

No clock, randomness or I/O of its own, and no order that depends on a set or a race: replay must come out the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field, ValidationError

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability, Effect
from orchestrator.errors import ExpressionError, FailureKind
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import compile_condition, compile_template, compile_tree
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    ApprovalRequest,
    Decision,
    Host,
    Record,
    StepError,
    StepStatus,
    Trace,
)
from orchestrator.language.model import ActionStep, ApprovalStep, DoStep, ParallelStep, Retry, Step
from orchestrator.language.program import Playbook, every_step

Capabilities = Mapping[str, Capability[Any, Any]]
READS = Retry(attempts=3)
WRITES = Retry(attempts=1)


class StepFailed(Exception):
    """A step failed and its `on_error` says that this is the end of what it stands in."""

    def __init__(self, step: str, error: StepError) -> None:
        self.step = step
        self.error = error
        super().__init__(step, error)


class RunStopped(StepFailed):
    """Somebody ended the run: no `on_error` goes past this."""

    def __init__(self, step: str) -> None:
        super().__init__(step, StepError(kind=FailureKind.REFUSED_BY_POLICY, message="the run was cancelled"))


class RunResult(Record):
    """How a run ended. `traces` are what no action carried to the audit yet."""

    status: StepStatus
    failed_step: str | None = None
    error: StepError | None = None
    steps: dict[str, StepStatus] = Field(default={})
    traces: tuple[Trace, ...] = ()


async def run_playbook(playbook: Playbook, alert: Alert | None, host: Host, capabilities: Capabilities) -> RunResult:
    """Run all steps, then `on_failure` where one failed; never raises for a failure of a step."""
    run = _Run(playbook, alert, host, capabilities)
    failure: StepFailed | None = None
    try:
        await run.all(playbook.model.steps, (), run.steps)
    except StepFailed as failed:
        failure = run.failure = failed
        host.clean_up()
        try:
            await run.all(playbook.model.on_failure, ("on_failure",), run.steps)
        except StepFailed as again:
            run.trace("on_failure.failed", again.step, ("on_failure",), {"error": again.error.model_dump(mode="json")})
    return RunResult(
        status=StepStatus.FAILED if failure else StepStatus.SUCCEEDED,
        failed_step=failure.step if failure else None,
        error=failure.error if failure else None,
        steps={name: state["status"] for name, state in run.steps.items()},
        traces=run.take_traces(),
    )


Steps = dict[str, dict[str, Any]]
"""What `steps.<id>` reads: status, ok, failed, and output and error where there are any."""


class _Run:
    """The state of one run."""

    def __init__(self, playbook: Playbook, alert: Alert | None, host: Host, capabilities: Capabilities) -> None:
        self.playbook = playbook
        self.host = host
        self.capabilities = capabilities
        self.steps: Steps = {}
        self.failure: StepFailed | None = None
        self.decisions: dict[str, Decision] = {}
        self.rendered: dict[str, ActionCall | None] = {}
        self._alert = alert
        self._traces: list[Trace] = []
        self._by_id = {step.id: step for step in every_step(playbook.model.steps) if step.id}

    async def all(self, steps: tuple[Step, ...], path: tuple[str, ...], seen: Steps) -> None:
        """One after the other; raises `StepFailed` at the first that ends the list."""
        for name, step in named(steps):
            await self.one(name, step, path, seen)

    async def one(self, name: str, step: Step, path: tuple[str, ...], seen: Steps) -> None:
        """One step from its condition to its end."""
        if self.host.stopped:
            raise RunStopped(name)
        self.host.show(step.name or name)
        try:
            if not self._wanted(name, step, path, seen):
                return
            state = await _RUNNERS[type(step)](self, name, step, (*path, name), seen)
        except StepFailed as failed:
            state = await self._failed(name, step, path, seen, failed)
        seen[name] = state
        self.trace("step.ended", name, path, {"status": state["status"]})

    def _wanted(self, name: str, step: Step, path: tuple[str, ...], seen: Steps) -> bool:
        """Whether the step runs; decided when an approval was asked for what that covers."""
        if name in self.rendered:
            decision = self.decisions[name]
            if decision.status is StepStatus.SUCCEEDED and self.rendered[name] is not None:
                self.trace("step.started", name, path, {"approval": decision.approval})
                return True
            reason = {"approval": decision.status} if self.rendered[name] is not None else {"when": False}
        else:
            looked = self.host.joined().count
            holds, reason = self.gate(name, step, seen)
            if holds:
                self.trace("step.started", name, path, reason)
                return True
            self.host.seen(looked)
        seen[name] = told(StepStatus.SKIPPED, step.default)
        self.trace("step.ended", name, path, {"status": StepStatus.SKIPPED, **reason})
        return False

    def gate(self, name: str, step: Step, seen: Steps) -> tuple[bool, dict[str, Any]]:
        """`when` and `unless`, with the values that they read; an error in them fails the step."""
        holds, told_of = True, {}
        for word, source, wanted in (("when", step.when, True), ("unless", step.unless, False)):
            if source is None:
                continue
            reason = compile_condition(source).explain(self.names(seen))
            if reason.error:
                raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=f"{word}: {reason.error}"))
            told_of[word] = {"condition": source, "holds": reason.holds, "values": reason.values}
            holds = holds and reason.holds is wanted
        return holds, told_of

    async def _failed(
        self, name: str, step: Step, path: tuple[str, ...], seen: Steps, failed: StepFailed
    ) -> dict[str, Any]:
        """What `on_error` makes of a failure; raises again where it is the end."""
        state = told(StepStatus.FAILED, step.default, failed.error)
        if self.host.stopped and not isinstance(failed, RunStopped):
            failed = RunStopped(name)
        if step.on_error == "fail" or isinstance(failed, RunStopped):
            seen[name] = state
            error = failed.error.model_dump(mode="json")
            self.trace("step.ended", name, path, {"status": StepStatus.FAILED, "error": error})
            raise failed
        if not isinstance(step.on_error, str):
            seen[name] = state
            await self.all(step.on_error, (*path, name, "on_error"), seen)
        return state

    def names(self, seen: Steps) -> dict[str, Any]:
        """What expressions may read now."""
        joined, context = self.host.joined(), self.host.context
        return {
            "alert": self._alert,
            "joined": joined.alerts,
            "joined_count": joined.count,
            "steps": seen,
            "vars": {},
            "now": self.host.now(),
            "run": {
                "playbook": context.playbook,
                "id": context.run,
                "mode": context.mode,
                "requester": context.requester,
                "severity": joined.severity or (str(self._alert.severity) if self._alert else None),
                "failed_step": self.failure.step if self.failure else None,
                "error": self.failure.error.model_dump(mode="json") if self.failure else None,
            },
        }

    def trace(self, kind: str, step: str, path: tuple[str, ...], body: dict[str, Any]) -> None:
        """Note a decision for the audit; `path` leads to what the step stands in."""
        self._traces.append(Trace(at=self.host.now(), type=kind, step=step, path=path, body=body))

    def take_traces(self) -> tuple[Trace, ...]:
        """What was noted since the last time."""
        taken, self._traces = tuple(self._traces), []
        return taken

    def call_for(self, name: str, step: ActionStep, path: tuple[str, ...], seen: Steps) -> ActionCall:
        """The step's call, rendered and validated; raises `StepFailed` before anything is sent."""
        names = self.names(seen)
        try:
            given = compile_tree(step.with_).render(names)
            given = {word: value for word, value in given.items() if value is not None}
            parameters = self.capabilities[step.action].takes.model_validate(given).model_dump(mode="json")
        except ExpressionError as error:
            raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=str(error))) from None
        except KeyError:
            raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=f"no action {step.action}")) from None
        except ValidationError as error:
            raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=_plainly(error))) from None
        return ActionCall(
            step=name,
            path=path,
            action=step.action,
            parameters=parameters,
            expires=parse_duration(step.for_).total_seconds() if step.for_ else None,
            keep=step.keep,
            optional=step.optional,
            unattended=step.unattended,
            timeout=parse_duration(step.timeout).total_seconds(),
            summary=step.name or "",
            seen=names["joined_count"],
        )

    def covered(self, approval: ApprovalStep, path: tuple[str, ...], seen: Steps) -> list[ActionCall]:
        """The calls that an approval covers, rendered once: what is shown is what will be sent."""
        calls = []
        for name in approval.approval.covers:
            step = self._by_id[name]
            assert isinstance(step, ActionStep)  # noqa: S101 - the checker lets nothing else be covered
            holds, _ = self.gate(name, step, seen)
            self.rendered[name] = self.call_for(name, step, self._path_of(name), seen) if holds else None
            calls += [call] if (call := self.rendered[name]) else []
        return calls

    def _path_of(self, wanted: str) -> tuple[str, ...]:
        """The path of ids to a step, as it will be when the step runs."""

        def search(steps: tuple[Step, ...], path: tuple[str, ...]) -> tuple[str, ...] | None:
            for name, step in named(steps):
                if name == wanted:
                    return (*path, name)
                inner = step.parallel if isinstance(step, ParallelStep) else step.do if isinstance(step, DoStep) else ()
                found = search(inner, (*path, name))
                if found:
                    return found
            return None

        return search(self.playbook.model.steps, ()) or (wanted,)


def named(steps: tuple[Step, ...]) -> list[tuple[str, Step]]:
    """Each step with its id; one without gets its kind and which of that kind it is, so that ledger keys last."""
    counts: dict[str, int] = {}
    listed = []
    for step in steps:
        kind = step.action if isinstance(step, ActionStep) else type(step).__name__.removesuffix("Step").lower()
        counts[kind] = counts.get(kind, 0) + (0 if step.id else 1)
        listed.append((step.id or f"{kind}#{counts[kind]}", step))
    return listed


def told(status: StepStatus, output: Any = None, error: StepError | None = None) -> dict[str, Any]:
    """A step as later expressions see it."""
    state: dict[str, Any] = {"status": str(status), "ok": status.ok, "failed": status is StepStatus.FAILED}
    if output is not None:
        state["output"] = output
    if error is not None:
        state["error"] = error.model_dump(mode="json")
    return state


async def _action(run: _Run, name: str, step: Any, path: tuple[str, ...], seen: Steps) -> dict[str, Any]:
    call = run.rendered.get(name)
    if call is not None:
        call = call.model_copy(update={"approval": run.decisions[name].approval})
    else:
        call = run.call_for(name, step, path, seen)
    capability = run.capabilities[step.action]
    retry = step.retry or (READS if capability.effect is Effect.READ else WRITES)
    outcome = await _attempts(run, call, retry)
    if outcome.error is not None:
        raise StepFailed(name, outcome.error)
    if outcome.output is None:
        return told(outcome.status, step.default)
    return told(outcome.status, capability.gives.model_validate(outcome.output))


async def _attempts(run: _Run, call: ActionCall, retry: Retry) -> ActionOutcome:
    """The first attempt that does not fail, or the last one's failure."""
    pause = parse_duration(retry.backoff).total_seconds()
    longest = parse_duration(retry.max_backoff).total_seconds()
    for attempt in range(1, retry.attempts + 1):
        outcome = await run.host.act(call.model_copy(update={"attempt": attempt}), run.take_traces())
        run.host.seen(outcome.seen)
        error = outcome.error
        if error is None or error.kind.never_retried or (retry.on is not None and error.kind not in retry.on):
            return outcome
        if attempt < retry.attempts and not run.host.stopped:
            await run.host.sleep(max(pause, error.retry_after or 0.0))
            pause = min(pause * 2, longest)
    return outcome


async def _approval(run: _Run, name: str, step: Any, path: tuple[str, ...], seen: Steps) -> dict[str, Any]:
    asked = step.approval
    calls = run.covered(step, path, seen)
    if not calls:  # none of the steps would run: there is nothing to ask
        decision = Decision(status=StepStatus.SKIPPED)
    else:
        shown = run.host.joined().count
        decision = await run.host.ask(_request(run, name, step, path, calls, seen), run.take_traces())
        run.host.seen(shown)
    for covered in asked.covers:
        run.decisions[covered] = decision
    if decision.status is StepStatus.FAILED:
        raise StepFailed(
            name, StepError(kind=FailureKind.REFUSED_BY_POLICY, message=decision.note or "nobody answered in time")
        )
    return told(decision.status, decision.model_dump(mode="json", include={"by", "at", "trust", "note", "auto"}))


def _request(
    run: _Run, name: str, step: Any, path: tuple[str, ...], calls: list[ActionCall], seen: Steps
) -> ApprovalRequest:
    asked, names, auto = step.approval, run.names(seen), None
    if asked.auto:
        reason = compile_condition(asked.auto).explain(names)
        if reason.holds:
            auto = {"condition": asked.auto, "values": reason.values}
    try:
        question = str(compile_template(asked.ask).render(names))
    except ExpressionError as error:
        raise StepFailed(name, StepError(kind=FailureKind.INVALID, message=f"ask: {error}")) from None
    within = parse_duration(asked.within).total_seconds()
    return ApprovalRequest(
        step=name,
        path=path,
        ask=question,
        calls=tuple(calls),
        group=asked.by.group,
        count=asked.by.count,
        deadline=run.host.now() + timedelta(seconds=within),
        otherwise=asked.otherwise,
        auto_reason=auto,
    )


async def _parallel(run: _Run, name: str, step: Any, path: tuple[str, ...], seen: Steps) -> dict[str, Any]:
    """All branches finish; the first failure in the order of the list is the step's."""
    branches = named(step.parallel)
    views: list[Steps] = [dict(seen) for _ in branches]
    work: list[Awaitable[None]] = [
        run.one(branch, inner, path, view) for (branch, inner), view in zip(branches, views, strict=True)
    ]
    results = await asyncio.gather(*work, return_exceptions=True)
    for view in views:
        seen.update(view)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return told(StepStatus.SUCCEEDED)


async def _do(run: _Run, name: str, step: Any, path: tuple[str, ...], seen: Steps) -> dict[str, Any]:
    await run.all(step.do, path, seen)
    return told(StepStatus.SUCCEEDED)


Runner = Callable[[_Run, str, Any, tuple[str, ...], Steps], Awaitable[dict[str, Any]]]
_RUNNERS: dict[type[Any], Runner] = {
    ActionStep: _action,
    ApprovalStep: _approval,
    ParallelStep: _parallel,
    DoStep: _do,
}


def _plainly(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    )

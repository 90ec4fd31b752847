"""Runs a playbook in whatever world it is handed: the Temporal workflow and the simulator use the same lines.

No clock, randomness or I/O of its own, and no order that depends on a set or a race: replay must come out the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from orchestrator.alerts.alert import Alert
from orchestrator.errors import FailureKind
from orchestrator.language.host import Host, Record, StepError, StepStatus, Trace, UndoCall
from orchestrator.language.interpreter import actions, containers, people, single
from orchestrator.language.interpreter.ends import RunStopped, StepFailed
from orchestrator.language.interpreter.progress import Ended, Progress
from orchestrator.language.interpreter.run import Capabilities, Observer, Run, Runner, cut
from orchestrator.language.interpreter.scope import Scope
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    AskStep,
    DoStep,
    ForEachStep,
    IfStep,
    ParallelStep,
    PlaybookStep,
    RepeatStep,
    SetStep,
    StopStep,
    SwitchStep,
    UndoStep,
    WaitStep,
)
from orchestrator.language.program import Playbook

RUNNERS: Mapping[type[Any], Runner] = {
    ActionStep: actions.action,
    ApprovalStep: people.approval,
    AskStep: people.ask,
    PlaybookStep: single.playbook,
    ParallelStep: containers.parallel,
    DoStep: containers.do,
    ForEachStep: containers.for_each,
    IfStep: containers.if_,
    SwitchStep: containers.switch,
    RepeatStep: containers.repeat,
    WaitStep: single.wait,
    SetStep: single.set_,
    UndoStep: single.undo,
    StopStep: single.stop,
}


class RunResult(Record):
    """How a run ended; its outputs are packed. `traces` are what no action carried to the audit yet."""

    status: StepStatus
    failed_step: str | None = None
    error: StepError | None = None
    message: str = ""
    outputs: dict[str, Any] = Field(default={})
    steps: dict[str, StepStatus] = Field(default={})
    traces: tuple[Trace, ...] = ()


def begin(
    playbook: Playbook,
    host: Host,
    capabilities: Capabilities,
    *,
    alert: Alert | None = None,
    inputs: Mapping[str, Any] | None = None,
    site: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Run:
    """A run that has not done anything yet; with `progress`, one that goes on from there.

    `site` holds `lists` and `calendars` as expressions read them. Hand it to `carry_out`.
    """
    return Run(
        playbook,
        host,
        capabilities,
        RUNNERS,
        alert=alert,
        inputs=inputs or {},
        site=site or {"lists": {}, "calendars": {}},
        progress=progress or Progress(),
        observer=observer,
    )


async def carry_out(run: Run) -> RunResult:
    """Run all steps; where one failed, undo if the playbook wants that, then `on_failure`. A failure is a result."""
    if run.progress.run is None:
        try:
            return await _carried_out(run)
        except StepFailed as failed:
            run.fail(failed)
    run.recall_failure()
    run.host.clean_up()
    if run.playbook.model.undo_on_failure:
        await _undo_all(run)
    try:
        await run.all(run.playbook.model.on_failure, ("on_failure",), run.scope)
    except StepFailed as again:
        body = {"error": again.error.model_dump(mode="json")}
        run.trace("on_failure.failed", again.step, ("on_failure",), body)
    except RunStopped:
        pass  # the end of `on_failure`, since the run has ended already
    return _result(run, StepStatus.FAILED)


async def _carried_out(run: Run) -> RunResult:
    """What came of it where nothing failed."""
    model = run.playbook.model
    message = await _steps(run)
    run.none_reached(model.steps, Scope(), run.scope)  # a `stop` may have come before
    outputs = single.packed("outputs", run.packer, run.typed("outputs", model.outputs, run.scope, "outputs"))
    return _result(run, StepStatus.SUCCEEDED, message=message, outputs=outputs)


async def _steps(run: Run) -> str:
    """The steps to their end, or to a `stop`; somebody who ends the run fails it where it stands."""
    work = asyncio.ensure_future(run.all(run.playbook.model.steps, (), run.scope))
    stopping = asyncio.ensure_future(run.host.stopping())
    await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        run.ending = True
        await cut(work)
    await run.leave_nothing(())
    try:
        work.result()
    except RunStopped as end:
        if end.success:
            return end.message
        message = end.message or "the playbook says so"
        raise StepFailed(end.step, StepError(kind=FailureKind.REJECTED, message=message)) from None
    except asyncio.CancelledError:
        cancelled = StepError(kind=FailureKind.REFUSED_BY_POLICY, message="the run was cancelled")
        raise StepFailed(run.cut_at or "", run.given_up or cancelled) from None
    return ""


async def _undo_all(run: Run) -> None:
    """Release all holds of the run, in reverse; once."""
    here = ("undo_on_failure",)
    if here in run.progress.ended:
        return
    await run.host.ready()
    outcome = await run.host.undo(UndoCall(step="undo_on_failure", path=here), run.take_traces())
    if outcome.error is not None:
        body = {"error": outcome.error.model_dump(mode="json")}
        run.trace("undo_on_failure.failed", "undo_on_failure", here, body)
    run.progress.ended[here] = Ended({})


def _result(
    run: Run, status: StepStatus, *, message: str = "", outputs: dict[str, Any] | None = None
) -> RunResult:  # fmt: skip
    failure = run.failure
    return RunResult(
        status=status,
        failed_step=failure.step if failure else None,
        error=failure.error if failure else None,
        message=message,
        outputs=outputs or {},
        steps={name: state["status"] for name, state in run.scope.steps.items()},
        traces=run.take_traces(),
    )


async def run_playbook(
    playbook: Playbook,
    alert: Alert | None,
    host: Host,
    capabilities: Capabilities,
    *,
    inputs: Mapping[str, Any] | None = None,
    site: Mapping[str, Any] | None = None,
) -> RunResult:
    """`begin` and `carry_out` in one."""
    return await carry_out(begin(playbook, host, capabilities, alert=alert, inputs=inputs, site=site))


__all__ = ["Capabilities", "Observer", "Progress", "Run", "RunResult", "begin", "carry_out", "run_playbook"]

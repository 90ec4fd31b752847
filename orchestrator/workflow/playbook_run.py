"""The workflow: one dynamic definition, whose type name in Temporal is the playbook's name.

Nothing here may depend on anything but its history. It never compares run ids: after a reset they differ, and a replay
would take another way than the run did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.language.host import RunContext, StepStatus
from orchestrator.language.interpreter import RunResult, run_playbook
from orchestrator.language.program import load_compiled
from orchestrator.workflow.messages import Begin, Begun, Finish, JoinedAlert, RunStart, TakeIn
from orchestrator.workflow.temporal_host import TemporalHost, local


CAPABILITIES = scan().capabilities
"""The models that validate parameters and results: a part of the code, as the workflow is."""


@workflow.defn(dynamic=True)
class PlaybookRun:
    """One run of one playbook."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        self._start = workflow.payload_converter().from_payload(args[0].payload, RunStart)
        self._host = TemporalHost(_context(self._start))
        self._host.inbox += self._start.inbox

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> dict[str, Any]:
        """Claim the alert, run the playbook, record the end; what came too late goes on as a run of its own."""
        begun = await _begin(self._start, self._host)
        if begun.verdict != "mine":
            await self._pass_on(begun)
            return {"state": begun.verdict, "by": begun.by, "why": begun.why}
        result = await self._interpret()
        await self._pass_on(begun)
        return _ended(result)

    async def _interpret(self) -> RunResult:
        start = self._start
        playbook = load_compiled(start.playbook, start.document, start.digest)
        alert = Alert.model_validate(start.alert)
        try:
            result = await run_playbook(playbook, alert, self._host, CAPABILITIES)
        except asyncio.CancelledError:
            await _finish(self._host.context, "cancelled", RunResult(status=StepStatus.FAILED))
            raise
        state = "succeeded" if result.status is StepStatus.SUCCEEDED else "failed"
        await _finish(self._host.context, state, result)
        self._host.show(state if not result.error else f"failed at {result.failed_step}: {result.error.message}")
        return result

    async def _pass_on(self, begun: Begun) -> None:
        """No alert that joined is lost: what no step has seen is counted, or is the next run's."""
        while unseen := self._host.unseen():
            if begun.verdict == "mine" and self._start.join > 0:
                self._host.inbox = []
                taken = TakeIn(context=self._host.context, alerts=tuple(unseen), how="counted")
                await local("take_in", taken, list[str], summary=f"count {len(unseen)} alerts")
                self._host.joined()
                continue
            workflow.continue_as_new(_next(self._start, unseen))

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Alerts that join are kept; anything else only wakes the run, which reads its history for answers."""
        if name == "join":
            self._host.inbox += _joining(args)
        else:
            self._host.answers += 1


def _context(start: RunStart) -> RunContext:
    info = workflow.info()
    return RunContext(
        run=start.run,
        playbook=start.playbook,
        digest=start.digest,
        event=start.alert_key,
        workflow_id=info.workflow_id,
        first_run_id=info.first_execution_run_id,
        mode=start.mode,
    )


async def _begin(start: RunStart, host: TemporalHost) -> Begun:
    begin = Begin(
        context=host.context,
        alert_key=start.alert_key,
        severity=start.severity,
        group_key=start.group_key,
        join=start.join,
        reason=start.reason,
    )
    return await local("begin", begin, Begun, summary="claim the alert")


async def _finish(context: RunContext, state: Any, result: RunResult) -> None:
    finish = Finish(
        context=context,
        state=state,
        failed_step=result.failed_step,
        error=result.error,
        steps={name: str(status) for name, status in result.steps.items()},
        traces=result.traces,
    )
    await local("finish", finish, type(None), summary="record the end")


def _joining(args: Sequence[RawValue]) -> list[JoinedAlert]:
    """The alerts of a Signal; one that nobody of ours sent may hold anything, and is nothing then."""
    try:
        alerts: list[JoinedAlert] = workflow.payload_converter().from_payload(args[0].payload, list[JoinedAlert])
    except Exception:  # noqa: BLE001 - whatever a stranger sent must not stop the run
        workflow.logger.warning("a Signal `join` that holds no alerts was left aside")
        return []
    return alerts


def _next(start: RunStart, unseen: list[JoinedAlert]) -> RunStart:
    """The next run of the chain: the first alert that nobody saw, with the others waiting for it."""
    first, *rest = unseen
    return start.model_copy(
        update={
            "run": first.run,
            "alert": first.alert,
            "alert_key": first.alert_key,
            "severity": first.severity,
            "reason": first.reason,
            "inbox": tuple(rest),
        }
    )


def _ended(result: RunResult) -> dict[str, Any]:
    """The run's result; a failure fails the workflow, so that Temporal shows it as one."""
    if result.error is not None:
        message = f"{result.failed_step}: {result.error.message}"
        raise ApplicationError(message, type="PlaybookFailed", non_retryable=True)
    return {"state": "succeeded", "steps": {name: str(status) for name, status in result.steps.items()}}

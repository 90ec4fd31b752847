"""Sub-playbooks: each is a run of its own, a child workflow whose id says which step of which run called it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TemporalError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from orchestrator.alerts.keys import safe_name
from orchestrator.errors import FailureKind
from orchestrator.language.host import StepError, StepStatus, SubCall, SubOutcome
from orchestrator.language.interpreter.ends import settled
from orchestrator.language.model import MOST_DEPTH
from orchestrator.language.program import Playbook
from orchestrator.workflow.messages import RunStart
from orchestrator.workflow.search_attributes import of_run
from orchestrator.workflow.visible import one_line

ONCE = RetryPolicy(maximum_attempts=1)
Waiting = Callable[[], Awaitable[SubOutcome]]
"""Waits for the end of a child; may be left at any moment, since the same child can be waited for again"""


def sub_run_name(playbook: str, parent: str, path: tuple[str, ...]) -> str:
    """The name of the run that a step calls: the same whenever it is asked for."""
    return f"{playbook}/s/{safe_name(parent + ' ' + ' '.join(path))}"


def sub_start(start: RunStart, playbook: Playbook, run: str, call: SubCall) -> RunStart:
    """What the child is started with: its version as the caller was compiled with, the caller's mode and case.

    Its effects have the caller's event, and the caller's version and path before their own, so that two calls of one
    sub-playbook never share a place in the ledger.
    """
    return RunStart(
        run=run,
        playbook=playbook.name,
        digest=playbook.digest,
        document=playbook.document,
        bundle=playbook.bundle,
        # a shadow parent makes its sub-playbooks shadow
        mode="shadow" if "shadow" in (start.mode, playbook.model.mode) else "live",
        how="playbook",
        inputs=call.inputs,
        requester=start.requester,
        case=call.case,
        event=start.event or start.alert_key,
        # nobody undoes what a detached one does but itself
        caller=None if call.detach else start.run,
        called_at=() if call.detach else call.path,
        within=(*start.within, start.digest, *call.path),
        depth=start.depth + 1,
        alert_key=f"sub/{run.rpartition('/')[2]}",
        severity=call.severity,
    )


async def run_sub(start: RunStart, playbook: Playbook, call: SubCall) -> Waiting:
    """Start the child. What comes back waits for its end, unless it is detached, and gives how it ended.

    Neither raises: a child that cannot be started has failed.
    """
    sub = playbook.uses.get(call.playbook)
    if sub is None:
        return _known(_failed(f"no playbook is named {call.playbook}"))
    if start.depth >= MOST_DEPTH:
        return _known(_failed(f"sub-playbooks are called more than {MOST_DEPTH} deep"))
    run = sub_run_name(sub.name, start.run, call.path)
    gone_on = SubOutcome(status=StepStatus.SUCCEEDED)
    if call.begun:
        return partial(_attended, run)
    try:
        handle = await workflow.start_child_workflow(
            sub.name,
            sub_start(start, sub, run, call),
            id=run,
            # to the server an execution that goes on in a new one has ended; the run itself cancels what it waits for,
            # and where it was terminated, the sweeper does
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            retry_policy=ONCE,
            search_attributes=of_run(sub.name, call.severity, start.mode),
            static_summary=one_line(f"{_shadow(start)}{call.severity}: {sub.title}")[:190],
        )
    except WorkflowAlreadyStartedError:
        # the caller was reset: the child stands, and what it comes to is asked for
        return _known(gone_on) if call.detach else partial(_attended, run)
    except ChildWorkflowError as error:  # it was cancelled before it began
        return _known(failure_of(error.cause))
    return _known(gone_on) if call.detach else partial(_ended, handle)


def _known(outcome: SubOutcome) -> Waiting:
    async def waited() -> SubOutcome:
        return outcome

    return waited


def _shadow(start: RunStart) -> str:
    return "shadow, " if start.mode == "shadow" else ""


async def _ended(handle: Any) -> SubOutcome:
    try:
        return outcome_of(await handle)
    except ChildWorkflowError as error:
        return failure_of(error.cause)


async def _attended(run: str) -> SubOutcome:
    """The outcome of a child that another execution of this run started; who is cancelled meanwhile cancels it too."""
    attending: asyncio.Future[SubOutcome] = asyncio.ensure_future(
        workflow.execute_activity(
            "attend",
            run,
            result_type=SubOutcome,
            start_to_close_timeout=timedelta(days=365),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
            summary=f"wait for {run}",
        )
    )
    while not attending.done():
        try:
            await asyncio.wait((attending,))
        except asyncio.CancelledError:
            with contextlib.suppress(ApplicationError, CancelledError):  # it has ended by now
                await settled(workflow.get_external_workflow_handle(run).cancel())
    try:
        return attending.result()
    except ActivityError as error:
        return _failed(f"nobody knows what became of the sub-playbook: {error.cause}", FailureKind.UNKNOWN_OUTCOME)


def outcome_of(result: Any) -> SubOutcome:
    """What a run that has ended well came to."""
    if isinstance(result, dict) and result.get("state") == "succeeded":
        return SubOutcome(status=StepStatus.SUCCEEDED, outputs=result.get("outputs") or {})
    return _failed(f"the sub-playbook did not run: {result}")


def failure_of(cause: BaseException | None) -> SubOutcome:
    """What a run that has failed came to: its own error, where it says one."""
    if isinstance(cause, ApplicationError):
        details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
        kind = FailureKind(details.get("kind", FailureKind.REJECTED))
        return SubOutcome(status=StepStatus.FAILED, error=StepError(kind=kind, message=cause.message))
    if isinstance(cause, CancelledError):
        return _failed("the sub-playbook was cancelled", FailureKind.REFUSED_BY_POLICY)
    words = cause.message if isinstance(cause, TemporalError) and hasattr(cause, "message") else type(cause).__name__
    return _failed(f"the sub-playbook ended: {words}", FailureKind.UNKNOWN_OUTCOME)


def forgotten(run: str) -> SubOutcome:
    """What a run came to that Temporal remembers no more."""
    return _failed(f"Temporal knows of no run {run} any more: nobody knows how it ended", FailureKind.UNKNOWN_OUTCOME)


def _failed(message: str, kind: FailureKind = FailureKind.INVALID) -> SubOutcome:
    return SubOutcome(status=StepStatus.FAILED, error=StepError(kind=kind, message=message))

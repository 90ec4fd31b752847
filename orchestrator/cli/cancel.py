"""`tocsin cancel`: a run ends before its steps do."""

from __future__ import annotations

import asyncio
import sys

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, complain, say
from orchestrator.cli.operator import me
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.permission import permit
from orchestrator.settings import load_settings
from orchestrator.workflow.claims import workflow_of
from orchestrator.workflow.client import connect

PATIENCE = 20.0
"""seconds to wait for the run's end where nobody says how long"""
STATES: dict[WorkflowExecutionStatus | None, str] = {
    WorkflowExecutionStatus.CANCELED: "cancelled", WorkflowExecutionStatus.COMPLETED: "succeeded",
    WorkflowExecutionStatus.FAILED: "failed", WorkflowExecutionStatus.TERMINATED: "terminated",
}  # fmt: skip


async def cancel(run: str, *, why: str = "", wait: float = PATIENCE, json: bool = False) -> None:
    """Cancel a run: nothing new is sent, and its open questions are void; then say how it ended.

    What is under way is waited for, and what the playbook says for a failure is done: `undo_on_failure`, `on_failure`.
    What was done otherwise stays for as long as its step said. The exit code is 0 where the run was cancelled and 1
    where it had come to another end before.

    Parameters
    ----------
    run
        The run or its workflow id.
    why
        Words for the record, where your name stands as well.
    wait
        Seconds to wait for the end. Where it has not come by then the exit code is 3.
    json
        One line of JSON instead of text: the run, and its state.
    """
    settings = load_settings()
    endpoints = current_endpoints(settings)
    engine = make_engine(endpoints.database)
    who = me()
    try:
        workflow_id = await workflow_of(engine, run)
        await permit(engine, who, "cancel", workflow_id)
    finally:
        await engine.dispose()
    handle = await _cancelled(await connect(settings.temporal, endpoints.temporal, identity=who.name), workflow_id, why)
    state = await _end(handle, wait)
    if json:
        as_json({"run": workflow_id, "state": state or "running"})
    elif state:
        say(f"{workflow_id}: {state}", "green" if state == "cancelled" else "")
    else:
        complain(f"asked for, and the run has not ended within {wait:g} s; it sends nothing new")
    sys.exit({"cancelled": 0, None: 3}.get(state, 1))


async def _cancelled(client: Client, workflow_id: str, why: str) -> WorkflowHandle[object, object]:
    """The execution that was asked to end: of the same id there may be another one a moment later."""
    try:
        found = await client.get_workflow_handle(workflow_id).describe()
        handle = client.get_workflow_handle(workflow_id, run_id=found.run_id)
        if found.status is WorkflowExecutionStatus.RUNNING:
            await handle.cancel(reason=why)
            return handle
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise TocsinError(f"Temporal does not cancel it: {error.message}") from error
    raise TocsinError(f"no run {workflow_id} is open; see `tocsin audit show {workflow_id}`")


async def _end(handle: WorkflowHandle[object, object], wait: float) -> str | None:
    """How it ended; None where it has not."""
    deadline = asyncio.get_running_loop().time() + wait
    while asyncio.get_running_loop().time() < deadline:
        state = STATES.get((await handle.describe()).status)
        if state is not None:
            return state
        await asyncio.sleep(0.2)
    return None

"""A bench on the real servers; every history that a test makes is replayed against today's code in the end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from orchestrator.workflow.playbook_run import PlaybookRun
from tests.workflow.bench import Bench


@pytest.fixture
async def bench(temporal: Client, engine: AsyncEngine, task_queue: str) -> AsyncIterator[Bench]:
    """Everything but the worker, which a test runs when it wants to. Ends what the test leaves open."""
    bench = Bench(temporal, engine, task_queue)
    yield bench
    query = f"TaskQueue = '{task_queue}'"
    replayer = Replayer(
        workflows=[PlaybookRun],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=temporal.data_converter,
    )
    async for execution in temporal.list_workflows(query):
        handle = temporal.get_workflow_handle(execution.id, run_id=execution.run_id)
        with contextlib.suppress(RPCError):  # it has ended by itself
            await handle.terminate("the test is over")
        history = await handle.fetch_history()
        await replayer.replay_workflow(history)

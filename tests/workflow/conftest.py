"""A bench on the real servers; every history that a test makes is replayed against today's code in the end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from tests.workflow.bench import Bench
from tests.workflow.histories import keep, replayer


@pytest.fixture
async def bench(
    request: pytest.FixtureRequest, temporal: Client, engine: AsyncEngine, task_queue: str
) -> AsyncIterator[Bench]:
    """Everything but the worker, which a test runs when it wants to. Ends what the test leaves open."""
    bench = Bench(temporal, engine, task_queue)
    yield bench
    replay = replayer(data_converter=temporal.data_converter)
    executions = [one async for one in temporal.list_workflows(f"TaskQueue = '{task_queue}'")]
    for number, execution in enumerate(sorted(executions, key=lambda one: one.start_time)):
        handle = temporal.get_workflow_handle(execution.id, run_id=execution.run_id)
        with contextlib.suppress(RPCError):  # it has ended by itself
            await handle.terminate("the test is over")
        history = await handle.fetch_history()
        await replay.replay_workflow(history)
        if request.module.__name__.endswith("test_language"):
            keep(request.node.name, number, history)

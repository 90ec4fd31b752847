"""The roles in one process and each alone: the same work, and the quicker way where it can be had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory

from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings
from tests.faults.processes import Alerts, Process, settled


@pytest.mark.parametrize(("roles", "eager"), [(["serve"], True), (["worker", "intake", "keeper"], False)])
async def test_runs_start_eagerly_where_intake_and_worker_share_a_process(
    roles: Sequence[str],
    eager: bool,
    settings: Settings,
    stack: Endpoints,
    engine: AsyncEngine,
    environment: dict[str, str],
    temporal: Client,
    tmp_path: Path,
) -> None:
    """Temporal hands the first task straight to who asked; actions are local, so no hop waits. All end with 0."""
    alerts = Alerts(stack.kafka, settings.kafka.topics.alerts)
    processes = [Process(role, environment, tmp_path) for role in roles]
    try:
        for process in processes:
            await process.says("serving", 60)
        alerts.send(3)
        await settled(engine, alerts.sent)
        assert [process.end() for process in processes] == [0] * len(roles)
    finally:
        for process in processes:
            process.kill()

    async with engine.connect() as connection:
        ids = (await connection.execute(text("SELECT workflow_id FROM tocsin.run"))).scalars().all()
    histories = [await temporal.get_workflow_handle(one).fetch_history() for one in ids]
    assert [accepted(one) for one in histories] == [eager] * alerts.sent
    kinds = {event.event_type for one in histories for event in one.events}
    assert EventType.EVENT_TYPE_MARKER_RECORDED in kinds
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds


def accepted(history: WorkflowHistory) -> bool:
    """Whether the run's first task came with the answer to its start."""
    return history.events[0].workflow_execution_started_event_attributes.eager_execution_accepted

"""kill -9 of the worker, again and again, with work under way: nothing lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings
from tests.faults.processes import (
    AGAIN,
    EVENTS,
    OPEN_RUNS,
    READ_BACK,
    Alerts,
    assert_each_has_its_effects_once,
    count,
    running,
    settled,
    until_count,
)

ALERTS_A_KILL, KILLS, OPEN = 20, 10, 5
SENDING = """
SELECT count(*) FROM tocsin.action a JOIN tocsin.audit_event e ON e.body->>'key' = a.key
WHERE a.state = 'intended' AND a.effect <> 'read' AND e.type = 'action.intended' AND e.place > {since}
"""


@pytest.mark.timeout(420)
async def test_killing_the_worker_loses_and_doubles_nothing(
    settings: Settings,
    stack: Endpoints,
    engine: AsyncEngine,
    environment: dict[str, str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Ten kills over 200 alerts, each in the middle of writing; what a dead worker had sent is found out about."""
    alerts, restarted, hit = Alerts(stack.kafka, settings.kafka.topics.alerts), 0, []
    with running(environment, tmp_path) as processes:
        for _ in range(KILLS):
            alerts.send(ALERTS_A_KILL)
            sending = await until_count(engine, SENDING.format(since=restarted), 3, 60)
            hit.append((await until_count(engine, OPEN_RUNS, OPEN, 60), sending))
            processes["worker"].kill_and_start()
            restarted = await count(engine, EVENTS)
        await settled(engine, alerts.sent)
        codes = {role: process.end() for role, process in processes.items()}
    record_property("killed with runs open, actions being sent", hit)
    found = await count(engine, READ_BACK)
    record_property("found by reading back", found)
    record_property("sent again", await count(engine, AGAIN))
    assert alerts.sent == 200
    assert found > 0
    await assert_each_has_its_effects_once(engine, alerts, tmp_path)
    assert codes == {"worker": 0, "intake": 0, "keeper": 0}

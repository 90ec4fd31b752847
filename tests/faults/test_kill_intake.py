"""kill -9 of the intake, again and again, with work under way: nothing lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings
from tests.faults.processes import (
    OPEN_RUNS,
    Alerts,
    assert_each_has_its_effects_once,
    count,
    running,
    settled,
    until_count,
)

ALERTS_A_KILL, KILLS, OPEN, BESIDE = 18, 10, 5, 7


UNMATCHED = "SELECT COALESCE(sum(alerts), 0) FROM tocsin.unmatched"


@pytest.mark.timeout(420)
async def test_killing_intake_loses_and_doubles_nothing(
    settings: Settings,
    stack: Endpoints,
    engine: AsyncEngine,
    environment: dict[str, str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Ten kills over 200 alerts, each while alerts are recorded and being started; all are read again.

    What starts nothing stands between them, and is counted once.
    """
    alerts, hit = Alerts(stack.kafka, settings.kafka.topics.alerts), []
    with running(environment, tmp_path) as processes:
        for _ in range(KILLS):
            alerts.send_beside(BESIDE, 1)
            alerts.send(ALERTS_A_KILL)
            await until_count(engine, "SELECT count(*) FROM tocsin.alert", alerts.sent - ALERTS_A_KILL + 1, 60)
            hit.append(await until_count(engine, OPEN_RUNS, OPEN, 60))
            processes["intake"].kill_and_start()
        alerts.send(20)
        await settled(engine, alerts.sent)
        await until_count(engine, "SELECT count(*) FROM tocsin.dead_letter", KILLS, 30)
        await until_count(engine, UNMATCHED, KILLS * BESIDE, 30)
        codes = {role: process.end() for role, process in processes.items()}
    record_property("killed with runs open", hit)
    assert alerts.sent == 200
    await assert_each_has_its_effects_once(engine, alerts, tmp_path)
    assert await count(engine, UNMATCHED) == KILLS * BESIDE
    assert await count(engine, "SELECT count(*) FROM tocsin.dead_letter") == KILLS
    assert codes == {"worker": 0, "intake": 0, "keeper": 0}

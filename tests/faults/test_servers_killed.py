"""kill -9 of Postgres, Temporal and Kafka under load: all wait and go on by themselves, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from orchestrator.audit.database import make_engine
from orchestrator.local import ports
from orchestrator.local.endpoints import Endpoints, read_state
from orchestrator.local.lab import Lab
from orchestrator.local.prepare import prepare
from orchestrator.local.stack import down, up
from orchestrator.settings import LocalSettings, Settings, TemporalSettings
from tests.faults.conftest import environment_of
from tests.faults.processes import (
    OPEN_RUNS,
    Alerts,
    Process,
    assert_each_has_its_effects_once,
    running,
    settled,
    until_count,
)

ALERTS, OPEN = 20, 5
WAITS, TROUBLE = "intake.waiting", "kafka.trouble"


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings of a stack of its own, whose servers come back on the ports that they had."""
    names = ("kafka_port", "temporal_port", "temporal_ui_port", "postgres_port")
    chosen = ports.choose(names, {}, {}, any_port=True)
    return Settings(home=tmp_path / "stack", local=LocalSettings(**chosen))


@pytest.fixture
async def servers(own: Settings) -> AsyncIterator[Endpoints]:
    """That stack, ended at the end."""
    try:
        endpoints = await up(own)
        await prepare(own, endpoints)
        yield endpoints
    finally:
        await down(own)


def kill(own: Settings, part: str) -> None:
    """kill -9 of a server with all its processes."""
    process = read_state(own.home).parts[part].process()
    assert process is not None
    family = [process, *process.children(recursive=True)]
    for one in family:
        one.kill()
    psutil.wait_procs(family)


@pytest.mark.timeout(300)
async def test_servers_that_are_killed_and_come_back_cost_only_time(
    own: Settings, servers: Endpoints, lab: Lab, tmp_path: Path
) -> None:
    """One after the other; alerts come before and after, runs are open and actions being sent; no process of ours ends.

    Each is heard to be missed before it comes back.
    """
    alerts = Alerts(servers.kafka, own.kafka.topics.alerts)
    with running(environment_of(own, servers, lab, tmp_path), tmp_path) as processes:
        for part, event in (("postgres", WAITS), ("temporal", WAITS), ("kafka", TROUBLE)):
            engine = make_engine(servers.database)  # its connections go with the server
            alerts.send(ALERTS)
            await until_count(engine, OPEN_RUNS, OPEN, 60)
            told = processes["intake"].told(event)
            kill(own, part)
            if part != "kafka":
                alerts.send(ALERTS)
            await processes["intake"].says(event, 60, more_than=told)
            assert await up(own) == servers, part
            await engine.dispose()
            alerts.send(ALERTS)
            await settled(engine, alerts.sent)
        assert [process.end() for process in processes.values()] == [0, 0, 0]
    await assert_each_has_its_effects_once(engine, alerts, tmp_path)
    await engine.dispose()


async def test_a_worker_that_is_up_before_temporal_waits_for_it(
    settings: Settings, stack: Endpoints, database: str, lab: Lab, tmp_path: Path
) -> None:
    """After a power cut nobody knows the order: it says what it waits for, and serves as soon as that is there."""
    port = ports.any_free()
    servers = stack.model_copy(update={"temporal": f"127.0.0.1:{port}", "database": database})
    own = settings.model_copy(
        update={
            "home": tmp_path / "stack", "temporal": TemporalSettings(), "local": LocalSettings(temporal_port=port),
        }
    )  # fmt: skip
    worker = Process("worker", environment_of(settings, servers, lab, tmp_path), tmp_path)
    try:
        await worker.says("process.waiting", 60)
        await up(own)
        await worker.says("serving", 60)
        assert worker.end() == 0
    finally:
        worker.kill()
        await down(own)


async def test_what_waits_for_temporal_can_be_ended(
    settings: Settings, stack: Endpoints, database: str, lab: Lab, tmp_path: Path
) -> None:
    """Ctrl-C while nothing is there yet."""
    servers = stack.model_copy(update={"temporal": "127.0.0.1:1", "database": database})
    worker = Process("worker", environment_of(settings, servers, lab, tmp_path), tmp_path)
    await worker.says("process.waiting", 60)
    assert worker.end() == 0

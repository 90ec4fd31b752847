"""kill -9 of worker and intake, again and again, with work under way: nothing lost and nothing doubled.

The evidence is the lab's own log, synced to disk before it answers; the lab never dedupes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.events import to_json
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.lab import Lab
from orchestrator.settings import Settings, child_environment

ALERTS_A_KILL, KILLS, OPEN = 10, 10, 5
PLAYBOOK = """
title: Look, block, write down
trigger: {match: alert.source.ip}
steps:
  - {id: look, action: intel.lookup_ip, with: {ip: "{{ alert.source.ip }}"}}
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 1h}
  - {id: ticket, action: ticket.open, with: {title: "{{ alert.id }}"}}
tests:
  - {name: starts, alert: {source: {ip: 192.0.2.1}}, expect: {starts: true}}
  - {name: does not, alert: {}, expect: {starts: false}}
"""
SENDING = """
SELECT count(*) FROM tocsin.action a JOIN tocsin.audit_event e ON e.body->>'key' = a.key
WHERE a.state = 'intended' AND e.type = 'action.intended' AND e.place > {since}
"""
READ_BACK = "SELECT count(*) FROM tocsin.audit_event WHERE type = 'action.done' AND body->>'how' = 'read_back'"
AGAIN = "SELECT count(*) FROM tocsin.audit_event WHERE type = 'action.intended' AND (body->>'send')::int > 1"


class Process:
    """One role as a process of its own, started again after it was killed."""

    def __init__(self, role: str, environment: dict[str, str], folder: Path) -> None:
        self._command = [sys.executable, "-m", "orchestrator.cli.main", role]
        self._environment = environment
        self._log = folder / f"{role}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9, and start it again."""
        assert self.process.poll() is None, self._log.read_text()[-2000:]
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The lab, slow enough that kills hit something in flight."""
    async with Lab(tmp_path / "lab") as lab:
        lab.slow = 0.25
        for operation in ("block", "open", "look_up"):
            lab.misbehave(operation, "slow")
        yield lab


@pytest.fixture
def environment(settings: Settings, stack: Endpoints, database: str, lab: Lab, tmp_path: Path) -> dict[str, str]:
    """Settings in a file, as a site would have them."""
    playbooks = tmp_path / "playbooks"
    playbooks.mkdir()
    (playbooks / "contain.yaml").write_text(PLAYBOOK)
    site = {
        "home": str(tmp_path / "home"),
        "playbooks": str(playbooks),
        "kafka": {"bootstrap": stack.kafka, "topics": settings.kafka.topics.model_dump()},
        "temporal": {"address": stack.temporal, "task_queue": settings.temporal.task_queue},
        "database": {"url": database},
        "intake": {"group": f"group-{settings.temporal.task_queue}"},
        "integrations": {"lab": {"url": lab.url, "token": {"env": "LAB_TOKEN"}}},
    }
    file = tmp_path / "tocsin.yaml"
    file.write_text(yaml.safe_dump(site))
    return child_environment(TOCSIN_SETTINGS=str(file), LAB_TOKEN=lab.token)


def alert(number: int) -> bytes:
    made = {
        "id": f"alert-{number}", "time": "2026-05-06T10:00:00Z", "severity": "high", "title": "t",
        "product": {"name": "test"}, "source": {"ip": f"10.9.{number // 250}.{number % 250 + 1}"},
    }  # fmt: skip
    return to_json(made).encode()


async def count(engine: AsyncEngine, question: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(question))).scalar_one())


async def until_count(engine: AsyncEngine, question: str, least: int, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        while (found := await count(engine, question)) < least:  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.05)
    return found


@pytest.mark.timeout(420)
async def test_killing_worker_and_intake_loses_and_doubles_nothing(
    settings: Settings, stack: Endpoints, engine: AsyncEngine, lab: Lab, environment: dict[str, str], tmp_path: Path
) -> None:
    """Ten kills each over 200 alerts, each with at least five runs open; every alert has one effect of each kind."""
    producer = Producer({"bootstrap.servers": stack.kafka})
    processes = {role: Process(role, environment, tmp_path) for role in ("worker", "intake", "keeper")}
    open_runs = "SELECT count(*) FROM tocsin.run WHERE ended_at IS NULL"
    sent, restarted, hit = 0, 0, []
    try:
        for turn in range(2 * KILLS):
            for _ in range(ALERTS_A_KILL):
                producer.produce(settings.kafka.topics.alerts, alert(sent))
                sent += 1
            producer.flush()
            role = ("worker", "intake")[turn % 2]
            # the process that is to be killed is at work again: the worker is sending, the intake has taken new alerts
            if role == "worker":
                await until_count(engine, SENDING.format(since=restarted), 3, 60)
            else:
                await until_count(engine, "SELECT count(*) FROM tocsin.alert", sent - ALERTS_A_KILL + 1, 60)
            under_way = await until_count(engine, open_runs, OPEN, 60)
            processes[role].kill()
            restarted = await count(engine, "SELECT count(*) FROM tocsin.audit_event")
            hit.append((role, under_way))
        await until_count(engine, "SELECT count(*) FROM tocsin.run WHERE ended_at IS NOT NULL", sent, 120)
        published = "SELECT published FROM tocsin.audit_relay"
        await until_count(engine, published, await count(engine, "SELECT count(*) FROM tocsin.audit_event"), 30)
        codes = {role: process.end() for role, process in processes.items()}
    finally:
        for process in processes.values():
            if process.process.poll() is None:
                process.process.kill()
                process.process.wait()
    # the evidence that the kills hit something: what was open at each, and how many sends had to be found out about
    print("killed with runs open:", hit)  # noqa: T201
    print("sends found by reading back:", await count(engine, READ_BACK), "; sent again:", await count(engine, AGAIN))  # noqa: T201

    effects = Counter(
        (entry["operation"], entry["body"].get("ip") or entry["body"].get("title"))
        for entry in map(json.loads, (tmp_path / "lab" / "requests.jsonl").read_text().splitlines())
        if entry["operation"] in ("block", "open")
    )
    wanted = {("block", json.loads(alert(n))["source"]["ip"]) for n in range(sent)}
    wanted |= {("open", f"alert-{n}") for n in range(sent)}
    assert sent == 200
    assert wanted - set(effects) == set(), "lost"
    assert {what: times for what, times in effects.items() if times > 1} == {}, "doubled"
    assert set(effects) == wanted
    assert await count(engine, "SELECT count(*) FROM tocsin.action WHERE state <> 'done'") == 0
    assert await count(engine, "SELECT count(DISTINCT alert_key) FROM tocsin.claim") == sent
    assert codes == {"worker": 0, "intake": 0, "keeper": 0}
    assert os.path.getsize(tmp_path / "worker.log") > 0  # noqa: PTH202 - it spoke

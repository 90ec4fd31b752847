"""Processes that are killed and started again, alerts for them, and what the lab saw of it all."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.events import to_json
from tests.command import Started

OPEN_RUNS = "SELECT count(*) FROM tocsin.run WHERE ended_at IS NULL"
EVENTS = "SELECT count(*) FROM tocsin.audit_event"
READ_BACK = "SELECT count(*) FROM tocsin.audit_event WHERE type = 'action.done' AND body->>'how' = 'read_back'"
AGAIN = "SELECT count(*) FROM tocsin.audit_event WHERE type = 'action.intended' AND (body->>'send')::int > 1"


class Process:
    """One role as a process of its own, started again after it was killed."""

    def __init__(self, role: str, environment: dict[str, str], folder: Path) -> None:
        self._role, self._environment, self._folder = role, environment, folder
        self._log = folder / f"{role}.log"
        self._started = self._start()

    def _start(self) -> Started:
        return Started([self._role], self._environment, self._folder, out=self._log, err=self._log)

    def kill_and_start(self) -> None:
        """kill -9, and start it again."""
        assert self._started.runs, self.said()[-2000:]
        self._started.kill()
        self._started = self._start()

    def said(self) -> str:
        """All that it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def told(self, event: str) -> int:
        """How often it has logged this event."""
        return self.said().count(f'"event": "{event}"')

    async def says(self, event: str, seconds: float, *, more_than: int = 0) -> None:
        """Wait until it has logged this event more often than so."""
        async with asyncio.timeout(seconds):
            while self.told(event) <= more_than:
                assert self._started.runs, self.said()[-2000:]
                await asyncio.sleep(0.05)

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self._started.send(signal.SIGTERM)
        return self._started.end(30)

    def kill(self) -> None:
        """kill -9, where it still runs."""
        self._started.kill()


@contextmanager
def running(environment: dict[str, str], folder: Path) -> Iterator[dict[str, Process]]:
    """Worker, intake and keeper; whatever still runs at the end is killed."""
    processes = {role: Process(role, environment, folder) for role in ("worker", "intake", "keeper")}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.kill()


def alert(name: str, number: int) -> bytes:
    made = {
        "id": f"{name}-{number}", "time": "2026-05-06T10:00:00Z", "severity": "high", "title": "t",
        "product": {"name": "test"}, "source": {"ip": f"10.9.{number // 250}.{number % 250 + 1}"},
    }  # fmt: skip
    return to_json(made).encode()


class Alerts:
    """Alerts that are put on a topic, whose name is in their ids, each of an address of its own."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap})
        self._topic = topic
        self.sent = 0

    @property
    def all(self) -> list[dict[str, Any]]:
        """All that were sent."""
        return [json.loads(alert(self._topic, number)) for number in range(self.sent)]

    def send(self, count: int) -> None:
        """Put so many more there, and wait until Kafka has them."""
        for _ in range(count):
            self._producer.produce(self._topic, alert(self._topic, self.sent))
            self.sent += 1
        self._producer.flush()

    def send_beside(self, unmatched: int, broken: int) -> None:
        """Put so many alerts there that no playbook wants, and records that are none; waits for nothing."""
        for number in range(unmatched):
            made = json.loads(alert(f"{self._topic}-beside", number)) | {"source": {}}
            self._producer.produce(self._topic, to_json(made).encode())
        for _ in range(broken):
            self._producer.produce(self._topic, b"{")


async def count(engine: AsyncEngine, question: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(question))).scalar_one())


async def until_count(engine: AsyncEngine, question: str, least: int, seconds: float) -> int:
    async with asyncio.timeout(seconds):
        while (found := await count(engine, question)) < least:  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.05)
    return found


async def settled(engine: AsyncEngine, alerts: int) -> None:
    """Wait until so many runs have ended, and the whole audit is on Kafka."""
    await until_count(engine, "SELECT count(*) FROM tocsin.run WHERE ended_at IS NOT NULL", alerts, 120)
    await until_count(engine, "SELECT published FROM tocsin.audit_relay", await count(engine, EVENTS), 30)


async def assert_each_has_its_effects_once(engine: AsyncEngine, alerts: Alerts, folder: Path) -> None:
    """By the lab's own log, synced to disk before it answers: one block and one ticket for each alert."""
    effects = Counter(
        (entry["operation"], entry["body"].get("ip") or entry["body"].get("title"))
        for entry in map(json.loads, (folder / "lab" / "requests.jsonl").read_text().splitlines())
        if entry["operation"] in ("block", "open")
    )
    wanted = {("block", one["source"]["ip"]) for one in alerts.all} | {("open", one["id"]) for one in alerts.all}
    assert wanted - set(effects) == set(), "lost"
    assert {what: times for what, times in effects.items() if times > 1} == {}, "doubled"
    assert set(effects) == wanted
    assert await count(engine, "SELECT count(*) FROM tocsin.action WHERE state <> 'done'") == 0
    assert await count(engine, "SELECT count(*) FROM tocsin.claim WHERE how = 'started'") == alerts.sent

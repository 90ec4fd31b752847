"""An intake with its surroundings: the real Kafka and Postgres, and a stand-in for Temporal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import scan
from orchestrator.alerts.dead_letters import DeadLetterTopic
from orchestrator.alerts.decode import Decoder
from orchestrator.alerts.intake import Intake
from orchestrator.alerts.record import PostgresRecorder
from orchestrator.alerts.requests import Started, StartRequest
from orchestrator.language.loader import read_playbook
from orchestrator.local.endpoints import Endpoints
from orchestrator.matching.choose import PlaybooksInForce
from orchestrator.settings import Settings

# a group that nobody has used has no coordinator, and so nothing committed
NOT_YET = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)

PLAYBOOK = """
title: Everything that is not low
trigger: {match: alert.severity > "low"}
steps: [{id: tell, action: notify.send, with: {channel: soc, text: "{{ alert.title }}"}}]
tests:
  - {name: a, alert: {severity: high}, expect: {starts: true}}
  - {name: b, alert: {severity: low}, expect: {starts: false}}
"""


def playbooks(*texts: str) -> PlaybooksInForce:
    made = []
    for number, one in enumerate(texts or (PLAYBOOK,)):
        playbook, found = read_playbook(one, "p.yaml", f"p{number}", scan().capabilities)
        assert playbook is not None, found
        made.append(playbook)
    return PlaybooksInForce(made)


class Starts:
    """Stands for Temporal: remembers what was started, and can be away, slow, or refuse."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.order: list[str] = []
        self.alerts: set[str] = set()
        self.before: Callable[[StartRequest], Any] = lambda request: None

    async def start(self, requests: Sequence[StartRequest]) -> list[Started]:
        became = []
        for request in requests:
            waited = self.before(request)
            if waited is not None:
                await waited
            self.order.append(request.severity)
            self.alerts.add(request.alert["id"])
            became.append(Started.ALREADY if request.workflow_id in self.ids else Started.STARTED)
            self.ids.append(request.workflow_id)
        return became

    @property
    def distinct(self) -> set[str]:
        return set(self.ids)


class Desk:
    """An intake with its surroundings, for one test."""

    def __init__(self, settings: Settings, stack: Endpoints, engine: AsyncEngine) -> None:
        self.settings, self.stack, self.engine = settings, stack, engine
        self.options = settings.kafka.client_options(stack.kafka)
        self.topics = settings.kafka.topics
        self.starts = Starts()
        self.producer = Producer({**self.options, "message.max.bytes": 18_000_000})

    def make(self, *, recorder: Any = None, playbook: PlaybooksInForce | None = None, **changes: Any) -> Intake:
        intake = self.settings.intake.model_copy(update={"group": f"group-{self.topics.alerts}", **changes})
        return Intake(
            options=self.options, topics=[self.topics.alerts], settings=intake, decoder=Decoder(intake),
            matcher=playbook or playbooks(), recorder=recorder or PostgresRecorder(self.engine),
            dead_letters=DeadLetterTopic(self.options, self.topics.dead_letters), starter=self.starts,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self, intake: Intake) -> AsyncIterator[Intake]:
        task = asyncio.create_task(intake.run())
        yield intake
        intake.stop()
        await task

    def send(self, *values: bytes | None, partition: int | None = None) -> None:
        where = {} if partition is None else {"partition": partition}
        for value in values:
            self.producer.produce(self.topics.alerts, value, **where)
        assert self.producer.flush(20) == 0

    def committed(self) -> int:
        """How many records of the topic are committed."""
        consumer = Consumer({**self.options, "group.id": f"group-{self.topics.alerts}"})
        try:
            places = consumer.committed([TopicPartition(self.topics.alerts, n) for n in range(4)], timeout=10)
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET:
                raise
            return 0
        finally:
            consumer.close()
        return sum(max(0, place.offset) for place in places)

    async def until_committed(self, count: int) -> None:
        """Wait until so many are."""
        async with asyncio.timeout(20):
            while await asyncio.to_thread(self.committed) < count:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.05)

    def dead(self, count: int) -> list[tuple[bytes | None, dict[str, str]]]:
        """The dead letters: value and headers."""
        consumer = Consumer({**self.options, "group.id": "reader", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(self.topics.dead_letters, 0, 0)])
        found = [message for message in consumer.consume(count, 10) if not message.error()]
        consumer.close()
        return [(m.value(), {k: v.decode() for k, v in m.headers() or []}) for m in found]

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(text(f"SELECT count(*) FROM tocsin.{table}"))).scalar_one())  # noqa: S608


def alert(number: int, severity: str = "high", **more: Any) -> bytes:
    made = {"id": f"a-{number}", "time": "2026-05-06T10:00:00Z", "severity": severity, "title": f"alert {number}"}
    return json.dumps({**made, "product": {"name": "test"}, **more}).encode()


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other threads and servers
            await asyncio.sleep(0.02)

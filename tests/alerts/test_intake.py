"""Intake on the real Kafka and Postgres: nothing lost, nothing started twice, offsets only when all is done."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import scan
from orchestrator.alerts.dead_letters import DeadLetterTopic
from orchestrator.alerts.decode import Decoder
from orchestrator.alerts.intake import Intake
from orchestrator.alerts.offsets import Offsets
from orchestrator.alerts.record import Batch, PostgresRecorder, Recorded
from orchestrator.alerts.requests import Started, StartRequest
from orchestrator.audit.reading import about
from orchestrator.errors import DeadLetter, Unavailable
from orchestrator.language.loader import read_playbook
from orchestrator.local.endpoints import Endpoints
from orchestrator.matching.choose import PlaybooksInForce
from orchestrator.settings import Settings

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
        places = consumer.committed([TopicPartition(self.topics.alerts, n) for n in range(4)], timeout=10)
        consumer.close()
        return sum(max(0, place.offset) for place in places)

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


@pytest.fixture
def desk(settings: Settings, stack: Endpoints, engine: AsyncEngine) -> Desk:
    return Desk(settings, stack, engine)


def alert(number: int, severity: str = "high", **more: Any) -> bytes:
    made = {"id": f"a-{number}", "time": "2026-05-06T10:00:00Z", "severity": severity, "title": f"alert {number}"}
    return json.dumps({**made, "product": {"name": "test"}, **more}).encode()


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other threads and servers
            await asyncio.sleep(0.02)


async def test_every_alert_is_started_recorded_or_dead_and_then_committed(desk: Desk) -> None:
    """Good ones start, low ones are counted, bad ones are dead letters with bytes and reasons; then the offset."""
    good = [alert(n) for n in range(60)]
    bad = [b"{", None, b'{"a":1,"a":2}', b"\xff", b'{"a":"\\ud800"}', alert(999, "hgh")]
    desk.send(*good[:30], *bad, *good[30:], *(alert(n, "low") for n in range(100, 110)))

    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 60 and intake.counts.dead_lettered == 6)
        await until(lambda: intake.counts.unmatched == 10)

    assert len(desk.starts.ids) == len(desk.starts.distinct) == 60
    assert desk.committed() == 76
    letters = desk.dead(6)
    assert sorted(headers["reason"] for _, headers in letters) == sorted(
        ["not_json", "tombstone", "duplicate_key", "not_utf8", "surrogate", "invalid_alert"]
    )
    assert {value for value, _ in letters} == {value or b"" for value in bad}
    assert all(headers["topic"] == desk.topics.alerts and headers["offset"].isdigit() for _, headers in letters)
    assert await desk.count("dead_letter") == 6
    assert await desk.count("alert") == 60


async def test_an_alert_is_recorded_with_why_it_was_chosen(desk: Desk) -> None:
    """The audit knows where it came from, what it said, and which values decided."""
    desk.send(alert(1, "critical"))
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 1)

    received, matched = await about(desk.engine, "a-1")
    assert received.type == "alert.received"
    assert received.body["severity"] == "critical"
    assert (matched.body["playbook"], matched.body["values"]) == ("p0", {"alert.severity": "critical"})


async def test_a_redelivered_alert_starts_nothing_twice(desk: Desk) -> None:
    """Read again, or sent twice: the same workflow id, which Temporal takes once."""
    desk.send(alert(1), alert(1))
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started + intake.counts.redelivered == 2)
    async with desk.running(desk.make(group="another")) as intake:
        await until(lambda: intake.counts.read == 2 and intake.counts.redelivered == 2)

    assert len(desk.starts.distinct) == 1
    assert await desk.count("alert") == 1


async def test_a_known_id_with_other_content_starts_nothing_and_is_recorded(desk: Desk) -> None:
    """Neither dropped in silence nor believed."""
    desk.send(alert(1), partition=0)
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 1)
        desk.send(alert(1, title="something else"), partition=0)
        await until(lambda: intake.counts.conflicts == 1)

    assert len(desk.starts.ids) == 1
    assert [one.type for one in await about(desk.engine, "a-1")][-1] == "alert.conflict"
    assert desk.committed() == 2


async def test_nothing_is_committed_before_temporal_took_the_start(desk: Desk) -> None:
    """While one start hangs, its offset and all behind it wait, though later alerts have started."""
    hold = asyncio.Event()
    desk.starts.before = lambda request: hold.wait() if request.alert["id"] == "a-1" else None
    desk.send(*(alert(n) for n in range(5)), partition=0)

    async with desk.running(desk.make()) as intake:
        await until(lambda: len(desk.starts.ids) == 4)
        await asyncio.to_thread(desk.committed)
        assert await asyncio.to_thread(desk.committed) <= 1
        hold.set()
        await until(lambda: intake.counts.started == 5)
    assert desk.committed() == 5


async def test_temporal_away_means_waiting_and_nothing_lost(desk: Desk) -> None:
    """Starts are tried again until Temporal is back; the records wait in Kafka."""
    away = True

    def refuse(request: StartRequest) -> None:
        if away:
            raise Unavailable("Temporal is away")

    desk.starts.before = refuse
    desk.send(*(alert(n) for n in range(20)))
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.read == 20)
        assert desk.starts.ids == []
        assert await asyncio.to_thread(desk.committed) == 0
        away = False
        await until(lambda: intake.counts.started == 20)
    assert desk.committed() == 20


async def test_postgres_away_means_waiting_and_nothing_lost(desk: Desk) -> None:
    """Without its record no alert starts anything."""

    class Away(PostgresRecorder):
        """Postgres that comes back."""

        gone = 3

        async def record(self, batch: Batch) -> Recorded:
            if self.gone:
                self.gone -= 1
                raise Unavailable("Postgres is away")
            return await super().record(batch)

    desk.send(*(alert(n) for n in range(20)))
    async with desk.running(desk.make(recorder=Away(desk.engine))) as intake:
        await until(lambda: intake.counts.started == 20)
    assert await desk.count("alert") == 20
    assert desk.committed() == 20


async def test_a_start_that_temporal_can_never_take_is_a_dead_letter(desk: Desk) -> None:
    """Not a retry for ever: the alerts behind it go on."""

    def refuse(request: StartRequest) -> None:
        if request.alert["id"] == "a-1":
            raise DeadLetter("too_large_for_temporal", "refused")

    desk.starts.before = refuse
    desk.send(*(alert(n) for n in range(3)), partition=0)
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 2 and intake.counts.dead_lettered == 1)
    assert desk.dead(1)[0][1]["reason"] == "too_large_for_temporal"
    assert desk.committed() == 3


async def test_an_alert_that_is_too_large_takes_no_other_with_it(desk: Desk) -> None:
    """Alerts of one key are started together: the one that Temporal never takes is dead, the others start."""

    def refuse(request: StartRequest) -> None:
        if request.alert["id"] == "a-7":
            raise DeadLetter("too_large_for_temporal", "refused")

    desk.starts.before = refuse
    desk.send(*(alert(n, source={"ip": "192.0.2.1"}) for n in range(20)), partition=0)
    keyed = playbooks(PLAYBOOK.replace("{match:", "{key: alert.source.ip, match:"))
    async with desk.running(desk.make(playbook=keyed)) as intake:
        await until(lambda: intake.counts.read == 20 and desk.committed() == 20)
    assert intake.counts.dead_lettered == 1
    assert [headers["offset"] for _, headers in desk.dead(2)] == ["7"]
    assert desk.starts.alerts == {f"a-{n}" for n in range(20)} - {"a-7"}


async def test_an_alert_that_one_playbook_can_never_have_is_still_anothers(desk: Desk) -> None:
    """Refused for one while the other waits for Temporal: not done before the other has it, and counted once."""
    refused, hold = asyncio.Event(), asyncio.Event()

    def one_of_two(request: StartRequest) -> Any:
        if request.playbook == "p0":
            refused.set()
            raise DeadLetter("too_large_for_temporal", "refused")
        return hold.wait()

    desk.starts.before = one_of_two
    desk.send(alert(1), partition=0)
    async with desk.running(desk.make(playbook=playbooks(PLAYBOOK, PLAYBOOK))) as intake:
        await asyncio.wait_for(refused.wait(), 20)
        desk.send(alert(2, "low"), partition=1)
        await until(lambda: desk.committed() == 1)
        assert (intake.counts.started, intake.counts.unmatched) == (0, 1)
        hold.set()
        await until(lambda: desk.committed() == 2)
    assert (intake.counts.started, intake.counts.dead_lettered) == (1, 0)
    assert desk.dead(1)[0][1]["reason"] == "too_large_for_temporal"


async def test_a_playbook_that_reads_too_much_stops_no_other(desk: Desk) -> None:
    """What it reads of the original does not fit into a run: a dead letter, and the other playbook's run."""
    eve = {"event_type": "alert", "timestamp": "2026-05-06T10:00:00+0000", "alert": {"signature": "s", "severity": 1}}
    desk.send(json.dumps({**eve, "payload": "x" * 200_000}).encode())
    greedy = PLAYBOOK.replace("alert.title", "alert.raw.payload")
    async with desk.running(desk.make(playbook=playbooks(PLAYBOOK, greedy))) as intake:
        await until(lambda: desk.committed() == 1)
    assert [one.partition("/")[0] for one in desk.starts.ids] == ["p0"]
    assert (intake.counts.started, intake.counts.dead_lettered) == (1, 0)
    assert desk.dead(1)[0][1]["reason"] == "too_large_for_run"


async def test_what_starts_nothing_is_counted_once_in_whatever_batches_it_comes_again(engine: AsyncEngine) -> None:
    """A crash before the commit: the same records come again, cut differently, and only the rest is new."""
    recorder, now = PostgresRecorder(engine), time.time()

    async def read(*places: int, at: float = now) -> tuple[int, int]:
        batch = Batch()
        for place in places:
            batch.nothing("t", 0, place, alert=place % 2 == 0, at=at)
        recorded = await recorder.record(batch)
        return recorded.unmatched, recorded.other

    assert await read(*range(10)) == (5, 5)
    assert await read(*range(4)) == (0, 0)
    assert await read(*range(3, 14)) == (2, 2)
    assert await read(*range(14)) == (0, 0)
    assert await read(20) == (1, 0)
    assert await read(20, 21) == (0, 1)
    # a topic that was deleted and made again: its offsets begin again, its records are younger than the counts
    assert await read(*range(10), at=now + 3600) == (5, 5)
    async with engine.connect() as connection:
        counted = (await connection.execute(text("SELECT sum(alerts), sum(other) FROM tocsin.unmatched"))).one()
    assert tuple(counted) == (13, 13)


async def test_critical_alerts_do_not_wait_behind_a_flood(desk: Desk) -> None:
    """What was read ahead is started by severity."""
    gate = asyncio.Event()
    desk.starts.before = lambda request: gate.wait()
    desk.send(*(alert(n, "medium") for n in range(300)), alert(1000, "critical"), partition=0)
    async with desk.running(desk.make(concurrent_starts=1)) as intake:
        await until(lambda: intake.counts.read == 301 and intake._starts.qsize() == 300)
        gate.set()
        await until(lambda: intake.counts.started == 301)
    assert "critical" in desk.starts.order[:2]


async def test_two_intakes_share_the_work_and_a_leaver_loses_nothing(desk: Desk) -> None:
    """Partitions move while starts are under way; every alert starts, none twice."""
    desk.starts.before = lambda request: asyncio.sleep(0.005)
    first, second = desk.make(batch=20), desk.make(batch=20)
    async with desk.running(second):
        async with desk.running(first):
            desk.send(*(alert(n) for n in range(200)))
            await until(lambda: len(desk.starts.distinct) >= 60)
        desk.send(*(alert(n) for n in range(200, 300)))
        await until(lambda: len(desk.starts.distinct) == 300)
    assert Counter(Counter(desk.starts.ids).values())[1] >= 250
    assert desk.committed() == 300


async def test_a_record_of_sixteen_mebibytes_is_a_dead_letter_whole(desk: Desk) -> None:
    """The topic takes it, intake's own cap refuses it, and its bytes are kept."""
    huge = b'{"x": "' + b"a" * (16 * 1024 * 1024 - 100) + b'"}'
    desk.send(huge, alert(1))
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 1 and intake.counts.dead_lettered == 1, 40)
    value, headers = desk.dead(1)[0]
    assert value == huge
    assert headers["reason"] == "too_large"


def test_only_the_stretch_that_is_done_from_its_beginning_is_committed() -> None:
    """Out of order completion, gaps in the offsets, and a partition that left."""
    offsets = Offsets()
    progress = offsets.assigned("t", 0)
    for offset in (10, 11, 13, 14):
        progress.read(offset, 1)
    progress.done(11, 1)
    progress.done(14, 1)
    assert offsets.to_commit() == {}
    progress.done(10, 1)
    assert offsets.to_commit() == {("t", 0): 12}
    offsets.committed({("t", 0): 12})
    assert offsets.to_commit() == {}
    progress.done(13, 1)
    progress.done(13, 1)
    assert offsets.to_commit() == {("t", 0): 15}
    assert offsets.bytes == 0
    offsets.revoked("t", 0)
    assert offsets.of("t", 0) is None

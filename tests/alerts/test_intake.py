"""Intake on the real Kafka and Postgres: nothing lost, nothing started twice, offsets only when all is done."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.alerts.offsets import Offsets
from orchestrator.alerts.record import Batch, PostgresRecorder, Recorded
from orchestrator.alerts.requests import StartRequest
from orchestrator.audit.reading import about
from orchestrator.errors import DeadLetter, Unavailable
from tests.alerts.desk import PLAYBOOK, Desk, alert, playbooks, until
from tests.shared_data import shared


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
        await desk.until_committed(20)
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
        await desk.until_committed(1)
        assert (intake.counts.started, intake.counts.unmatched) == (0, 1)
        hold.set()
        await desk.until_committed(2)
    assert (intake.counts.started, intake.counts.dead_lettered) == (1, 0)
    assert desk.dead(1)[0][1]["reason"] == "too_large_for_temporal"


async def test_a_playbook_that_reads_too_much_stops_no_other(desk: Desk) -> None:
    """What it reads of the original does not fit into a run: a dead letter, and the other playbook's run."""
    eve = {"event_type": "alert", "timestamp": "2026-05-06T10:00:00+0000", "alert": {"signature": "s", "severity": 1}}
    desk.send(json.dumps({**eve, "payload": "x" * 200_000}).encode())
    greedy = PLAYBOOK.replace("alert.title", "alert.raw.payload")
    async with desk.running(desk.make(playbook=playbooks(PLAYBOOK, greedy))) as intake:
        await desk.until_committed(1)
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


async def test_a_paused_intake_that_gets_more_partitions_reads_its_own_again(desk: Desk) -> None:
    """Too much was read when another left: what it had is read on like what it gets."""

    class Gate(PostgresRecorder):
        """Postgres that lets nothing through until it is told to."""

        opened = asyncio.Event()

        async def record(self, batch: Batch) -> Recorded:
            await self.opened.wait()
            return await super().record(batch)

    gate = Gate(desk.engine)
    first, second = desk.make(recorder=gate, batch=1), desk.make()
    async with desk.running(first):
        async with desk.running(second):
            await until(lambda: len(first._offsets.owned()) == len(second._offsets.owned()) == 2)
            for partition in range(4):
                desk.send(*(alert(10 * partition + n) for n in range(10)), partition=partition)
            await until(lambda: first._paused is True)
        await until(lambda: len(first._offsets.owned()) == 4)
        gate.opened.set()
        await until(lambda: len(desk.starts.distinct) == 40)


async def test_a_record_of_sixteen_mebibytes_is_a_dead_letter_whole(desk: Desk) -> None:
    """The topic takes it, intake's own cap refuses it, and its bytes are kept."""
    huge = b'{"x": "' + b"a" * (16 * 1024 * 1024 - 100) + b'"}'
    desk.send(huge, alert(1))
    async with desk.running(desk.make()) as intake:
        await until(lambda: intake.counts.started == 1 and intake.counts.dead_lettered == 1, 40)
    value, headers = desk.dead(1)[0]
    assert value == huge
    assert headers["reason"] == "too_large"


async def test_every_record_of_a_large_collection_goes_through(desk: Desk) -> None:
    """Real Suricata records: each alert starts its own run, other records are counted; read again, nothing is new."""
    cases = [json.loads(line) for line in shared("suricata_eve.jsonl").read_text().splitlines()]
    alerts = [json.dumps(eve).encode() for case in cases for eve in case["alerts"]]
    others = [json.dumps(eve).encode() for case in cases for eve in case["other"]]
    desk.send(*alerts, *others)
    everything = playbooks(PLAYBOOK.replace('alert.severity > "low"', "alert.rule.id"))

    async with desk.running(desk.make(playbook=everything)) as intake:
        await desk.until_committed(len(alerts) + len(others))
    counts = intake.counts
    assert (counts.started, counts.other) == (len(alerts), len(others))
    assert (counts.unmatched, counts.dead_lettered, counts.conflicts, counts.redelivered) == (0, 0, 0, 0)
    assert len(desk.starts.distinct) == await desk.count("alert") == len(alerts) > 200

    first = desk.starts.distinct
    async with desk.running(desk.make(playbook=everything, group="again")) as again:
        await until(lambda: again.counts.redelivered == len(alerts) + len(others))
    assert desk.starts.distinct == first


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

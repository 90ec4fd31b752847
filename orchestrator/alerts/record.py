"""What intake writes to Postgres: alerts as received, what matched nothing, what is dead; one transaction a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.requests import StartRequest
from orchestrator.audit.database import storable, transaction
from orchestrator.audit.events import Event, record

INSERT = text("""
INSERT INTO tocsin.alert (key, source, id, sha256, severity, title, happened_at, topic, partition, "offset", raw)
SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:hashes AS bytea[]),
    CAST(:severities AS text[]), CAST(:titles AS text[]), CAST(:times AS timestamptz[]), CAST(:topics AS text[]),
    CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:raws AS bytea[]))
ON CONFLICT (key) DO NOTHING RETURNING key
""")
KNOWN = text("SELECT key, sha256 FROM tocsin.alert WHERE key = ANY(CAST(:keys AS text[]))")
CLAIMED = text("SELECT playbook, alert_key FROM tocsin.claim WHERE alert_key = ANY(CAST(:keys AS text[]))")
# what is asked for again is found again; a playbook that has changed since asks for something else
REQUESTED = text("""
INSERT INTO tocsin.start_request
    (alert_key, playbook, content, digest, mode, workflow_id, group_key, join_seconds, may_start, requester)
SELECT alert_key, playbook, decode(content, 'hex'), digest, mode, workflow_id, group_key, join_seconds, may_start,
    requester
FROM unnest(CAST(:alert_keys AS text[]), CAST(:playbooks AS text[]), CAST(:contents AS text[]),
    CAST(:digests AS text[]), CAST(:modes AS text[]), CAST(:workflow_ids AS text[]), CAST(:group_keys AS text[]),
    CAST(:joins AS float8[]), CAST(:may_start AS boolean[]), CAST(:requesters AS text[]))
    AS asked (alert_key, playbook, content, digest, mode, workflow_id, group_key, join_seconds, may_start, requester)
ON CONFLICT DO NOTHING
""")
# A place is counted once, in whatever batches it comes again. One that is younger than its count is of a new topic of
# that name, whose offsets begin again; a sender's clock may be a minute ahead.
UNMATCHED = text("""
WITH near AS MATERIALIZED (
    (SELECT first_offset, last_offset, recorded_at FROM tocsin.unmatched
     WHERE topic = :topic AND partition = :partition AND first_offset BETWEEN :first AND :last)
    UNION ALL
    (SELECT first_offset, last_offset, recorded_at FROM tocsin.unmatched
     WHERE topic = :topic AND partition = :partition AND first_offset < :first ORDER BY first_offset DESC LIMIT 10)
),
fresh AS (
    SELECT min(place) AS first_offset, max(place) AS last_offset, count(*) FILTER (WHERE alert) AS alerts,
        count(*) FILTER (WHERE NOT alert) AS other
    FROM unnest(CAST(:places AS bigint[]), CAST(:kinds AS boolean[]), CAST(:times AS float8[]))
        AS one (place, alert, at)
    WHERE NOT EXISTS (
        SELECT 1 FROM near WHERE place BETWEEN near.first_offset AND near.last_offset
            AND to_timestamp(at) <= near.recorded_at + interval '1 minute'
    )
    HAVING count(*) > 0
),
kept AS (
    INSERT INTO tocsin.unmatched (topic, partition, first_offset, last_offset, alerts, other)
    SELECT :topic, :partition, first_offset, last_offset, alerts, other FROM fresh
    ON CONFLICT (topic, partition, first_offset, last_offset) DO UPDATE
    SET alerts = unmatched.alerts + EXCLUDED.alerts, other = unmatched.other + EXCLUDED.other,
        recorded_at = EXCLUDED.recorded_at
)
SELECT alerts, other FROM fresh
""")
DEAD = text("""
INSERT INTO tocsin.dead_letter (topic, partition, "offset", sha256, reason, place, message, size)
VALUES (:topic, :partition, :offset, :sha256, :reason, :place, :message, :size) ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True)
class Received:
    """An alert that matched, where it came from, what it matched, and the runs that it asks for."""

    alert: Alert
    raw: bytes
    topic: str
    partition: int
    offset: int
    matched: tuple[dict[str, Any], ...]
    requests: tuple[StartRequest, ...] = ()

    @property
    def sha256(self) -> bytes:
        """The digest of its bytes."""
        return hashlib.sha256(self.raw).digest()


@dataclass(frozen=True)
class Dead:
    """A record that never becomes a run."""

    topic: str
    partition: int
    offset: int
    value: bytes
    reason: str
    place: str
    message: str


@dataclass
class Stretch:
    """Records of a partition that start nothing: alerts without a playbook, and what is no alert."""

    topic: str
    partition: int
    places: list[int] = field(default_factory=list)
    kinds: list[bool] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@dataclass
class Batch:
    """What one reading came to."""

    received: list[Received] = field(default_factory=list)
    stretches: dict[tuple[str, int], Stretch] = field(default_factory=dict)
    dead: list[Dead] = field(default_factory=list)

    def nothing(self, topic: str, partition: int, offset: int, *, alert: bool, at: float = 0.0) -> None:
        """Count a record that starts nothing; `at` is Kafka's time of it, in seconds."""
        stretch = self.stretches.setdefault((topic, partition), Stretch(topic, partition))
        stretch.places.append(offset)
        stretch.kinds.append(alert)
        stretch.times.append(at)


@dataclass(frozen=True)
class Recorded:
    """What was known before: keys with other bytes, which start nothing, and pairs of playbook and alert with a run.

    `unmatched` and `other` are how many alerts and other records start nothing and were not counted before.
    """

    conflicts: frozenset[str]
    seen: frozenset[str]
    claimed: frozenset[tuple[str, str]]
    unmatched: int = 0
    other: int = 0


class PostgresRecorder:
    """Records batches. Recording one again changes nothing: a redelivered batch finds its own rows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, batch: Batch) -> Recorded:
        """Write the batch; raises `Unavailable` where that has to be tried again."""
        async with transaction(self._engine) as connection:
            recorded = await self._alerts(connection, batch.received)
            counted = [await self._unmatched(connection, stretch) for stretch in batch.stretches.values()]
            await self._dead(connection, batch.dead)
        alerts, other = (sum(numbers) for numbers in zip((0, 0), *counted, strict=True))
        return replace(recorded, unmatched=alerts, other=other)

    async def _unmatched(self, connection: AsyncConnection, stretch: Stretch) -> tuple[int, int]:
        """How many alerts and other records of these are new."""
        row = {**vars(stretch), "first": min(stretch.places), "last": max(stretch.places)}
        new = (await connection.execute(UNMATCHED, row)).first()
        return (new.alerts, new.other) if new else (0, 0)

    async def ask_for(self, request: StartRequest, *, trust: str = "unverified") -> None:
        """Record that somebody asks for a run by hand, without an alert: what nobody asked for is not carried out.

        `trust` says how far it is known who that is.
        """
        body = {
            "playbook": request.playbook, "digest": request.digest, "inputs": request.inputs, "mode": request.mode,
            "requester": request.requester, "trust": trust, "workflow_id": request.workflow_id,
        }  # fmt: skip
        async with transaction(self._engine) as connection:
            await connection.execute(REQUESTED, _requested([request]))
            await record(connection, [Event(type="run.requested", subject=request.alert_key, body=body)])

    async def _alerts(self, connection: AsyncConnection, received: Sequence[Received]) -> Recorded:
        if not received:
            return Recorded(frozenset(), frozenset(), frozenset())
        # one row for each key of the batch: the first stands, later ones are compared with it
        first = {one.alert.key: one for one in reversed(received)}
        inserted = set((await connection.execute(INSERT, _columns(list(first.values())))).scalars())
        keys = {"keys": list(first)}
        known = {row.key: bytes(row.sha256) for row in await connection.execute(KNOWN, keys)}
        conflicts = [one for one in received if known[one.alert.key] != one.sha256]
        same = (one for one in received if known[one.alert.key] == one.sha256)
        await connection.execute(REQUESTED, _requested(request for one in same for request in one.requests))
        seen = frozenset(first) - inserted
        claimed: frozenset[tuple[str, str]] = frozenset()
        if seen:
            claimed = frozenset((row.playbook, row.alert_key) for row in await connection.execute(CLAIMED, keys))
        fresh = [first[key] for key in first if key in inserted]
        await record(connection, [event for one in fresh for event in _told(one)])
        await record(connection, [_conflict(one) for one in conflicts])
        return Recorded(frozenset(_place(one) for one in conflicts), seen, claimed)

    async def _dead(self, connection: AsyncConnection, dead: Sequence[Dead]) -> None:
        for one in dead:
            row = {**vars(one), "sha256": hashlib.sha256(one.value).digest(), "size": len(one.value)}
            row.pop("value")
            row["message"], row["place"] = storable(one.message), storable(one.place)
            new = await connection.execute(DEAD, row)
            if new.rowcount:
                body = {
                    name: row[name] for name in ("topic", "partition", "offset", "reason", "place", "message", "size")
                }
                await record(connection, [Event(type="dead_letter.written", body=body)])


def _place(one: Received) -> str:
    return f"{one.topic}:{one.partition}:{one.offset}"


def _columns(received: list[Received]) -> dict[str, list[Any]]:
    return {
        "keys": [one.alert.key for one in received],
        "sources": [one.alert.key.partition("/")[0] for one in received],
        "ids": [one.alert.id for one in received],
        "hashes": [one.sha256 for one in received],
        "severities": [str(one.alert.severity) for one in received],
        "titles": [one.alert.title for one in received],
        "times": [one.alert.time for one in received],
        "topics": [one.topic for one in received],
        "partitions": [one.partition for one in received],
        "offsets": [one.offset for one in received],
        "raws": [one.raw for one in received],
    }


def _requested(requests: Iterable[StartRequest]) -> dict[str, list[Any]]:
    asked = list(requests)
    return {
        "alert_keys": [one.alert_key for one in asked],
        "playbooks": [one.playbook for one in asked],
        "contents": [one.content for one in asked],
        "digests": [one.digest for one in asked],
        "modes": [one.mode for one in asked],
        "workflow_ids": [one.workflow_id for one in asked],
        "group_keys": [storable(one.group_key) for one in asked],
        "joins": [one.join for one in asked],
        "may_start": [one.may_start for one in asked],
        "requesters": [one.requester for one in asked],
    }


def _told(one: Received) -> list[Event]:
    alert = one.alert
    body = {
        "source": alert.key.partition("/")[0], "id": alert.id, "severity": str(alert.severity), "title": alert.title,
        "time": alert.time.isoformat(), "from": _place(one), "sha256": one.sha256.hex(),
    }  # fmt: skip
    return [
        Event(type="alert.received", subject=alert.key, body=body),
        *(Event(type="alert.matched", subject=alert.key, body=matched) for matched in one.matched),
    ]


def _conflict(one: Received) -> Event:
    body = {"id": one.alert.id, "from": _place(one), "sha256": one.sha256.hex(), "why": "same key, other bytes"}
    return Event(type="alert.conflict", subject=one.alert.key, body=body)

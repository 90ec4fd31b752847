"""Find an alert again: in Postgres by its id or key, in Kafka by its place, in a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, storable
from orchestrator.errors import TocsinError, Unavailable

PLACE = re.compile(r"(?P<topic>[^:\s]+):(?P<partition>\d+):(?P<offset>\d+)")
FOUND = text("""
SELECT key, topic, partition, "offset", raw FROM tocsin.alert WHERE key = :name OR id = :name
ORDER BY received_at LIMIT 20
""")
SAME = text("""
SELECT key, topic, partition, "offset", raw FROM tocsin.alert WHERE sha256 = :sha256 ORDER BY received_at LIMIT 1
""")
RUNS = text("""
SELECT c.playbook, c.how, c.run, c.workflow_id, r.state FROM tocsin.claim c LEFT JOIN tocsin.run r ON r.run = c.run
WHERE c.alert_key = :key ORDER BY c.claimed_at
""")
DEAD = text("""
SELECT reason, message FROM tocsin.dead_letter
WHERE topic = :topic AND partition = :partition AND "offset" = :offset ORDER BY recorded_at DESC LIMIT 1
""")
CHOSEN = text("""
SELECT at, body->>'playbook' AS playbook, body->>'digest' AS digest, body->'values' AS "values"
FROM tocsin.audit_event WHERE subject = :key AND type = 'alert.matched' ORDER BY place
""")
CONFLICT = text("SELECT 1 FROM tocsin.alert WHERE key = :key AND sha256 <> :sha256")


class AlertNotFound(TocsinError):
    """No such alert where it was looked for."""


class Record(BaseModel):
    """A record with its place; one that is only in a file has none. `key` is the one under which it was recorded."""

    model_config = ConfigDict(frozen=True)

    raw: bytes | None
    key: str | None = None
    topic: str = "file"
    partition: int = 0
    offset: int = 0

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.topic}:{self.partition}:{self.offset}"


async def find(name: str, engine: AsyncEngine, kafka: Mapping[str, str]) -> list[Record]:
    """The records that `name` means: `topic:partition:offset`, a file, or an alert's id or key.

    An id is that of several records where its source repeats it, a file may hold one record a line.
    """
    place = PLACE.fullmatch(name)
    if place:
        return [read_place(kafka, place["topic"], int(place["partition"]), int(place["offset"]))]
    if Path(name).is_file():
        return [await _as_recorded(engine, raw) for raw in records_of(Path(name).read_bytes())]
    async with single_statement(engine) as connection:
        rows = (await connection.execute(FOUND, {"name": storable(name)})).mappings().all()
    if not rows:
        raise AlertNotFound(
            f"no alert {name!r} was recorded; one that matched nothing is found by its place: topic:partition:offset"
        )
    return [Record(**row) for row in rows]


def records_of(raw: bytes) -> list[bytes]:
    """One record a line; a file whose first line does not end an object is one record."""
    lines = [line for line in raw.splitlines() if line.strip()]
    if lines and not lines[0].rstrip().endswith(b"}"):
        return [raw.strip()]
    return lines


async def _as_recorded(engine: AsyncEngine, raw: bytes) -> Record:
    """The record of these bytes that intake has recorded; else the bytes alone."""
    async with single_statement(engine) as connection:
        found = await connection.execute(SAME, {"sha256": hashlib.sha256(raw).digest()})
        row = found.mappings().first()
    return Record(**row) if row else Record(raw=raw)


class Chosen(BaseModel):
    """That a playbook was chosen, when, and by which values; `digest` is the version that was in force."""

    model_config = ConfigDict(frozen=True)

    playbook: str
    digest: str
    at: datetime
    values: dict[str, Any]


class Story(BaseModel):
    """What became of a record, as it was written down then; nothing of it is worked out anew."""

    model_config = ConfigDict(frozen=True)

    dead_letter: str | None = None
    message: str | None = None
    conflict: bool = False
    chosen: list[Chosen] = []
    runs: list[dict[str, Any]] = []


async def story_of(engine: AsyncEngine, record: Record, key: str | None) -> Story:
    """Its story; `key` is the alert's, where it is one. Other bytes under a known key did not start what those did."""
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    async with single_statement(engine) as connection:
        dead = (await connection.execute(DEAD, place)).mappings().first()
        bytes_ = {"key": key, "sha256": hashlib.sha256(record.raw or b"").digest()}
        conflict = (await connection.execute(CONFLICT, bytes_)).first() is not None
        told = {"dead_letter": dead["reason"], "message": dead["message"]} if dead else {}
        if key is None or conflict:
            return Story(**told, conflict=conflict)
        chosen = (await connection.execute(CHOSEN, {"key": key})).mappings().all()
        runs = (await connection.execute(RUNS, {"key": key})).mappings().all()
    return Story(**told, chosen=[Chosen(**one) for one in chosen], runs=[dict(one) for one in runs])


def has_read(kafka: Mapping[str, str], group: str, record: Record) -> bool:
    """Whether intake is done with the record; no group is joined."""
    consumer = Consumer({**kafka, "group.id": group, "enable.auto.commit": False})
    try:
        place = TopicPartition(record.topic, record.partition)
        return bool(consumer.committed([place], timeout=10)[0].offset > record.offset)
    except KafkaException as error:
        raise Unavailable(f"Kafka does not say how far intake is: {error.args[0].str()}") from error
    finally:
        consumer.close()


def read_place(kafka: Mapping[str, str], topic: str, partition: int, offset: int) -> Record:
    """Read one record again; no group is joined and nothing is committed."""
    consumer = Consumer({**kafka, "group.id": "tocsin-explain", "enable.auto.commit": False})
    try:
        place = TopicPartition(topic, partition, offset)
        first, end = consumer.get_watermark_offsets(place, timeout=10)
        if not first <= offset < end:
            kept = f"there are those from {first} to {end - 1}" if first < end else "there are none"
            raise AlertNotFound(f"there is no record at {topic}:{partition}:{offset}; {kept}")
        consumer.assign([place])
        message = consumer.poll(10.0)
    except OverflowError:
        raise AlertNotFound(f"there is no record at {topic}:{partition}:{offset}: no topic is that long") from None
    except KafkaException as error:
        raise AlertNotFound(f"there is no record at {topic}:{partition}:{offset}: {error.args[0].str()}") from None
    finally:
        consumer.close()
    if message is None or message.error() or message.offset() != offset:
        raise AlertNotFound(f"there is no record at {topic}:{partition}:{offset} any more")
    return Record(topic=topic, partition=partition, offset=offset, raw=message.value())

"""Find an alert again: in Postgres by its id or key, in Kafka by its place, in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement
from orchestrator.errors import TocsinError

PLACE = re.compile(r"(?P<topic>[^:\s]+):(?P<partition>\d+):(?P<offset>\d+)")
FOUND = text("""
SELECT key, topic, partition, "offset", raw FROM tocsin.alert WHERE key = :name OR id = :name LIMIT 1
""")
RUNS = text("""
SELECT c.playbook, c.how, c.run, c.workflow_id, r.state FROM tocsin.claim c LEFT JOIN tocsin.run r ON r.run = c.run
WHERE c.alert_key = :key ORDER BY c.claimed_at
""")


class AlertNotFound(TocsinError):
    """No such alert where it was looked for."""


class Record(BaseModel):
    """A record with its place."""

    model_config = ConfigDict(frozen=True)

    topic: str
    partition: int
    offset: int
    raw: bytes


async def find(name: str, engine: AsyncEngine, kafka: Mapping[str, str]) -> Record:
    """The record that `name` means: `topic:partition:offset`, a file, or an alert's id or key."""
    place = PLACE.fullmatch(name)
    if place:
        return read_place(kafka, place["topic"], int(place["partition"]), int(place["offset"]))
    if Path(name).is_file():
        return Record(topic="file", partition=0, offset=0, raw=Path(name).read_bytes().strip())
    async with single_statement(engine) as connection:
        row = (await connection.execute(FOUND, {"name": name})).mappings().first()
    if row is None:
        raise AlertNotFound(
            f"no alert {name!r} was recorded; one that matched nothing is found by its place: topic:partition:offset"
        )
    return Record(topic=row["topic"], partition=row["partition"], offset=row["offset"], raw=bytes(row["raw"]))


async def runs_of(engine: AsyncEngine, key: str) -> list[dict[str, object]]:
    """What the alert started or joined."""
    async with single_statement(engine) as connection:
        return [dict(row) for row in (await connection.execute(RUNS, {"key": key})).mappings()]


def read_place(kafka: Mapping[str, str], topic: str, partition: int, offset: int) -> Record:
    """Read one record again; no group is joined and nothing is committed."""
    consumer = Consumer({**kafka, "group.id": "tocsin-explain", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        message = consumer.poll(10.0)
    finally:
        consumer.close()
    if message is None or message.error() or message.offset() != offset:
        raise AlertNotFound(f"there is no record at {topic}:{partition}:{offset} (any more)")
    return Record(topic=topic, partition=partition, offset=offset, raw=message.value() or b"")

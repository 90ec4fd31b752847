"""Publish the audit to Kafka: in order, at least once, each event with an id that makes a repeat recognisable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.audit.kafka import Outgoing

UNPUBLISHED = text("""
SELECT p.position, e.id, e.at, e.type, e.run, e.subject, e.body
FROM tocsin.audit_position p JOIN tocsin.audit_event e ON e.id = p.event
WHERE p.position > (SELECT published FROM tocsin.audit_relay) ORDER BY p.position LIMIT :batch
""")
PUBLISHED = text("UPDATE tocsin.audit_relay SET published = :position WHERE published < :position")


def message(row: Mapping[str, Any]) -> bytes:
    """The event as it stands in Kafka: JSON with its place in the order and its id."""
    return orjson.dumps({**row, "id": str(row["id"])})


class Writer(Protocol):
    """Takes records for the topic of the audit; raises `Unavailable` to be asked again."""

    async def write(self, records: Sequence[Outgoing]) -> None:
        """Write them in their order, and wait until they are safe."""
        ...


class Relay:
    """The duty of publishing what has a place."""

    name = "relay"

    def __init__(self, engine: AsyncEngine, producer: Writer, *, batch: int = 500) -> None:
        self._engine = engine
        self._producer = producer
        self._batch = batch

    async def once(self) -> int:
        """Publish the next batch; how many events that were.

        They are marked after Kafka has acknowledged all of them: a crash in between publishes them again.
        """
        async with single_statement(self._engine) as connection:
            rows = (await connection.execute(UNPUBLISHED, {"batch": self._batch})).mappings().all()
        if not rows:
            return 0
        await self._producer.write([Outgoing(message(dict(row)), key=str(row["id"]).encode()) for row in rows])
        async with transaction(self._engine) as connection:
            await connection.execute(PUBLISHED, {"position": rows[-1]["position"]})
        return len(rows)

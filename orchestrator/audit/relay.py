"""Publish the audit to Kafka: in order, at least once, each event with an id that makes a repeat recognisable."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.errors import Unavailable

UNPUBLISHED = text("""
SELECT p.position, e.id, e.at, e.type, e.run, e.subject, e.body
FROM tocsin.audit_position p JOIN tocsin.audit_event e ON e.id = p.event
WHERE p.position > (SELECT published FROM tocsin.audit_relay) ORDER BY p.position LIMIT :batch
""")
PUBLISHED = text("UPDATE tocsin.audit_relay SET published = :position WHERE published < :position")


def message(row: Mapping[str, Any]) -> bytes:
    """The event as it stands in Kafka: JSON with its place in the order and its id."""
    return orjson.dumps({**row, "id": str(row["id"])})


class KafkaPublisher:
    """Publishes to one topic; one partition keeps the order.

    The producer is idempotent, so the broker drops what a retry repeats; what a crash repeats has the same id.
    """

    def __init__(self, options: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {**options, "enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": 20_000}
        )

    async def publish(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send these (key, value) in order and wait for their acknowledgement; raises `Unavailable` if one has none."""
        failures: list[KafkaError] = []
        await asyncio.to_thread(self._send, messages, failures)
        if failures:
            raise Unavailable(f"Kafka did not take the audit: {failures[0].str()}")

    def _send(self, messages: Sequence[tuple[bytes, bytes]], failures: list[KafkaError]) -> None:
        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failures.append(error)

        try:
            for key, value in messages:
                self._producer.produce(self._topic, key=key, value=value, on_delivery=delivered)
            self._producer.flush()
        except (KafkaException, BufferError) as error:
            self._producer.flush()
            raise Unavailable(f"Kafka did not take the audit: {error}") from error


class Relay:
    """The duty of publishing what has a place."""

    name = "relay"

    def __init__(self, engine: AsyncEngine, publisher: KafkaPublisher, *, batch: int = 500) -> None:
        self._engine = engine
        self._publisher = publisher
        self._batch = batch

    async def once(self) -> int:
        """Publish the next batch; how many events that were.

        They are marked after Kafka has acknowledged all of them: a crash in between publishes them again.
        """
        async with single_statement(self._engine) as connection:
            rows = (await connection.execute(UNPUBLISHED, {"batch": self._batch})).mappings().all()
        if not rows:
            return 0
        await self._publisher.publish([(str(row["id"]).encode(), message(dict(row))) for row in rows])
        async with transaction(self._engine) as connection:
            await connection.execute(PUBLISHED, {"position": rows[-1]["position"]})
        return len(rows)

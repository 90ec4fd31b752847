"""The topic of records that can never become runs: their bytes as they came, and why, in the headers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from orchestrator.alerts.record import Dead
from orchestrator.errors import Unavailable

LARGEST = 17 * 1024 * 1024 - 64 * 1024
"""bytes of a value that the topic takes"""


class DeadLetterTopic:
    """Writes dead letters and waits until Kafka has them."""

    def __init__(self, options: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {
                **options,
                "enable.idempotence": True,
                "message.max.bytes": 18 * 1024 * 1024,
                "delivery.timeout.ms": 20_000,
                "linger.ms": 5,
            }
        )

    async def write(self, dead: Sequence[Dead]) -> None:
        """Write them; raises `Unavailable` where Kafka did not take all of them."""
        failures: list[KafkaError] = []
        await asyncio.to_thread(self._write, dead, failures)
        if failures:
            raise Unavailable(f"Kafka did not take a dead letter: {failures[0].str()}")

    def _write(self, dead: Sequence[Dead], failures: list[KafkaError]) -> None:
        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failures.append(error)

        try:
            for one in dead:
                value = one.value[:LARGEST]
                self._producer.produce(self._topic, value=value, headers=headers(one), on_delivery=delivered)
            self._producer.flush()
        except (KafkaException, BufferError) as error:
            raise Unavailable(f"Kafka did not take a dead letter: {error}") from error


def headers(one: Dead) -> list[tuple[str, str | bytes | None]]:
    """Why it is dead and where it came from; `truncated` and `sha256` where the topic cannot hold all of it."""
    listed = [
        ("reason", one.reason),
        ("place", one.place),
        ("message", one.message),
        ("topic", one.topic),
        ("partition", str(one.partition)),
        ("offset", str(one.offset)),
    ]
    if len(one.value) > LARGEST:
        listed += [("truncated", str(len(one.value))), ("sha256", hashlib.sha256(one.value).hexdigest())]
    return [(name, value.encode("utf-8", "backslashreplace")) for name, value in listed]

"""The topic of records that can never become runs: their bytes as they came, and why, in the headers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from orchestrator.alerts.record import Dead
from orchestrator.audit.kafka import Outgoing, PatientProducer

LARGEST = 17 * 1024 * 1024 - 64 * 1024
"""bytes of a value that the topic takes"""


class DeadLetterTopic:
    """Writes dead letters and waits until Kafka has them."""

    def __init__(self, options: Mapping[str, str], topic: str) -> None:
        self._producer = PatientProducer(options, topic, what="a dead letter")

    async def write(self, dead: Sequence[Dead]) -> None:
        """Write them; raises `Unavailable` where Kafka did not take all of them."""
        await self._producer.write([Outgoing(one.value[:LARGEST], headers=headers(one)) for one in dead])


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

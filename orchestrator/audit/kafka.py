"""The way to Kafka: clients that say once what is wrong, and a producer for what must not be lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from orchestrator.audit.greeting import fault_of
from orchestrator.errors import Unavailable

LARGEST_MESSAGE = 18 * 1024 * 1024
"""bytes of one record with its headers; what a topic takes is the topic's own setting"""

QUIET = 30.0
"""seconds in which the same trouble is told once"""
SILENT = logging.Logger("kafka.silent", level=logging.CRITICAL + 1)
log = structlog.get_logger()


class Trouble:
    """What a client of Kafka last complained about. The library itself would say it twenty times a second."""

    def __init__(self, who: str) -> None:
        self.last = ""
        self._who = who
        self._told: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        """Remember it, and log it unless that was done a moment ago."""
        self.last = error.str()
        if time.monotonic() - self._told.get(error.code(), -QUIET) >= QUIET:
            self._told[error.code()] = time.monotonic()
            fault = fault_of(self.last)
            log.warning("kafka.trouble", client=self._who, error=self.last, **({"setting": fault} if fault else {}))

    @property
    def options(self) -> dict[str, Any]:
        """The options of a client whose trouble this is."""
        return {
            "error_cb": self,
            "log_level": 0,
            "logger": SILENT,  # what is fatal would be printed at every level
            "reconnect.backoff.ms": 200,
            "reconnect.backoff.max.ms": 2_000,
        }


@dataclass(frozen=True)
class Outgoing:
    """One record to write."""

    value: bytes
    key: bytes | None = None
    headers: Sequence[tuple[str, str | bytes | None]] = ()


class PatientProducer:
    """Writes to one topic. It is idempotent: the broker drops what a retry repeats."""

    def __init__(self, options: Mapping[str, str], topic: str, *, what: str) -> None:
        self._options = options
        self._topic = topic
        self._what = what
        self._trouble = Trouble(topic)
        self._producer = self._new()

    async def write(self, records: Sequence[Outgoing]) -> None:
        """Write all and wait until Kafka has them; raises `Unavailable` where it does not take one of them."""
        await asyncio.to_thread(self._write, records)

    def _write(self, records: Sequence[Outgoing]) -> None:
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failures.append(error)

        try:
            for one in records:
                headers = list(one.headers)
                self._producer.produce(self._topic, one.value, one.key, headers=headers, on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            failures.append(error.args[0] if isinstance(error, KafkaException) else KafkaError(KafkaError._QUEUE_FULL))  # noqa: SLF001 - the library's own name
        self._producer.flush()
        if failures:
            if any(failure.fatal() for failure in failures):  # this one takes nothing any more
                self._producer = self._new()
            raise Unavailable(f"Kafka did not take {self._what}: {self._why(failures[0])}")

    def _why(self, failure: KafkaError) -> str:
        why = failure.str() + (f" ({self._trouble.last})" if self._trouble.last else "")
        if "authorization failed" in why.lower():
            rights = f"grant the user of kafka.username or kafka.certificate_file Write on {self._topic}"
            return f"it does not let us write; {rights}"
        return why

    def _new(self) -> Producer:
        options = {
            **self._options,
            **self._trouble.options,
            "enable.idempotence": True,
            "linger.ms": 5,
            "delivery.timeout.ms": 20_000,
            "message.max.bytes": LARGEST_MESSAGE,
        }
        return Producer(options)

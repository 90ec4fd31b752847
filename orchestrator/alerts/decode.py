"""From the bytes of a record to an alert."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.sources import NotAnAlert, Origin, Source, recognise, source_named
from orchestrator.alerts.strict_json import REASONS, read_object
from orchestrator.errors import DeadLetter
from orchestrator.settings import IntakeSettings

ESCAPED_NUL = b"\\u0000"


class Decoder:
    """Decodes records as the settings say; raises `DeadLetter` for what can never be an alert."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings
        self._by_topic: Mapping[str, Source] = {topic: source_named(name) for topic, name in settings.sources.items()}

    def decode(self, value: bytes | None, topic: str, partition: int, offset: int) -> Alert | NotAnAlert:
        """The alert, by the topic's source where one is set, else by content."""
        decoded = read_object(
            value,
            most_bytes=self._settings.max_alert_bytes,
            most_depth=self._settings.max_depth,
            most_keys=self._settings.max_keys,
        )
        source = self._by_topic.get(topic) or recognise(decoded)
        alert = source.decode(decoded, Origin(topic, partition, offset, value or b""))
        if value and ESCAPED_NUL in value and isinstance(alert, Alert):
            refuse_nul(alert)
        return alert


def refuse_nul(alert: Alert) -> None:
    """Refuse a NUL in the fields that actions are given; in the original (payloads of packets) it may stand."""
    if ESCAPED_NUL in alert.model_dump_json(exclude={"raw"}, exclude_none=True).encode():
        raise DeadLetter("nul", REASONS["nul"])


def decode_sample(raw: bytes) -> Alert:
    """The alert that a sample file holds; raises `DeadLetter` where it holds none."""
    alert = Decoder(IntakeSettings()).decode(raw.strip(), "sample", 0, 0)
    if isinstance(alert, NotAnAlert):
        raise DeadLetter("unknown_format", f"a record of kind {alert.kind}, not an alert")
    return alert

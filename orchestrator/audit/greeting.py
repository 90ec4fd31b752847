"""The first word with Kafka: whether it takes us as the settings say, and which setting is wrong where it does not."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from orchestrator.errors import SettingsError
from orchestrator.settings import KafkaSettings

PATIENCE = 5.0
"""seconds to wait for an answer; a broker that is away is waited for later, by whoever needs it"""

# what the client says, in lower case, and what that means; the first that fits counts
FAULTS = (
    ("mechanism handshake failed", "kafka.sasl_mechanism: the broker does not take this mechanism"),
    ("sasl authentication error", "kafka.username and kafka.password: the broker does not take them"),
    ("certificate verify failed", "kafka.ca_file: it does not vouch for a broker of the name in kafka.bootstrap"),
    ("ssl.ca.location failed", "kafka.ca_file: it holds no certificates"),
    ("ssl.certificate.location failed", "kafka.certificate_file: it holds no certificate"),
    ("ssl.key.location failed", "kafka.key_file: it holds no key of kafka.certificate_file, or one with a passphrase"),
    ("alert certificate required", "kafka.certificate_file: the broker wants one of ours from an issuer it knows"),
    ("alert unknown ca", "kafka.certificate_file: the broker does not know who issued it"),
    ("alert certificate expired", "kafka.certificate_file: it has expired"),
    ("alert bad certificate", "kafka.certificate_file: the broker does not take it"),
    ("plaintext broker listener", "kafka.security_protocol: the broker speaks without TLS there"),
    ("wrong version number", "kafka.security_protocol: the broker speaks without TLS there"),
)  # fmt: skip
CLOSED = re.compile(r"closed by peer.* in state (APIVERSION_QUERY|UP|AUTH_HANDSHAKE)")
NOISE = re.compile(r"^.*/(?:bootstrap|\d+): |error:[0-9A-F]+:[^:]*::| \(after \d+ms in state \w+\)$|, verify that .*$")


def greet(settings: KafkaSettings, bootstrap: str, *, patience: float = PATIENCE) -> bool:
    """Whether Kafka gives us its brokers in time; raises `SettingsError` with the setting's name where it refuses us.

    Nobody answering is no mistake: that passes by itself, and each client waits for it.
    """
    heard = _Heard()
    client = _client(settings, bootstrap, heard)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if _answers(client):
            return True
        wrong = next(filter(None, map(fault_of, heard.said)), None)
        if wrong:
            raise SettingsError(f"Kafka at {bootstrap} refuses us; {wrong}")
    if any(CLOSED.search(one) for one in heard.said):
        raise SettingsError(
            f"Kafka at {bootstrap} closes every connection; kafka.security_protocol: it is "
            f"{settings.security_protocol}, and the broker seems to want another"
        )
    return False


def fault_of(complaint: str) -> str | None:
    """The setting that a complaint of Kafka's client is about, with what is wrong; None for what passes by itself."""
    lower = complaint.lower()
    fault = next((what for words, what in FAULTS if words in lower), None)
    return f"{fault} ({NOISE.sub('', complaint)})" if fault else None


class _Heard(logging.Handler):
    """All that a client says, by its errors and by its log: a closed connection stands in the log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the log."""
        self.said.append(record.getMessage())

    @property
    def options(self) -> dict[str, Any]:
        """The options of a client that is listened to."""
        logger = logging.Logger("kafka.greeting")
        logger.addHandler(self)
        return {"logger": logger, "error_cb": lambda error: self.said.append(error.str()), "log_level": 6}


def _client(settings: KafkaSettings, bootstrap: str, heard: _Heard) -> AdminClient:
    _refuse_unreadable((name, getattr(settings, name)) for name in ("ca_file", "certificate_file", "key_file"))
    options = {**settings.client_options(bootstrap), **heard.options, "socket.timeout.ms": 2_000}
    try:
        return AdminClient(options)
    except KafkaException as error:
        said = error.args[0].str() if isinstance(error.args[0], KafkaError) else str(error)
        raise SettingsError(fault_of(said.rpartition("client: ")[2]) or f"kafka: {said}") from None


def _refuse_unreadable(files: Iterable[tuple[str, Path | None]]) -> None:
    for name, file in files:
        try:
            if file:
                file.open("rb").close()
        except OSError as error:
            raise SettingsError(f"kafka.{name} {file}: {error.strerror}") from None


def _answers(client: AdminClient) -> bool:
    try:
        return bool(client.list_topics(timeout=0.5).brokers)
    except KafkaException:
        client.poll(0)
        return False

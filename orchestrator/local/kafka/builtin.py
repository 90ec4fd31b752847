"""The test broker that librdkafka carries: for the demo alone, on machines that have neither Maven nor a Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer


@contextmanager
def builtin_test_broker() -> Iterator[str]:
    """The address of a broker inside this process. It keeps everything in memory and ends with the block."""
    host = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 0})
    try:
        brokers = host.list_topics(timeout=5.0).brokers.values()
        yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    finally:
        host.flush(1.0)

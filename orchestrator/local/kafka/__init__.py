"""The local broker: Apache Kafka in KRaft mode, its jars resolved once by Maven into the user's cache."""

from orchestrator.local.kafka.broker import KafkaPart
from orchestrator.local.kafka.builtin import builtin_test_broker
from orchestrator.local.kafka.jars import have_jars, jar_folder, resolve_jars

__all__ = ["KafkaPart", "builtin_test_broker", "have_jars", "jar_folder", "resolve_jars"]

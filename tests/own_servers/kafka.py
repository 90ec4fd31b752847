"""A real broker with SASL_SSL and mutual TLS, whose users may do what the manual says and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from orchestrator.local import ports
from orchestrator.local.kafka import KafkaPart
from orchestrator.settings import KafkaSettings
from tests.own_servers.certificates import Authority
from tests.servers import a_server

PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{kafka_controller},\
SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka},SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
PASSWORD = "correct horse"


@dataclass(frozen=True)
class SecuredKafka:
    """Where it listens. The plain listener is the administrator's alone."""

    admin: str
    sasl_ssl: str
    ssl: str
    authority: Authority

    def add_user(self, name: str) -> None:
        """A user who signs in with `PASSWORD`, and may do nothing yet."""
        new = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
        )
        admin = self._admin()  # it has to live until it has its answer
        for done in admin.alter_user_scram_credentials([new]).values():
            done.result()

    def grant(self, user: str, operation: AclOperation, *names: str, kind: ResourceType = ResourceType.TOPIC) -> None:
        """Let the user do this with topics or groups."""
        rules = [
            AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for name in names
        ]
        admin = self._admin()
        for done in admin.create_acls(rules).values():
            done.result()

    def grant_what_the_manual_says(self, user: str, settings: KafkaSettings, group: str) -> None:
        """See docs/own-servers.md."""
        topics = settings.topics
        self.grant(user, AclOperation.READ, topics.alerts)
        self.grant(user, AclOperation.WRITE, topics.alerts, topics.dead_letters, topics.audit)
        self.grant(user, AclOperation.READ, group, kind=ResourceType.GROUP)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.admin, "log_level": 0})


@asynccontextmanager
async def secured_kafka(folder: Path, authority: Authority) -> AsyncIterator[SecuredKafka]:
    """The local stack's broker with other properties, for as long as the block runs."""
    folder.mkdir()
    part = KafkaPart()
    chosen = ports.choose((*part.ports, "sasl_ssl", "ssl"), {}, {}, any_port=True)
    launch = await part.prepare(folder, chosen)
    server = authority.issue_for_loopback("broker")
    keystore = folder / "keystore.pem"
    keystore.write_text(server.key.read_text() + server.certificate.read_text())
    with (folder / "server.properties").open("a") as properties:  # what stands later counts
        properties.write(PROPERTIES.format(keystore=keystore, truststore=authority.certificate, **chosen))
    async with a_server(launch, folder, lambda: part.healthy(folder, chosen)):
        yield SecuredKafka(*(f"127.0.0.1:{chosen[name]}" for name in ("kafka", "sasl_ssl", "ssl")), authority)


def values_of(topic: str, options: dict[str, str], count: int) -> Sequence[bytes]:
    """The first records of a topic's only partition, read as anybody would."""
    reader = Consumer({**options, "group.id": "nobody", "enable.auto.commit": False, "log_level": 0})
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        return [message.value() or b"" for message in reader.consume(count, 20) if not message.error()]
    finally:
        reader.close()

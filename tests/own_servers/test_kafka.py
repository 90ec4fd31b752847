"""Apache Kafka with SASL_SSL and SCRAM, and with mutual TLS: everything flows, and a mistake names its setting."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.greeting import greet
from orchestrator.errors import SettingsError
from orchestrator.local.lab import Lab
from orchestrator.local.prepare import make_topics
from orchestrator.settings import KafkaSettings, Settings
from tests.integrations.support import free_port
from tests.own_servers.certificates import Authority, Pair
from tests.own_servers.flow import PLAYBOOKS, assert_everything_flows, assert_refused, lab_settings
from tests.own_servers.kafka import PASSWORD, SecuredKafka, secured_kafka
from tests.site import Site, make_site, on_the_test_servers

pytestmark = pytest.mark.timeout(300)  # a server that starts, and many processes of the command
SCRAM = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "username": "tocsin", "password": PASSWORD}


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[SecuredKafka]:
    """The broker, with a user `tocsin` who may do nothing yet."""
    async with secured_kafka(tmp_path_factory.mktemp("kafka") / "broker", authority) as kafka:
        kafka.add_user("tocsin")
        yield kafka


@pytest.fixture
def topics(kafka: SecuredKafka, settings: Settings) -> Settings:
    """The test's topics on that broker, made by its administrator."""
    here = settings.kafka.model_copy(update={"bootstrap": kafka.admin})
    made = settings.model_copy(update={"kafka": here})
    make_topics(made, kafka.admin)
    return made


@pytest.fixture
def scram(kafka: SecuredKafka, topics: Settings, lab: Lab, tmp_path: Path) -> Site:
    """A site that signs in with a password."""
    security = SCRAM | {"bootstrap": kafka.sasl_ssl, "ca_file": kafka.authority.certificate}
    return site_of(tmp_path / "site", topics, security, lab)


@pytest.fixture
def mutual(kafka: SecuredKafka, topics: Settings, lab: Lab, tmp_path: Path) -> Site:
    """A site that shows a certificate."""
    ours = kafka.authority.issue("tocsin-client")
    security = {
        "bootstrap": kafka.ssl, "security_protocol": "SSL", "ca_file": kafka.authority.certificate,
        "certificate_file": ours.certificate, "key_file": ours.key,
    }  # fmt: skip
    return site_of(tmp_path / "site", topics, security, lab)


def site_of(folder: Path, settings: Settings, security: dict[str, object], lab: Lab) -> Site:
    servers = on_the_test_servers(settings)
    return make_site(folder, PLAYBOOKS, {**servers, **lab_settings(lab), "kafka": {**servers["kafka"], **security}})


async def test_everything_flows_with_a_password_over_tls(
    scram: Site, kafka: SecuredKafka, topics: Settings, engine: AsyncEngine, lab: Lab
) -> None:
    """SCRAM-SHA-512 over TLS, with the rights that the manual asks for and no others."""
    kafka.grant_what_the_manual_says("tocsin", topics.kafka, scram.environment["TOCSIN_INTAKE__GROUP"])
    await assert_everything_flows(scram, engine, topics, lab)


async def test_everything_flows_with_mutual_tls(
    mutual: Site, kafka: SecuredKafka, topics: Settings, engine: AsyncEngine, lab: Lab
) -> None:
    """The certificate's name is the user whom the broker knows."""
    kafka.grant_what_the_manual_says("CN=tocsin-client", topics.kafka, mutual.environment["TOCSIN_INTAKE__GROUP"])
    await assert_everything_flows(mutual, engine, topics, lab)


@pytest.mark.parametrize("command", [("serve",), ("send", "alerts.json"), ("explain", "t:0:0"), ("up",)], ids=" ".join)
async def test_every_command_says_which_setting_kafka_does_not_take(scram: Site, command: tuple[str, ...]) -> None:
    """One line at once, and exit code 2."""
    scram.write("alerts.json", "{}")
    says = "kafka.username and kafka.password: the broker does not take them"
    await assert_refused(scram, command, says, TOCSIN_KAFKA__PASSWORD="wrong")


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        ("kafka.sasl_mechanism: the broker does not take this mechanism", {"sasl_mechanism": "PLAIN"}),
        ("kafka.security_protocol: it is SASL_PLAINTEXT", {"security_protocol": "SASL_PLAINTEXT", "ca_file": None}),
        ("kafka.ca_file /nowhere: No such file", {"ca_file": "/nowhere"}),
        ("kafka.ca_file: it holds no certificates", {"ca_file": "/dev/null"}),
        ("kafka.ca_file: it does not vouch for a broker of the name", {"ca_file": None}),
    ],
)
def test_a_wrong_setting_beside_the_password_is_named(kafka: SecuredKafka, says: str, wrong: dict[str, str]) -> None:
    """The client's own reason stands behind it, where it gives one."""
    right = SCRAM | {"ca_file": kafka.authority.certificate}
    assert greet(KafkaSettings.model_validate(right), kafka.sasl_ssl)
    assert_named(says, right | wrong, kafka.sasl_ssl)


def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(kafka: SecuredKafka, tmp_path: Path) -> None:
    """Neither with another authority, nor under a name that its certificate does not carry."""
    says = "kafka.ca_file: it does not vouch for a broker of the name in kafka.bootstrap"
    other = Authority(tmp_path / "other", "Somebody else")
    assert_named(says, SCRAM | {"ca_file": other.certificate}, kafka.sasl_ssl)
    right = SCRAM | {"ca_file": kafka.authority.certificate}
    assert_named(says, right, kafka.sasl_ssl.replace("127.0.0.1", "localhost"))


def test_a_client_certificate_that_is_missing_strange_or_not_ours_is_named(kafka: SecuredKafka, tmp_path: Path) -> None:
    """Each with what is wrong with it."""
    ours, another = kafka.authority.issue("ours"), kafka.authority.issue("another")
    stranger = Authority(tmp_path / "other", "Somebody else").issue("ours")
    trusting = {"security_protocol": "SSL", "ca_file": kafka.authority.certificate}
    assert greet(KafkaSettings.model_validate(trusting | shown(ours)), kafka.ssl)
    for strange in (trusting, trusting | shown(stranger)):
        assert_named("kafka.certificate_file: the broker wants", strange, kafka.ssl)
    wrong = shown(ours) | {"key_file": another.key}
    assert_named("kafka.key_file: it holds no key of kafka.certificate_file", trusting | wrong, kafka.ssl)
    assert_named("kafka.security_protocol: the broker speaks without TLS", trusting | shown(ours), kafka.admin)


def test_a_broker_that_does_not_answer_is_no_mistake(kafka: SecuredKafka) -> None:
    """It may be away for a moment: whoever needs it waits."""
    assert not greet(KafkaSettings(), f"127.0.0.1:{free_port()}", patience=1)


def shown(pair: Pair) -> dict[str, object]:
    return {"certificate_file": pair.certificate, "key_file": pair.key}


def assert_named(says: str, settings: dict[str, object], bootstrap: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        greet(KafkaSettings.model_validate(settings), bootstrap)


async def test_a_right_that_is_missing_is_named(scram: Site, kafka: SecuredKafka, topics: Settings) -> None:
    """Reading without Read on the topic or the group ends with the right that is missing; so does writing."""
    kafka.add_user("stranger")
    stranger = {"TOCSIN_KAFKA__USERNAME": "stranger"}
    alerts, group = topics.kafka.topics.alerts, scram.environment["TOCSIN_INTAKE__GROUP"]
    says = f"Read on {alerts} and on the group {group} (intake.group)"
    await assert_refused(scram, ("intake",), says, **stranger)
    await assert_refused(scram, ("send", scram.write("a.json", "{}")), f"Write on {alerts}", **stranger)
    kafka.grant("stranger", AclOperation.READ, group, kind=ResourceType.GROUP)
    await assert_refused(scram, ("intake",), says, **stranger)

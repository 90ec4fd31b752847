"""Make ready what runs need: topics, search attributes, and the database's schema. Doing it again changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import orchestrator
from orchestrator.audit.database import make_engine, transaction
from orchestrator.audit.greeting import greet
from orchestrator.errors import StackError, Unavailable
from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings
from orchestrator.workflow.client import connect
from orchestrator.workflow.search_attributes import TYPES

MEBIBYTE = 1024 * 1024
SLACK = 64 * 1024  # key, headers and batch framing beside the record itself


async def prepare(settings: Settings, endpoints: Endpoints) -> None:
    """Make everything ready; raises `StackError` with the reason where one part refuses."""
    await asyncio.gather(
        asyncio.to_thread(make_topics, settings, endpoints.kafka), prepare_without_topics(settings, endpoints)
    )


async def prepare_without_topics(settings: Settings, endpoints: Endpoints) -> None:
    """The same for a broker that makes its topics at their first use, and knows no other way."""
    await asyncio.gather(_add_search_attributes(settings, endpoints.temporal), migrate(endpoints.database))


def make_topics(settings: Settings, bootstrap: str) -> None:
    """Create the topics that are missing; the ones that are there stay as they are."""
    greet(settings.kafka, bootstrap)
    names = settings.kafka.topics
    largest = {"max.message.bytes": str(16 * MEBIBYTE + SLACK)}
    forever = {"retention.ms": "-1"}
    wanted = [
        NewTopic(names.alerts, num_partitions=4, config=largest),
        *(NewTopic(topic, num_partitions=4, config=largest) for topic in settings.intake.extra_topics),
        NewTopic(
            names.dead_letters, num_partitions=1, config={"max.message.bytes": str(17 * MEBIBYTE + SLACK), **forever}
        ),
        NewTopic(names.audit, num_partitions=1, config=forever),
    ]
    admin = AdminClient({**settings.kafka.client_options(bootstrap), "log_level": 0})
    for name, future in admin.create_topics(wanted, operation_timeout=15, request_timeout=20).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StackError(f"Kafka did not create the topic {name}: {error.args[0].str()}") from error


async def _add_search_attributes(settings: Settings, address: str) -> None:
    await add_search_attributes(await connect(settings.temporal, address))


async def add_search_attributes(client: Client) -> None:
    """Register the search attributes that the client's namespace does not know yet."""
    namespace = client.namespace
    try:
        known = (await _listed(client, namespace)).keys()
        missing = {name: kind for name, kind in TYPES.items() if name not in known}
        if missing:
            kinds = {name: _kind(kind) for name, kind in missing.items()}
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes=kinds)
            )
    except RPCError as error:
        role = error.status is RPCStatusCode.PERMISSION_DENIED
        raise StackError(
            f"Temporal did not take the search attributes of namespace {namespace}: {error.message}"
            + ("; only an administrator of the namespace may add them (temporal.token_file)" if role else "")
        ) from error


async def _listed(client: Client, namespace: str) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    return dict(answer.custom_attributes)


def _kind(name: str) -> IndexedValueType.ValueType:
    return {
        "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
        "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    }[name]


async def migrate(database: str) -> None:
    """Bring the schema to this release's version; two at once wait for one another."""
    engine = make_engine(database)
    try:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tocsin.migrations'))"))
            await connection.run_sync(_upgrade)
    except Unavailable as error:
        raise StackError(f"the database cannot be migrated: {error}") from error
    except DBAPIError as error:
        raise StackError(f"the database cannot be migrated: {error.orig.__cause__ if error.orig else error}") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def migrations_folder() -> Path:
    """Where the migrations are: beside the packages in a checkout, inside the package in an installed wheel."""
    package = Path(orchestrator.__file__).parent
    inside = package / "_migrations"
    return inside if inside.exists() else package.parent / "migrations"

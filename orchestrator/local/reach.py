"""Whether the servers that the settings name answer us, with all that the settings say about them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from sqlalchemy import text
from temporalio.service import RPCError

from orchestrator.audit.database import make_engine, place_of, single_statement
from orchestrator.errors import TocsinError
from orchestrator.settings import Settings
from orchestrator.workflow.client import connect

PATIENCE = 5.0
"""seconds; one that takes longer to say that it is there is of no use"""


async def answers(part: str, settings: Settings, address: str) -> bool:
    """Whether this server of the user's own answers: `kafka`, `temporal` or `postgres`."""
    return await in_time(lambda: _ASK[part](settings, address))


async def in_time(ask: Callable[[], Awaitable[bool]]) -> bool:
    """The answer, if it comes in time."""
    try:
        return await asyncio.wait_for(ask(), PATIENCE)
    except (TimeoutError, TocsinError, KafkaException, RPCError):
        return False


def public(part: str, address: str) -> str:
    """The address without what is secret in it."""
    return place_of(address) if part == "postgres" else address


async def _kafka(settings: Settings, address: str) -> bool:
    admin = AdminClient({**settings.kafka.client_options(address), "log_level": 0})
    return bool((await asyncio.to_thread(admin.list_topics, timeout=PATIENCE)).brokers)


async def _temporal(settings: Settings, address: str) -> bool:
    client = await connect(settings.temporal, address)
    await client.count_workflows()
    return True


async def _postgres(settings: Settings, address: str) -> bool:
    engine = make_engine(address)
    try:
        async with single_statement(engine) as connection:
            return bool((await connection.execute(text("SELECT true"))).scalar_one())
    finally:
        await engine.dispose()


_ASK: dict[str, Callable[[Settings, str], Awaitable[bool]]] = {
    "kafka": _kafka,
    "temporal": _temporal,
    "postgres": _postgres,
}

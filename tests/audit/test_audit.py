"""The audit's order and its way to Kafka: gap-free, in the order of commits, at least once, recognisable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.events import Event, record
from orchestrator.audit.kafka import Outgoing, PatientProducer
from orchestrator.audit.keeper import Keeper
from orchestrator.audit.reading import about
from orchestrator.audit.relay import Relay
from orchestrator.audit.sequencer import Sequencer
from orchestrator.errors import Unavailable
from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings


async def write(engine: AsyncEngine, *names: str) -> None:
    async with engine.begin() as connection:
        await record(connection, [Event(type=name, run="r") for name in names])


async def order(engine: AsyncEngine) -> list[tuple[int | None, str]]:
    return [(one.position, one.type) for one in await about(engine, "r")]


async def test_events_get_places_without_gaps_in_the_order_of_their_commits(engine: AsyncEngine) -> None:
    """A transaction that began first and commits last comes last, and nothing overtakes it in between."""
    async with engine.connect() as slow:
        await slow.begin()
        await record(slow, [Event(type="slow", run="r")])
        await write(engine, "quick")
        sequencer = Sequencer(engine)
        assert await sequencer.once() == 0  # the slow one might still come before
        await slow.commit()
    assert await sequencer.once() == 2
    await write(engine, "last.1", "last.2")
    assert await sequencer.once() == 2
    assert await order(engine) == [(1, "slow"), (2, "quick"), (3, "last.1"), (4, "last.2")]


async def test_a_transaction_that_was_rolled_back_leaves_no_hole(engine: AsyncEngine) -> None:
    """Places are given, not drawn."""
    await write(engine, "one")
    async with engine.connect() as gone:
        await gone.begin()
        await record(gone, [Event(type="gone", run="r")])
        await gone.rollback()
    await write(engine, "two")
    await Sequencer(engine).once()
    assert await order(engine) == [(1, "one"), (2, "two")]


async def test_many_sequencers_give_each_event_one_place(engine: AsyncEngine) -> None:
    """Two keepers that both believe to be alone do no harm."""

    async def writes() -> None:
        for number in range(20):
            await write(engine, f"e{number}")

    async def sequences() -> None:
        for _ in range(20):
            await Sequencer(engine).once()

    await asyncio.gather(writes(), writes(), sequences(), sequences())
    await Sequencer(engine).once()
    assert [place for place, _ in await order(engine)] == list(range(1, 41))


def published(stack: Endpoints, topic: str, count: int) -> list[dict[str, object]]:
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, 10)
    consumer.close()
    return [orjson.loads(message.value() or b"") for message in messages]


async def test_the_audit_reaches_kafka_in_order(engine: AsyncEngine, stack: Endpoints, settings: Settings) -> None:
    """Each event with its place and its id; marked only after Kafka had it."""
    topic = settings.kafka.topics.audit
    relay = Relay(engine, PatientProducer({"bootstrap.servers": stack.kafka}, topic, what="the audit"), batch=3)
    await write(engine, *(f"e{number}" for number in range(8)))
    await Keeper(engine, [Sequencer(engine), relay]).drain()

    events = published(stack, topic, 8)
    assert [one["position"] for one in events] == list(range(1, 9))
    assert [one["type"] for one in events] == [f"e{number}" for number in range(8)]
    assert len({one["id"] for one in events}) == 8
    assert all(one.published for one in await about(engine, "r"))


async def test_what_kafka_did_not_take_is_published_later_and_once_more_at_worst(
    engine: AsyncEngine, stack: Endpoints, settings: Settings
) -> None:
    """A crash between publishing and marking publishes again under the same ids."""
    topic = settings.kafka.topics.audit
    real = PatientProducer({"bootstrap.servers": stack.kafka}, topic, what="the audit")

    class Dying:
        """Publishes, and dies before it can say so."""

        async def write(self, records: Sequence[Outgoing]) -> None:
            await real.write(records)
            raise Unavailable("died")

    await write(engine, "a", "b")
    await Sequencer(engine).once()
    with pytest.raises(Unavailable):
        await Relay(engine, Dying()).once()
    assert await Relay(engine, real).once() == 2
    assert await Relay(engine, real).once() == 0

    events = published(stack, topic, 4)
    assert [one["type"] for one in events] == ["a", "b", "a", "b"]
    assert len({one["id"] for one in events}) == 2


async def test_one_keeper_is_active_and_the_next_takes_over(engine: AsyncEngine) -> None:
    """The second waits for the first to end, however many run."""
    active: list[str] = []
    woke = asyncio.Event()

    class Duty:
        """Says who does it."""

        name = "duty"

        def __init__(self, who: str) -> None:
            self.who = who

        async def once(self) -> int:
            active.append(self.who)
            woke.set()
            return 0

    first = Keeper(engine, [Duty("first")], poll_seconds=0.02)
    second = Keeper(engine, [Duty("second")], poll_seconds=0.02)
    running = asyncio.create_task(first.run())
    await asyncio.wait_for(woke.wait(), 5)
    waiting = asyncio.create_task(second.run())
    woke.clear()
    await asyncio.wait_for(woke.wait(), 5)
    assert set(active) == {"first"}
    first.stop()
    await running
    async with asyncio.timeout(5):
        while "second" not in active:
            woke.clear()
            await woke.wait()
    second.stop()
    await waiting


async def test_what_json_cannot_carry_into_postgres_is_made_visible(engine: AsyncEngine) -> None:
    """A NUL suppresses no record."""
    async with engine.begin() as connection:
        await record(connection, [Event(type="odd", run="r", body={"text": "a\0b"})])
    assert await about(engine, "r\udcff") == []
    (found,) = await about(engine, "r")
    assert found.body == {"text": "a\u2400b"}
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM tocsin.audit_event"))).scalar_one() == 1

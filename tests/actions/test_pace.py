"""Rates: an integration is sent no more than its rate by all workers together, the worst first."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.pace import PATIENCE, Pace
from orchestrator.language.host import ActionCall, StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context, gateway
from tests.policy.written import door, put

RUN = text("""
INSERT INTO tocsin.run (run, playbook, digest, event, workflow_id, first_run_id, mode, severity)
VALUES (:run, 'contain', 'sha256:1', 'lab/1', :run, 'first', 'live', :severity)
""")


class Slept:
    """Waiting that takes no time and is written down."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.now = 0.0

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def look(number: int, **changes: Any) -> ActionCall:
    """One of many look-ups."""
    return ActionCall(step="look", path=("look", str(number)), action="intel.lookup_ip",
                      parameters={"ip": "203.0.113.7"}, **changes)  # fmt: skip


def paced(catalog: Catalog, engine: AsyncEngine, target: Target, slept: Slept, **options: Any) -> Gateway:
    """A worker that goes by the policy in force."""
    policy = door(engine, forgetful=True)
    return gateway(catalog, PostgresLedger(engine), target, policy=policy,
                   pace=Pace(engine, policy, sleep=slept), **options)  # fmt: skip


async def test_two_workers_together_keep_the_distance(catalog: Catalog, target: Target, engine: AsyncEngine) -> None:
    """Thirty at once at 20 per second: each has its own moment, a twentieth of a second after the one before."""
    await put(engine, "rates: {bench: 20 per second}")
    slept = Slept()
    workers = [paced(catalog, engine, target, slept) for _ in range(2)]
    async with engine.begin() as connection:
        await connection.execute(RUN, {"run": "contain/a/alert-1", "severity": "high"})
        began = (await connection.execute(text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one()

    done = await asyncio.gather(*(workers[n % 2].act(context(), look(n), ()) for n in range(30)))

    assert all(one.error is None for one in done)
    async with engine.connect() as connection:
        after = (await connection.execute(text("SELECT extract(epoch FROM next_at) FROM tocsin.pace"))).scalar_one()
    assert float(after - began) >= 30 * 0.05
    waits = sorted(slept.seconds)
    assert len(waits) == 30
    assert waits[0] == 0
    assert waits[-1] <= 29 * 0.05


async def test_what_has_no_rate_waits_for_nobody(catalog: Catalog, target: Target, engine: AsyncEngine) -> None:
    """The neighbour that passes; and what is shadow is sent to nobody."""
    await put(engine, "rates: {other: 1 per hour}")
    slept = Slept()
    act = paced(catalog, engine, target, slept).act
    for number in range(3):
        assert (await act(context(), look(number), ())).error is None
    await put(engine, "rates: {bench: 1 per hour}")
    for number in range(3):
        shadow = block(path=("shadow", str(number)))
        assert (await act(context(mode="shadow"), shadow, ())).status is StepStatus.SHADOWED
    assert slept.seconds == []


async def test_the_worst_come_first_and_a_long_wait_is_the_run_s(
    catalog: Catalog, target: Target, engine: AsyncEngine
) -> None:
    """While lesser ones wait, visibly and with nothing recorded, a critical one goes as soon as the rate allows."""
    await put(engine, "rates: {bench: 1 per second}")
    slept = Slept()
    act = paced(catalog, engine, target, slept).act
    async with engine.begin() as connection:
        for severity in ("low", "critical"):
            await connection.execute(RUN, {"run": severity, "severity": severity})

    low = await asyncio.gather(*(act(context(run="low"), look(n), ()) for n in range(10)))
    slept.seconds.clear()
    critical = await act(context(run="critical"), look(99), ())

    waiting = [one for one in low if one.halted]
    assert len(waiting) >= 7
    assert waiting[0].halted.startswith("waits: bench is sent no more than its rate, playbooks/site/policy.yaml:2: ")
    assert critical.error is None
    assert len(slept.seconds) == 1
    assert slept.seconds[0] < PATIENCE
    async with engine.connect() as connection:
        recorded = (await connection.execute(text("SELECT count(*) FROM tocsin.action"))).scalar_one()
    assert recorded == len(target.asked) == 10 - len(waiting) + 1

    await put(engine, "rates: {}")
    assert (await act(context(run="low"), look(9), ())).error is None


async def test_waiting_takes_nothing_of_the_time_to_send(catalog: Catalog, target: Target, engine: AsyncEngine) -> None:
    """Its times begin when it is its turn: after more seconds than an intent allows it is sent all the same."""
    await put(engine, "rates: {bench: 10 per minute}")
    slept = Slept()
    act = paced(catalog, engine, target, slept, sending={"clock": lambda: slept.now}).act
    async with engine.begin() as connection:
        await connection.execute(RUN, {"run": "contain/a/alert-1", "severity": "critical"})

    first, second = [await act(context(), look(n, timeout=1.0), ()) for n in range(2)]

    assert (first.error, second.error) == (None, None)
    assert max(slept.seconds) > 5


async def test_what_is_answered_from_the_record_takes_no_turn(
    catalog: Catalog, target: Target, engine: AsyncEngine
) -> None:
    """A step that is carried out again sends nothing."""
    await put(engine, "rates: {bench: 1 per hour}")
    slept = Slept()
    act = paced(catalog, engine, target, slept).act
    done = await act(context(), look(1), ())
    assert (await act(context(), look(1), ())).output == done.output
    assert len(slept.seconds) == 1


async def test_an_undo_that_has_to_wait_is_owed(catalog: Catalog, target: Target, engine: AsyncEngine) -> None:
    """It is no failed attempt, and done when it is its turn."""
    policy = door(engine, forgetful=True)
    ledger = PostgresLedger(engine)
    made = acting(catalog, ledger, target, policy=policy, pace=Pace(engine, policy, sleep=Slept()))
    await put(engine, "rates: {bench: 1 per hour}")
    await made.gateway.act(context(), block(), ())

    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())

    assert done.error
    assert done.error.message.startswith("waits: bench is sent no more than its rate")
    assert target.blocked == {"203.0.113.7"}
    await put(engine, "rates: {}")
    assert await made.undoing.end("bench firewall.block_ip ip:203.0.113.7", by="expiry") is None
    assert target.blocked == set()

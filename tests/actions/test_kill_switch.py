"""The kill switch: what it halts, what goes on, and that there is no moment between the look and the intent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.kill_switch import KillSwitch, Reach, switches
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.audit.reading import about
from orchestrator.errors import TimedOut
from orchestrator.language.host import ActionCall, StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context, gateway

ALL = Reach()


@pytest.fixture
def hand(engine: AsyncEngine) -> KillSwitch:
    """Somebody who throws and lifts."""
    return KillSwitch(engine, who="alice")


async def told(engine: AsyncEngine, name: str | None = None) -> list[str]:
    """The types of the audit's events about the run, or something else."""
    return [one.type for one in await about(engine, name or context().run)]


async def test_what_would_be_sent_waits_until_the_switch_is_lifted(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch, engine: AsyncEngine
) -> None:
    """It is halted and has not failed: no intent is recorded, and asked for again afterwards it is sent, once."""
    act = gateway(catalog, ledger, target).act
    await hand.throw(ALL, "a bad rule")

    first, again = [await act(context(), block(), ()) for _ in range(2)]

    assert first.halted == again.halted
    assert first.halted.startswith("halted by the kill switch for all, thrown by alice ")
    assert first.halted.endswith(": a bad rule")
    assert target.asked == []
    assert await told(engine) == ["action.halted"]

    await hand.lift(ALL, "the rule is gone")

    assert (await act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]
    assert await told(engine, "all") == ["kill_switch.thrown", "kill_switch.lifted"]


@pytest.mark.parametrize(
    ("reach", "halts"),
    [
        (Reach("integration", "bench"), True), (Reach("integration", "other"), False),
        (Reach("playbook", "contain"), True), (Reach("playbook", "other"), False),
        (Reach("capability", "firewall.block_ip"), True), (Reach("capability", "firewall.unblock_ip"), False),
    ],
)  # fmt: skip
async def test_a_switch_halts_what_it_names_and_nothing_beside_it(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch, reach: Reach, halts: bool
) -> None:
    """One integration, one playbook or one capability."""
    await hand.throw(reach, "a test")

    outcome = await gateway(catalog, ledger, target).act(context(), block(), ())

    assert bool(outcome.halted) is halts
    assert bool(target.asked) is not halts


async def test_reads_and_what_is_shadow_go_on(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """Neither changes anything."""
    await hand.throw(ALL, "a test", undo_too=True)
    act = gateway(catalog, ledger, target).act
    look = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "203.0.113.7"})

    assert (await act(context(), look, ())).status is StepStatus.SUCCEEDED
    assert (await act(context(mode="shadow"), block(), ())).status is StepStatus.SHADOWED
    assert target.asked == ["look up 203.0.113.7"]


async def test_what_ended_before_is_answered_as_it_ended(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """A step that is carried out again after a crash sends nothing, so nothing is halted."""
    act = gateway(catalog, ledger, target).act
    done = await act(context(), block(), ())
    await hand.throw(ALL, "a test")

    assert (await act(context(), block(), ())).output == done.output


async def test_a_further_attempt_is_halted_too(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """What failed before the switch was thrown is not tried again under it."""

    def refuse() -> None:
        raise TimedOut("slow", in_doubt=False)

    target.misbehave = refuse
    act = gateway(catalog, ledger, target).act
    assert (await act(context(), block(), ())).error is not None
    target.misbehave = lambda: None
    await hand.throw(ALL, "a test")

    assert (await act(context(), block(attempt=2), ())).halted
    await hand.lift(ALL, "over")
    assert (await act(context(), block(attempt=2), ())).status is StepStatus.SUCCEEDED


async def test_a_lost_answer_is_looked_up_under_the_switch_and_not_sent_again(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """Looking is a read. Sending again waits, with the intent open, and goes on from there."""

    def drop() -> None:
        raise TimedOut("no answer")

    async def throw(seconds: float) -> None:
        await hand.throw(ALL, "a test")
        target.misbehave = lambda: None

    async def skip(seconds: float) -> None:
        """The time to send of a worker that is gone."""

    target.misbehave = drop
    later = gateway(catalog, ledger, target, sending={"sleep": skip})
    assert (await gateway(catalog, ledger, target, sending={"sleep": throw}).act(context(), block(), ())).halted
    assert (await later.act(context(), block(), ())).halted
    assert target.asked == ["block 203.0.113.7"]

    await hand.lift(ALL, "over")
    assert (await later.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert list(target.effects.values()) == ["block 203.0.113.7"]


async def test_an_intent_recorded_before_the_switch_leaves_in_its_time_or_never(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """The sender was held up between the two, for longer than its intent allows: nothing is sent after that."""

    class ThrownBetween(PostgresLedger):
        async def intend(self, *arguments: Any) -> Any:
            verdict = await super().intend(*arguments)
            await hand.throw(ALL, "a test")
            return verdict

    readings = iter([0.0, 5.1])
    slow = gateway(catalog, ThrownBetween(ledger._engine), target, sending={"clock": lambda: next(readings)})
    assert (await slow.act(context(), block(), ())).error is not None
    assert target.asked == []

    await hand.lift(ALL, "over")
    readings = iter([0.0, 4.9, 4.9, 4.9])
    other = block("203.0.113.8", path=("other",))
    assert (await slow.act(context(), other, ())).status is StepStatus.SUCCEEDED


async def test_throwing_waits_for_the_intents_that_are_being_recorded(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch, engine: AsyncEngine
) -> None:
    """An intent that did not see the switch has committed before it counts as thrown."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext('tocsin.kill_switch'))"))
        throwing = asyncio.create_task(hand.throw(ALL, "a test"))
        await waiting_for_the_lock(engine)
        assert await switches(engine) == []
        await connection.rollback()
    await throwing

    assert (await gateway(catalog, ledger, target).act(context(), block(), ())).halted


async def waiting_for_the_lock(engine: AsyncEngine) -> None:
    """Until somebody waits for a lock of this kind."""
    waits = text("""SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")
    while True:
        async with engine.connect() as connection:
            if (await connection.execute(waits)).scalar_one():
                return


async def test_many_at_once_are_sent_before_the_switch_or_not_at_all(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch, engine: AsyncEngine
) -> None:
    """Two hundred actions and a switch in the middle of them: no intent was recorded after it was thrown."""
    act = gateway(catalog, ledger, target).act
    calls = [block(f"203.0.113.{number}", path=("block", str(number))) for number in range(200)]
    under_way = [asyncio.create_task(act(context(), call, ())) for call in calls]
    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    thrown = await hand.throw(ALL, "a test")

    halted = [call for call, task in zip(calls, under_way, strict=True) if (await task).halted]

    async with engine.connect() as connection:
        latest = (await connection.execute(text("SELECT max(intended_at), count(*) FROM tocsin.action"))).one()
    assert halted
    assert latest[0] < thrown.thrown_at
    assert latest[1] + len(halted) == len(calls)
    assert len(target.asked) == len(set(target.asked)) == latest[1]

    await hand.lift(ALL, "over")
    await asyncio.gather(*(act(context(), call, ()) for call in calls))
    assert len(target.asked) == len(set(target.asked)) == len(calls)


async def test_an_undo_passes_unless_the_switch_says_undo_too(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """What should protect blocks no way back."""
    made = acting(catalog, ledger, target)
    await made.gateway.act(context(), block(), ())
    await hand.throw(ALL, "a test")

    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())

    assert (done.undone, done.error) == (("block",), None)
    assert target.blocked == set()


@pytest.mark.parametrize("reach", [ALL, Reach("integration", "bench"), Reach("capability", "firewall.block_ip")])
async def test_a_halted_undo_is_owed_and_done_when_the_switch_is_lifted(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch, engine: AsyncEngine, reach: Reach
) -> None:
    """It is no failed attempt: nobody is paged, however long that takes, and the reaper has it in its list."""
    made = acting(catalog, ledger, target)
    await made.gateway.act(context(), block(), ())
    await hand.throw(reach, "a test", undo_too=True, inverse="firewall.unblock_ip")

    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())
    (shared,) = await owed(engine)
    for _ in range(4):
        assert (await made.undoing.end(shared, by="expiry")) is not None

    assert done.error is not None
    assert done.error.message.startswith("halted by the kill switch")
    assert target.blocked == {"203.0.113.7"}
    assert "action.undo_failed" not in await told(engine)
    assert (await told(engine)).count("action.halted") == 1

    await hand.lift(reach, "over")
    assert await made.undoing.end(shared, by="expiry") is None
    assert target.blocked == set()


async def owed(engine: AsyncEngine) -> list[str]:
    """Effects that are being taken back, or will be."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT shared FROM tocsin.taking_back WHERE attempts = 0"))
        return list(rows.scalars())


async def test_what_is_halted_holds_up_no_other_undo(
    catalog: Catalog, ledger: PostgresLedger, target: Target, hand: KillSwitch
) -> None:
    """The reaper's list begins with what has not waited yet."""
    integrations = {"bench": {}, "other": {"uses": "bench"}}
    made = acting(catalog, ledger, target, integrations=integrations)
    await made.gateway.act(context(), block(expires=0.01), ())
    await hand.throw(Reach("integration", "bench"), "a test", undo_too=True)
    while len(due := await ledger.due(10)) < 2:  # until both have come to their time
        pass
    bench, other = sorted(due)
    await made.undoing.end(bench, by="expiry")

    assert await ledger.due(10) == [other]


async def test_a_switch_that_is_thrown_already_stays_and_never_weakens(hand: KillSwitch, engine: AsyncEngine) -> None:
    """Who threw it first is shown; undos are halted once somebody said so. Lifted, it stays on record."""
    await hand.throw(ALL, "first")
    await KillSwitch(engine, who="bob").throw(ALL, "second", undo_too=True)
    await hand.throw(ALL, "third")

    (one,) = await switches(engine)
    assert (one.thrown_by, one.why, one.undo_too) == ("alice", "first", True)

    await KillSwitch(engine, who="bob", trust="signed").lift(ALL, "over")
    assert await hand.lift(ALL, "over") is None
    assert await switches(engine) == []
    (past,) = await switches(engine, lifted=True)
    assert (past.lifted_by, past.lifted_why) == ("bob", "over")
    events = await about(engine, "all")
    assert [(one.body["by"], one.body["trust"]) for one in events][-1] == ("bob", "signed")

"""Holds: what runs share ends when the last of them lets go, to the state that was found, and never over others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.reaper import Reaper
from orchestrator.contract import Effect
from orchestrator.errors import TargetUnavailable
from orchestrator.language.host import RunContext, StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context

IP = "203.0.113.7"
SHARED = f"bench firewall.block_ip ip:{IP}"


@pytest.fixture
def made(catalog: Catalog, ledger: PostgresLedger, target: Target) -> Acting:
    return acting(catalog, ledger, target)


@pytest.fixture
def reaper(made: Acting) -> Reaper:
    return Reaper(made.ledger, made.undoing)


async def reap(reaper: Reaper) -> int:
    """One round of the duty, and all that it began."""
    begun = await reaper.once()
    await reaper.settled()
    return begun


def run(number: int) -> RunContext:
    """Another run, of another alert."""
    return context(run=f"contain/a/alert-{number}", event=f"lab/alert-{number}", first_run_id=f"first-{number}")


async def over(engine: AsyncEngine, *runs: int) -> None:
    """The time of what these runs hold is over."""
    names = [run(number).run for number in runs]
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE tocsin.action SET until = clock_timestamp() - interval '1 s' WHERE run = ANY(:runs)"),
            {"runs": names},
        )


async def told(engine: AsyncEngine, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT type, body FROM tocsin.audit_event WHERE type = ANY(:kinds) ORDER BY place"),
            {"kinds": list(kinds)},
        )
        return [(row.type, row.body) for row in rows]


async def states(engine: AsyncEngine) -> dict[str, str]:
    """The state of what each run did."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT run, state FROM tocsin.action WHERE shared IS NOT NULL"))
        return {row.run.rpartition("-")[2]: row.state for row in rows}


async def test_a_block_ends_with_its_time(made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target) -> None:
    """Nothing but the ledger is needed: the run may be long gone. A second round finds nothing to do."""
    await made.gateway.act(run(1), block(expires=3600.0), ())
    assert await reap(reaper) == 0
    await over(engine, 1)

    assert await reap(reaper) == 1
    assert await reap(reaper) == 0

    assert target.asked == [f"block {IP}", f"unblock {IP}"]
    assert target.blocked == set()
    assert await states(engine) == {"1": "undone"}
    ((_, body),) = await told(engine, "action.undone")
    assert (body["by"], body["how"]) == ("expiry", "firewall.unblock_ip")


async def test_two_runs_share_an_effect_and_the_later_end_wins(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """The first to end takes nothing away from the other."""
    await made.gateway.act(run(1), block(), ())
    await made.gateway.act(run(2), block(), ())
    await over(engine, 1)
    assert await reap(reaper) == 0
    assert target.blocked == {IP}
    await over(engine, 2)
    assert await reap(reaper) == 1
    assert target.blocked == set()
    assert target.asked.count(f"unblock {IP}") == 1
    assert await states(engine) == {"1": "undone", "2": "undone"}


async def test_an_undo_of_one_run_leaves_what_another_holds(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """It lets go; the target is asked when nobody holds it any more."""
    await made.gateway.act(run(1), block(), ())
    await made.gateway.act(run(2), block(), ())
    outcome = await made.undoing.undo(run(1), UndoCall(step="back", path=("back",)), ())
    assert (outcome.undone, outcome.error) == (("block",), None)
    assert target.blocked == {IP}
    assert [body["by"] for _, body in await told(engine, "hold.released")] == ["back"]
    await made.undoing.undo(run(2), UndoCall(step="back", path=("back",)), ())
    assert target.blocked == set()
    assert await reap(reaper) == 0


async def test_what_was_there_before_us_stays(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """Also when a second run shared it: it finds what the first has found, and not what the first has done."""
    target.blocked.add(IP)
    await made.gateway.act(run(1), block(), ())
    await made.gateway.act(run(2), block(), ())
    await over(engine, 1, 2)
    await reap(reaper)
    assert target.blocked == {IP}
    assert f"unblock {IP}" not in target.asked
    assert await states(engine) == {"1": "left", "2": "left"}
    assert {body["how"] for _, body in await told(engine, "action.left")} == {"there before us"}


async def test_what_we_did_first_is_ours_for_all_who_share_it(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """The second run finds a block, and that is the first one's: it does not stay for ever."""
    await made.gateway.act(run(1), block(), ())
    await made.gateway.act(run(2), block(), ())
    await over(engine, 1, 2)
    await reap(reaper)
    assert target.blocked == set()


async def test_what_somebody_changed_since_is_left_and_told(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """Who has lifted our block by hand wants it so; an `undo` sends nothing, and people hear of it."""
    await made.gateway.act(run(1), block(), ())
    target.blocked.clear()
    await made.undoing.undo(run(1), UndoCall(step="back", path=("back",)), ())
    assert target.asked == [f"block {IP}"]
    ((_, body),) = await told(engine, "action.left")
    assert (body["how"], body["page"]) == ("somebody has changed it since", True)
    assert await states(engine) == {"1": "left"}


async def test_a_target_that_ends_it_by_itself_is_not_asked(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """Some products take a time with the block; there is nothing to undo and nobody to call."""
    await made.gateway.act(run(1), block(), ())
    target.blocked.clear()
    await over(engine, 1)
    await reap(reaper)
    assert target.asked == [f"block {IP}"]
    ((_, body),) = await told(engine, "action.undone")
    assert (body["how"], body["page"]) == ("the target has ended it", False)


async def test_an_undo_that_fails_is_tried_again_and_people_are_told_at_the_third_time(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """Until it is done."""
    await made.gateway.act(run(1), block(), ())
    await over(engine, 1)

    def down() -> None:
        raise TargetUnavailable("down", in_doubt=False)

    target.misbehave = down
    for _ in range(4):
        assert await reap(reaper) == 1
        assert await reap(reaper) == 0  # it waits a while before it is tried again
        await hurry(engine)
    target.misbehave = lambda: None
    assert await reap(reaper) == 1

    assert target.blocked == set()
    failures = [(body["attempts"], body["page"]) for _, body in await told(engine, "action.undo_failed")]
    assert failures == [(1, False), (2, False), (3, True), (4, False)]
    assert await states(engine) == {"1": "undone"}


async def hurry(engine: AsyncEngine) -> None:
    """The pause before the next attempt is over."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.taking_back SET next_at = clock_timestamp()"))


async def test_a_target_that_says_yes_and_does_nothing_is_found_out(
    made: Acting, reaper: Reaper, engine: AsyncEngine, target: Target
) -> None:
    """An undo counts when it is seen."""
    await made.gateway.act(run(1), block(), ())
    await over(engine, 1)
    target.deaf = True
    made.undoing.seconds = 0.2
    await made.undoing.end(SHARED, by="a test")
    ((_, body),) = await told(engine, "action.undo_failed")
    assert body["why"] == "the target said yes, and does not show the effect"
    assert await states(engine) == {"1": "done"}


async def test_a_run_that_wants_what_is_being_taken_back_waits_and_has_it_anew(
    catalog: Catalog, ledger: PostgresLedger, engine: AsyncEngine, target: Target
) -> None:
    """Otherwise the undo would hit the new block, and nobody would know."""
    made = acting(catalog, ledger, target)
    await made.gateway.act(run(1), block(), ())
    await over(engine, 1)
    undoing, go_on = asyncio.Event(), asyncio.Event()
    lifted = made.ledger.taken_back

    async def held_up(*arguments: Any) -> None:
        undoing.set()
        await go_on.wait()
        await lifted(*arguments)

    made.ledger.taken_back = held_up  # type: ignore[method-assign]
    taking = asyncio.create_task(made.undoing.end(SHARED, by="a test"))
    await undoing.wait()
    wanting = asyncio.create_task(made.gateway.act(run(2), block(), ()))
    done, _ = await asyncio.wait((wanting,), timeout=1.0)
    assert not done
    go_on.set()
    await taking
    assert (await wanting).status is StepStatus.SUCCEEDED
    assert target.asked == [f"block {IP}", f"unblock {IP}", f"block {IP}"]
    assert target.blocked == {IP}
    assert await states(engine) == {"1": "undone", "2": "done"}


async def test_what_was_ours_while_somebody_looked_is_not_taken_for_what_was_there_before(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The last run lets go between the look of the next one and its intent: it looks again."""
    made, other = acting(catalog, ledger, target), acting(catalog, PostgresLedger(ledger._engine), target)
    await other.gateway.act(run(1), block(), ())
    intend, asked = made.ledger.intend, []

    async def after_an_undo(*arguments: Any) -> Any:
        if not asked:
            await other.undoing.undo(run(1), UndoCall(step="back", path=("back",)), ())
        asked.append(arguments)
        return await intend(*arguments)

    made.ledger.intend = after_an_undo  # type: ignore[method-assign]
    assert (await made.gateway.act(run(2), block(), ())).status is StepStatus.SUCCEEDED
    assert target.blocked == {IP}
    await other.undoing.undo(run(2), UndoCall(step="back", path=("back",)), ())
    assert target.blocked == set()


async def test_what_is_not_known_to_have_happened_is_taken_back_too(
    catalog: Catalog, ledger: PostgresLedger, engine: AsyncEngine, target: Target, reaper: Reaper, made: Acting
) -> None:
    """A block whose answers were all lost may stand."""

    def lost() -> None:
        raise TargetUnavailable("lost", in_doubt=True)

    target.misbehave = lost
    outcome = await made.gateway.act(run(1), block(), ())
    assert outcome.status is StepStatus.FAILED
    assert await states(engine) == {"1": "unknown"}
    target.misbehave = lambda: None
    target.blocked.add(IP)  # the last of them arrived after all
    await over(engine, 1)
    await reap(reaper)
    assert target.blocked == set()
    assert await states(engine) == {"1": "undone"}


async def test_shadow_holds_nothing(
    catalog: Catalog, ledger: PostgresLedger, engine: AsyncEngine, target: Target
) -> None:
    """What was not sent is not taken back."""
    made = acting(catalog, ledger, target, mode="shadow")
    await made.gateway.act(run(1), block(), ())
    await over(engine, 1)
    assert await reap(Reaper(made.ledger, made.undoing)) == 0
    assert target.asked == []


async def test_what_a_shadow_run_undoes_is_recorded_and_not_sent(
    engine: AsyncEngine, target: Target, made: Acting
) -> None:
    """It did nothing: what stands at the target is somebody else's."""
    target.blocked.add("203.0.113.7")
    shadow = run(1).model_copy(update={"mode": "shadow"})
    await made.gateway.act(shadow, block(), ())
    outcome = await made.undoing.undo(shadow, UndoCall(step="back", path=("back",)), ())
    assert (outcome.undone, outcome.error) == (("block",), None)
    assert target.asked == []
    assert len(await told(engine, "action.shadowed")) == 2


async def test_a_site_in_shadow_still_takes_back_what_it_did_before(
    catalog: Catalog, ledger: PostgresLedger, engine: AsyncEngine, target: Target, made: Acting
) -> None:
    """Nothing that protects may keep a block alive."""
    await made.gateway.act(run(1), block(), ())
    await over(engine, 1)
    shadow = acting(catalog, ledger, target, mode="shadow")
    await reap(Reaper(shadow.ledger, shadow.undoing))
    assert target.blocked == set()


async def test_only_reversible_effects_are_held(catalog: Catalog, made: Acting, engine: AsyncEngine) -> None:
    """A ticket stays."""
    assert catalog.capabilities["ticket.open"].effect is Effect.ADDITIVE
    ticket = block(step="t", path=("t",), action="ticket.open", parameters={"title": "x", "body": "y"}, expires=None)
    await made.gateway.act(run(1), ticket, ())
    assert await states(engine) == {}


def test_every_integration_that_ships_can_show_what_it_changes(catalog: Catalog) -> None:
    """Otherwise what was there before us would be taken away."""
    blind = [
        f"{product.name}: {one.capability.name}"
        for product in catalog.products.values()
        for one in product.implementations.values()
        if one.capability.effect is Effect.REVERSIBLE and one.capability.state not in product.implementations
    ]
    assert blind == []

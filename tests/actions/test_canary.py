"""Canary: the first target of a run goes ahead, is looked at, and the others follow or stay."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.errors import FailureKind, TargetUnavailable
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus
from tests.actions.bench_target import Target, acting, block, context
from tests.policy.written import door, put

CANARY = "modes: {capabilities: {firewall.block_ip: canary}}"


@pytest.fixture
async def made(catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine) -> Acting:
    await put(engine, CANARY)
    return acting(catalog, ledger, target, policy=door(engine, forgetful=True))


def blocks(count: int) -> list[ActionCall]:
    """As many addresses, which a loop blocks side by side; a look at one may take a moment."""
    return [block(f"203.0.113.{number}", path=("loop", str(number)), timeout=0.3) for number in range(1, count + 1)]


async def side_by_side(made: Acting, calls: list[ActionCall]) -> list[ActionOutcome]:
    return await asyncio.gather(*(made.gateway.act(context(), call, ()) for call in calls))


async def test_of_many_at_once_one_goes_ahead_and_the_others_follow_once_it_is_seen(
    made: Acting, target: Target
) -> None:
    """They are halted meanwhile and have not failed; asked for again they are sent."""
    blind = True

    def hide() -> None:
        if blind and target.asked:
            raise TargetUnavailable("it does not show yet")

    target.hide = hide
    calls = [one.model_copy(update={"timeout": 20.0}) for one in blocks(10)]
    under_way = [asyncio.create_task(made.gateway.act(context(), call, ())) for call in calls]
    done: set[asyncio.Task[ActionOutcome]] = set()
    while len(done) < 9:
        done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)

    waiting = [task.result() for task in done]
    (first,) = target.asked
    assert {one.halted for one in waiting} == {
        f"waits until the first target of the run, ip:{first.removeprefix('block ')}, is seen (canary)"
    }
    blind = False
    await asyncio.wait(under_way)
    outcomes = await side_by_side(made, calls)

    assert {one.status for one in outcomes} == {StepStatus.SUCCEEDED}
    assert len(target.asked) == len(set(target.asked)) == 10


async def test_where_the_first_is_not_seen_none_follows(made: Acting, target: Target) -> None:
    """The target said yes and shows nothing. Another run, and another capability, are not held up by that."""

    def hide() -> None:
        if target.asked:
            raise TargetUnavailable("it never shows")

    target.hide = hide
    first, *rest = [await made.gateway.act(context(), call, ()) for call in blocks(4)]

    assert (first.status, first.error and first.error.kind) == (StepStatus.FAILED, FailureKind.REJECTED)
    assert {one.error and one.error.message for one in rest} == {
        "the first target of the run, ip:203.0.113.1, was not seen (canary)"
    }
    assert target.asked == ["block 203.0.113.1"]
    target.hide = lambda: None
    disable = ActionCall(
        step="d", path=("d",), action="identity.disable_account", parameters={"account": "alice"}, expires=60.0
    )
    assert (await made.gateway.act(context(), disable, ())).status is StepStatus.SUCCEEDED
    other = context(run="contain/a/alert-2", event="lab/alert-2")
    assert (await made.gateway.act(other, block(), ())).status is StepStatus.SUCCEEDED


async def test_live_looks_at_nothing_and_waits_for_nobody(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """The neighbour: the same target that shows nothing, and all are sent."""
    await put(engine, "modes: {capabilities: {firewall.unblock_ip: canary}}")

    def hide() -> None:
        if target.asked:
            raise TargetUnavailable("it never shows")

    target.hide = hide

    assert {one.status for one in await side_by_side(made, blocks(4))} == {StepStatus.SUCCEEDED}
    assert len(target.asked) == 4


async def test_a_first_whose_worker_died_is_looked_at_by_the_next_one(
    catalog: Catalog, made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """It was sent, and nobody had seen it: the others wait until it is asked for again."""

    class Died(PostgresLedger):
        async def first_seen(self, key: str, *, seen: bool) -> None:
            raise KeyboardInterrupt

    first, second = blocks(2)
    dying = acting(catalog, Died(engine), target, policy=door(engine))
    with pytest.raises(KeyboardInterrupt):
        await dying.gateway.act(context(), first, ())

    assert (await made.gateway.act(context(), second, ())).halted
    assert (await made.gateway.act(context(), first, ())).status is StepStatus.SUCCEEDED
    assert (await made.gateway.act(context(), second, ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.1", "block 203.0.113.2"]


async def test_a_first_that_was_mended_by_a_further_attempt_lets_the_others_go(made: Acting, target: Target) -> None:
    """Until then they are refused."""

    def refuse() -> None:
        raise TargetUnavailable("not now", in_doubt=False)

    target.misbehave = refuse
    first, second = blocks(2)
    assert (await made.gateway.act(context(), first, ())).status is StepStatus.FAILED
    target.misbehave = lambda: None
    assert (await made.gateway.act(context(), second, ())).status is StepStatus.FAILED

    again = first.model_copy(update={"attempt": 2})
    assert (await made.gateway.act(context(), again, ())).status is StepStatus.SUCCEEDED
    assert (await made.gateway.act(context(), second, ())).status is StepStatus.SUCCEEDED

"""Approvals that the policy demands, at the gateway: before the first send of all, and of nothing that was sent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.language.host import StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context
from tests.policy.written import door, put

DEMAND = "approvals:\n- {capabilities: [firewall.block_ip], integrations: [inner]}"


async def test_one_integration_of_a_route_that_needs_it_holds_up_all(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """People see all of them before any is sent. Where none needs it, all are sent."""
    both = {"edge": {"uses": "bench"}, "inner": {"uses": "bench"}}
    made = acting(catalog, ledger, target, policy=door(engine, forgetful=True), integrations=both)
    await put(engine, DEMAND)

    outcome = await made.gateway.act(context(), block(), ())

    assert outcome.wanted is not None
    assert (outcome.wanted.key, outcome.wanted.within) == ("1 of anybody", 1800.0)
    assert target.asked == []
    await put(engine, DEMAND.replace("inner", "other"))
    assert (await made.gateway.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert len(target.asked) == 2


async def test_of_what_was_sent_before_nobody_is_asked(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """A step that is carried out again after a crash is answered as it ended, and undone; the next is asked about."""
    made = acting(catalog, ledger, target, policy=door(engine, forgetful=True))
    await made.gateway.act(context(), block(), ())
    await put(engine, DEMAND.replace("inner", "bench"))

    again = await made.gateway.act(context(), block(), ())
    other = await made.gateway.act(context(), block("203.0.113.8", path=("other",)), ())
    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())

    assert again.status is StepStatus.SUCCEEDED
    assert other.wanted is not None
    assert done.undone == ("block",)
    assert target.asked == ["block 203.0.113.7", "unblock 203.0.113.7"]


async def test_the_policy_of_the_moment_demands(catalog: Catalog, target: Target, engine: AsyncEngine) -> None:
    """Put in force between the look and the intent: nothing is sent under the one before."""

    class ChangedBetween(PostgresLedger):
        async def intend(self, *arguments: object) -> object:  # type: ignore[override]
            await put(engine, DEMAND.replace("inner", "bench"))
            return await super().intend(*arguments)  # type: ignore[arg-type]

    late = acting(catalog, ChangedBetween(engine), target, policy=door(engine))

    assert (await late.gateway.act(context(), block(), ())).wanted is not None
    assert target.asked == []

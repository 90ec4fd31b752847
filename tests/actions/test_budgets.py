"""Budgets at the gateway: what takes a place, what takes none, and that nothing above one is sent without people."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.kill_switch import KillSwitch, Reach
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.audit.reading import about
from orchestrator.errors import FailureKind, TimedOut
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus, UndoCall
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList
from orchestrator.policy.policy import DEFAULT
from tests.actions.bench_target import Target, acting, block, context
from tests.policy.written import FILE, door, put

TWO = "budgets: {run: 2, playbook: unlimited, all: unlimited}"
STAFF = ReferenceData(
    lists={
        "administrators": ReferenceList(ListType.ACCOUNT, tuple(f"CORP\\admin{number}" for number in range(40))),
        "few": ReferenceList(ListType.IP, ("198.51.100.1", "198.51.100.2", "198.51.100.3")),
        "nobody": ReferenceList(ListType.IP, ()),
    },
)


@pytest.fixture
def made(catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine) -> Acting:
    """What acts under the policy in force, and the real defaults where there is none."""
    policy = door(engine, forgetful=True, default=DEFAULT)
    return acting(catalog, ledger, target, policy=policy, reference=lambda: STAFF)


def ip(number: int) -> str:
    return f"203.0.113.{number}"


async def send(made: Acting, address: str, *, run: str = "1", playbook: str = "contain", **more: Any) -> ActionOutcome:
    """Block an address, in a step of its own of this run."""
    within = context(run=run, playbook=playbook, event=f"lab/{run}", **more.pop("context", {}))
    return await made.gateway.act(within, block(address, path=("block", address), **more), ())


def disable(account: str) -> ActionCall:
    return ActionCall(
        step="disable", path=("disable", account), action="identity.disable_account", parameters={"account": account},
        expires=3600.0,
    )  # fmt: skip


def sent(outcome: ActionOutcome) -> bool:
    return outcome.status is StepStatus.SUCCEEDED


async def earlier(engine: AsyncEngine, by: timedelta) -> None:
    """All that was sent was sent so much earlier."""
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE tocsin.action SET intended_at = intended_at - CAST(:by AS interval)"), {"by": by}
        )


async def decide(engine: AsyncEngine, state: str, ago: timedelta = timedelta(0)) -> None:
    """What people decide about all that waits and that nobody was asked about yet, on one card."""
    async with engine.begin() as connection:
        await connection.execute(
            text("""INSERT INTO tocsin.approval (id, run, playbook, workflow_id, first_run_id, step, digest, request,
                card, state, decision, decided_at) SELECT x, x, x, x, x, x, x, '[]', x, :state, '{"by": "alice"}',
                clock_timestamp() - CAST(:ago AS interval) FROM (SELECT gen_random_uuid()::text) AS made (x)"""),
            {"state": state, "ago": ago},
        )
        await connection.execute(
            text("""UPDATE tocsin.budget_waiting SET question = (SELECT id FROM tocsin.approval
                ORDER BY asked_at DESC LIMIT 1) WHERE question IS NULL""")
        )


async def test_the_defaults_let_five_targets_a_run_through_and_the_sixth_waits(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """It has not failed, no intent is recorded, and the audit says which limit was reached."""
    first = [await send(made, ip(number)) for number in range(5)]
    sixth = await send(made, ip(5))
    again = await send(made, ip(5))

    assert all(map(sent, first))
    assert sixth.above is not None
    assert sixth.above.why == "over budget: the default: 5 targets a run; 5 are taken"
    assert sixth.above.card == "playbook contain, 1 of anybody"
    assert again.above == sixth.above
    assert len(target.asked) == 5
    assert [one.type for one in await about(engine, "1")].count("action.over_budget") == 1
    assert sent(await send(made, ip(5), run="2"))


@pytest.mark.parametrize(
    ("policy", "runs", "let_through"),
    [
        ("budgets: {}", ["contain"] * 60, 20),
        ("budgets: {playbook: unlimited}", ["contain"] * 60, 50),
        ("budgets: {playbook: {1h: 7}}", ["contain"] * 10, 7),
        ("budgets: {playbooks: {contain: {1h: 3}}}", ["contain"] * 5 + ["other"] * 5, 8),
        ("budgets: {capabilities: {firewall.block_ip: {1h: 4}}}", ["contain", "other"] * 4, 4),
        ("budgets: {capabilities: {identity.disable_account: {1h: 4}}}", ["contain", "other"] * 4, 8),
        ("budgets: {all: {1h: 6}}", ["a", "b", "c", "d"] * 3, 6),
        ("budgets: {all: {1h: 0}}", ["a"], 0),
        ("budgets: {run: 1}", ["contain"] * 3, 3),
    ],
)
async def test_each_limit_counts_what_it_names(
    made: Acting, target: Target, engine: AsyncEngine, policy: str, runs: list[str], let_through: int
) -> None:
    """Every run here acts on one target."""
    await put(engine, policy)

    outcomes = [await send(made, ip(place), run=f"{place}", playbook=name) for place, name in enumerate(runs)]

    assert sum(map(sent, outcomes)) == len(target.asked) == let_through
    assert all(sent(one) or one.above is not None for one in outcomes)


async def test_a_window_moves_on_and_that_of_a_day_stays(made: Acting, engine: AsyncEngine) -> None:
    """Twenty an hour and fifty a day: at the third hour ten are left."""
    counts = []
    for hour in range(4):
        outcomes = [await send(made, ip(25 * hour + one), run=f"{hour} {one}") for one in range(25)]
        counts.append(sum(map(sent, outcomes)))
        await earlier(engine, timedelta(hours=1, seconds=1))

    assert counts == [20, 20, 10, 0]
    await earlier(engine, timedelta(days=1))
    assert sent(await send(made, ip(200), run="tomorrow"))


async def test_what_acts_on_nothing_new_takes_no_place(
    made: Acting, catalog: Catalog, target: Target, engine: AsyncEngine
) -> None:
    """A repeat, a second hold on the same address, an undo, a read, a ticket, and what is in shadow."""
    await put(engine, "budgets: {run: 2, playbook: {1h: 2}, all: {1h: 2}}")
    await send(made, ip(1))
    assert sent(await send(made, ip(1)))
    assert sent(await send(made, ip(1), run="2"))
    assert (await send(made, ip(8), context={"mode": "shadow"})).status is StepStatus.SHADOWED
    look = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": ip(9)})
    ticket = ActionCall(step="t", path=("t",), action="ticket.open", parameters={"title": "x", "body": "y"})
    assert [sent(await made.gateway.act(context(run="1"), one, ())) for one in (look, ticket)] == [True, True]
    assert sent(await send(made, ip(2)))
    assert (await send(made, ip(3))).above is not None

    undone = await made.undoing.undo(context(run="1"), UndoCall(step="back", path=("back",)), ())

    assert (len(undone.undone), undone.error) == (3, None)  # one of them was in shadow
    assert (await send(made, ip(4))).above is not None  # what was taken back was acted upon all the same
    assert sent(await send(made, ip(2), run="3"))


async def test_what_failed_gives_its_place_back_and_takes_one_again(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """A further attempt needs a place of its own, as the first did."""
    await put(engine, TWO)

    def refuse() -> None:
        raise TimedOut("slow", in_doubt=False)

    target.misbehave = refuse
    assert (await send(made, ip(1))).error is not None
    target.misbehave = lambda: None
    assert [sent(await send(made, ip(one))) for one in (2, 3)] == [True, True]

    assert (await send(made, ip(1))).above is None  # the same attempt is answered as it ended
    assert (await send(made, ip(1), attempt=2)).above is not None
    assert target.asked.count(f"block {ip(1)}") == 1


@pytest.mark.parametrize(
    ("state", "ago", "then"),
    [
        ("approved", timedelta(0), "sent"),
        ("approved", timedelta(minutes=61), "above"),
        ("denied", timedelta(0), "denied by alice"),
        ("expired", timedelta(days=2), "nobody said in time that it may be sent"),
        ("failed", timedelta(0), "nobody said in time that it may be sent"),
        ("void", timedelta(0), "above"),
        ("waiting", timedelta(0), "above"),
    ],
)
async def test_what_people_decide_holds_for_what_their_card_listed_and_nothing_else(
    made: Acting, target: Target, engine: AsyncEngine, state: str, ago: timedelta, then: str
) -> None:
    """An approval lets it pass once it is asked for again, within an hour; what came later waits for the next card."""
    await put(engine, TWO)
    for one in (1, 2):
        await send(made, ip(one))
    await send(made, ip(3))
    await decide(engine, state, ago)
    await send(made, ip(4))

    outcome, later = await send(made, ip(3)), await send(made, ip(4))

    assert later.above is not None
    if then in ("sent", "above"):
        assert (sent(outcome), outcome.above is not None) == (then == "sent", then == "above")
    else:
        assert outcome.error is not None
        assert outcome.error.kind is FailureKind.REFUSED_BY_POLICY
        assert outcome.error.message == f"over budget: {FILE}:2: 2 targets a run; 2 are taken; {then}"
    assert target.asked.count(f"block {ip(3)}") == (then == "sent")
    assert (await send(made, ip(3))).above is None or then == "above"


async def test_an_approval_is_for_the_very_request_that_was_shown(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """The same step that would send another address by now waits anew."""
    await put(engine, TWO)
    for one in (1, 2):
        await send(made, ip(one))
    within = context(run="1", event="lab/1")
    await made.gateway.act(within, block(ip(3), path=("x",)), ())
    await decide(engine, "approved")

    assert (await made.gateway.act(within, block(ip(4), path=("x",)), ())).above is not None
    assert (await made.gateway.act(within, block(ip(4), path=("x",)), ())).above is not None
    assert f"block {ip(4)}" not in target.asked


async def test_what_waits_is_let_through_by_an_answer_and_not_by_waiting(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """A place that becomes free is for what comes then; a policy without the limit lets all of it go."""
    await put(engine, "budgets: {run: unlimited, playbook: unlimited, all: {1h: 1}}")
    await send(made, ip(1))
    assert (await send(made, ip(2))).above is not None
    await earlier(engine, timedelta(hours=2))

    assert (await send(made, ip(2))).above is not None
    assert sent(await send(made, ip(3)))
    await put(engine, "budgets: {run: unlimited, playbook: unlimited, all: unlimited}")
    assert sent(await send(made, ip(2)))


async def test_the_answerers_of_every_limit_that_is_reached_have_to_agree(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """An approval by those of the playbook's limit is none by those of the whole site's."""
    await put(engine, "budgets: {playbook: {1h: 1}, all: {targets: {1h: 1}, by: {group: lead, count: 2}}}")
    await send(made, ip(1))
    first = await send(made, ip(2))
    await decide(engine, "approved")
    second = await send(made, ip(2))
    await decide(engine, "approved")

    assert first.above is not None
    assert second.above is not None
    assert first.above.card == "playbook contain, 1 of anybody"
    assert (second.above.card, second.above.group, second.above.count) == ("all, 2 of lead", "lead", 2)
    assert sent(await send(made, ip(2)))


@pytest.mark.parametrize(
    ("policy", "acted_on", "let_through"),
    [
        ("budgets: {groups: {few: 1%}}", [f"198.51.100.{one}" for one in (1, 2, 3)], 1),
        ("budgets: {groups: {few: 70%}}", [f"198.51.100.{one}" for one in (1, 2, 3)], 2),
        ("budgets: {groups: {few: 1%}}", [ip(one) for one in (1, 2, 3)], 3),
        ("budgets: {groups: {gone: 100%}}", [ip(one) for one in (1, 2, 3)], 1),
        ("budgets: {groups: {nobody: 100%}}", [ip(one) for one in (1, 2, 3)], 1),
    ],
)
async def test_a_group_has_a_share_and_one_always(
    made: Acting, target: Target, engine: AsyncEngine, policy: str, acted_on: list[str], let_through: int
) -> None:
    """A list that cannot be had, or is empty, may hold anybody: one is let through."""
    await put(engine, policy)

    outcomes = [await send(made, one) for one in acted_on]

    assert sum(map(sent, outcomes)) == len(target.asked) == let_through


async def test_five_percent_of_the_administrators_where_the_site_has_such_a_list(made: Acting, target: Target) -> None:
    """Two of forty, in whatever spelling; other accounts are not counted with them."""
    accounts = ["admin1@corp.example", "CORP\\admin2", "admin3", "CORP\\carol"]

    outcomes = [await made.gateway.act(context(), disable(one), ()) for one in accounts]

    assert [sent(one) for one in outcomes] == [True, True, False, True]
    assert outcomes[2].above is not None
    assert outcomes[2].above.card == "group administrators, 1 of anybody"


async def test_the_kill_switch_halts_before_a_budget_asks(made: Acting, engine: AsyncEngine) -> None:
    """What is halted takes no place and waits on no card."""
    await put(engine, "budgets: {all: {1h: 0}}")
    await KillSwitch(engine, who="alice").throw(Reach(), "a test")

    halted = await send(made, ip(1))

    assert halted.halted
    assert halted.above is None


async def test_no_two_workers_take_the_last_place(
    catalog: Catalog, target: Target, engine: AsyncEngine, ledger: PostgresLedger
) -> None:
    """Five hundred addresses at once over two gateways: exactly the budget is sent, and the rest after an approval."""
    await put(engine, "budgets: {run: unlimited, playbook: {1h: 17}, all: unlimited}")
    patient = {"send_within": 60.0}  # they wait for one another's connections
    made = [acting(catalog, ledger, target, policy=door(engine, default=DEFAULT), sending=patient) for _ in range(2)]
    addresses = [f"198.51.{one // 250}.{one % 250}" for one in range(500)]

    async def each() -> list[ActionOutcome]:
        return await asyncio.gather(*(send(made[one % 2], to) for one, to in enumerate(addresses)))

    outcomes = await each()
    assert sum(map(sent, outcomes)) == len(target.asked) == 17
    assert {one.above.card for one in outcomes if one.above} == {"playbook contain, 1 of anybody"}

    await decide(engine, "approved")
    assert all(map(sent, await each()))
    assert len(target.asked) == len(set(target.asked)) == 500

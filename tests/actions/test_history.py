"""`history.effects` and `history.runs`: Tocsin's own past, asked through the gateway like any product."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.history import Targets, own_history
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import build_site
from orchestrator.audit.database import make_engine
from orchestrator.contract.capabilities import history
from orchestrator.errors import FailureKind, SettingsError, TargetUnavailable, Unavailable
from orchestrator.language.host import ActionCall, RunContext, StepStatus
from tests.actions.bench_target import Target, block, context, product
from tests.contract.examples import whole

CAPABILITIES = scan().capabilities
_numbers = itertools.count(1)

RUN = text("""
INSERT INTO tocsin.run (run, playbook, digest, event, group_key, workflow_id, first_run_id, mode, severity, state,
                        started_at)
VALUES (:run, :playbook, 'd', :event, :key, :run, 'first', 'live', 'high', :state,
        clock_timestamp() - make_interval(days => :days))
""")


@pytest.fixture
def gateway(engine: AsyncEngine, target: Target) -> Gateway:
    """A gateway to a target in this process and to Tocsin's own past."""
    return gateway_on(engine, target)


def gateway_on(engine: AsyncEngine, target: Target) -> Gateway:
    catalog = Catalog(CAPABILITIES, {"bench": product(target)})
    site = build_site(catalog, {"bench": {}}, {}, [own_history(engine, CAPABILITIES)])
    ledger = PostgresLedger(engine)
    return Gateway(capabilities=CAPABILITIES, site=site, ledger=ledger, sender=Sender(ledger), rails=[])


def another(playbook: str = "contain", **changes: Any) -> RunContext:
    """The context of another run, of another alert."""
    number = next(_numbers)
    name = {"run": f"{playbook}/a/{number}", "workflow_id": f"{playbook}/a/{number}", "event": f"lab/{number}"}
    return context(playbook=playbook, **(name | changes))


async def asked(gateway: Gateway, action: str, by: RunContext | None = None, **given: Any) -> Any:
    """What a run is told; a step of its own each time, since the ledger keeps what a step was told."""
    step = f"ask_{next(_numbers)}"
    call = ActionCall(step=step, path=(step,), action=action, parameters=given)
    outcome = await gateway.act(by or context(), call, ())
    assert outcome.status is StepStatus.SUCCEEDED, outcome.error
    return CAPABILITIES[action].gives.model_validate(outcome.output)


async def ran(engine: AsyncEngine, by: RunContext, *, key: str | None = None, days: int = 0, state: str = "x") -> None:
    """A run stands in the table of runs."""
    row = {"run": by.run, "playbook": by.playbook, "event": by.event, "key": key, "days": days, "state": state}
    async with engine.begin() as connection:
        await connection.execute(RUN, row)


async def aged(engine: AsyncEngine, by: RunContext, days: int) -> None:
    """What a run did is so many days old."""
    older = "UPDATE tocsin.action SET intended_at = intended_at - make_interval(days => :days) WHERE run = :run"
    async with engine.begin() as connection:
        await connection.execute(text(older), {"days": days, "run": by.run})


async def test_a_playbook_learns_that_it_is_the_third_time_this_month(gateway: Gateway, engine: AsyncEngine) -> None:
    """Blocks of the same address by earlier runs, the newest first; older ones and those of other targets aside."""
    first, second, long_ago = another(), another(), another()
    for by in (first, second, long_ago):
        await gateway.act(by, block(), ())
    await gateway.act(another(), block("203.0.113.8"), ())
    await aged(engine, first, 20)
    await aged(engine, long_ago, 40)

    past = await asked(gateway, "history.effects", target="203.0.113.7", within="30d")

    assert past.count == 2
    assert [one.run for one in past.effects] == [second.run, first.run]
    assert past.effects[0].capability == "firewall.block_ip"
    assert past.effects[0].target == "ip:203.0.113.7"
    assert past.effects[0].until is not None
    assert not past.truncated


async def test_a_run_does_not_count_what_it_did_itself_unless_it_asks_for_that(
    gateway: Gateway, engine: AsyncEngine
) -> None:
    """Neither its own effects nor those of its sub-playbooks, which have the alert in common with it."""
    mine = context()
    called = another("enrich", event=mine.event, within=("sha256:1", "call"))
    await ran(engine, mine)
    await ran(engine, called)
    for by in (mine, called, another()):
        await gateway.act(by, block(), ())

    assert (await asked(gateway, "history.effects", target="203.0.113.7")).count == 1
    assert (await asked(gateway, "history.effects", by=called, target="203.0.113.7")).count == 1
    assert (await asked(gateway, "history.effects", target="203.0.113.7", own=True)).count == 3


async def test_only_what_took_place_is_an_effect(gateway: Gateway, target: Target) -> None:
    """A look-up, a shadow run and a target that was down did nothing to anybody."""

    def down() -> None:
        raise TargetUnavailable("connection refused")

    look = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "203.0.113.7"})
    await gateway.act(another(), look, ())
    await gateway.act(another(mode="shadow"), block(), ())
    target.misbehave = down
    await gateway.act(another(), block(), ())

    assert (await asked(gateway, "history.effects", target="203.0.113.7")).count == 0


async def test_a_verb_may_be_named_and_the_list_is_bounded_while_the_count_is_not(gateway: Gateway) -> None:
    """So that a noisy address does not fill the history of a run."""
    disable = {"action": "identity.disable_account", "parameters": {"account": "alice"}}
    for _ in range(3):
        await gateway.act(another(), block(), ())
    await gateway.act(another(), block(**disable), ())

    past = await asked(gateway, "history.effects", target="203.0.113.7", capability="firewall.block_ip", limit=2)

    assert (past.count, len(past.effects), past.truncated) == (3, 2, True)
    named = await asked(gateway, "history.effects", target="203.0.113.7", capability="identity.disable_account")
    assert named.count == 0


async def test_a_target_is_found_in_every_spelling_and_by_its_kind(gateway: Gateway) -> None:
    """As an alert writes it; an account and a machine of the same name are told apart by their kind."""
    await gateway.act(another(), block("2001:db8::1"), ())
    disable = {"action": "identity.disable_account", "parameters": {"account": "Alice"}}
    await gateway.act(another(), block(**disable), ())

    for spelling in ("2001:DB8:0::1", "ip:2001:db8:0:0::1", "alice", "ALICE", "account:Alice"):
        assert (await asked(gateway, "history.effects", target=spelling)).count == 1, spelling
    assert (await asked(gateway, "history.effects", target="host:alice")).count == 0


async def test_a_target_that_is_none_of_its_kind_is_a_mistake_and_not_a_zero(gateway: Gateway) -> None:
    """A zero would let a playbook believe that nothing ever happened."""
    call = ActionCall(step="ask", path=("ask",), action="history.effects", parameters={"target": "ip:203.0.113.300"})

    outcome = await gateway.act(context(), call, ())

    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.INVALID
    assert "is no ip" in outcome.error.message


async def test_runs_are_found_by_playbook_key_and_target(gateway: Gateway, engine: AsyncEngine) -> None:
    """All that is given must hold; the run that asks is not its own past."""
    contained, other, old, mine = another(), another("watch"), another(), context()
    await ran(engine, contained, key="203.0.113.7", days=2, state="succeeded")
    await ran(engine, other, key="203.0.113.7", days=1)
    await ran(engine, old, key="203.0.113.7", days=40)
    await ran(engine, mine, key="203.0.113.7")
    await gateway.act(contained, block(), ())

    async def found(**given: Any) -> list[str]:
        return [one.run for one in (await asked(gateway, "history.runs", **given)).runs]

    assert await found(key="203.0.113.7") == [other.run, contained.run]
    assert await found(playbook="contain", within="60d") == [contained.run, old.run]
    assert await found(target="203.0.113.7") == [contained.run]
    assert await found(playbook="watch", target="203.0.113.7") == []
    assert await found(playbook="contain", own=True) == [mine.run, contained.run]
    told = (await asked(gateway, "history.runs", key="203.0.113.7", limit=1, playbook="contain")).runs[0]
    assert (told.state, str(told.severity), told.key, told.mode) == ("succeeded", "high", "203.0.113.7", "live")


async def test_hostile_text_is_looked_for_and_found_nowhere(gateway: Gateway) -> None:
    """It is a value of a statement and never a part of it."""
    for hostile in ("' OR 1=1 --", "a\0b", "%", ":run", "x" * 1_024):
        assert (await asked(gateway, "history.effects", target=hostile)).count == 0
        assert (await asked(gateway, "history.runs", playbook=hostile, key=hostile, target=hostile)).count == 0


@pytest.mark.parametrize("name", [name for name, one in CAPABILITIES.items() if one.target])
def test_the_target_of_every_capability_is_found_by_its_value_alone(name: str) -> None:
    """A new kind of target needs no change here."""
    capability, targets = CAPABILITIES[name], Targets(CAPABILITIES)
    parameters = whole(capability)
    target = capability.target_of(parameters)
    assert target in targets.spelled(str(getattr(parameters, capability.target or "")))
    assert targets.spelled(target) == [target]


async def test_the_question_waits_where_the_ledger_is_away() -> None:
    """Nobody says that nothing ever happened because nobody could look."""
    nowhere = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    call = ActionCall(step="ask", path=("ask",), action="history.effects", parameters={"target": "alice"})
    with pytest.raises(Unavailable):
        await gateway_on(nowhere, Target()).act(context(), call, ())


async def test_the_database_finds_an_index_for_each_question(engine: AsyncEngine) -> None:
    """A site that has run for years answers as fast as a new one."""
    filled = """
    INSERT INTO tocsin.run (run, playbook, digest, event, group_key, workflow_id, first_run_id, mode, started_at)
    SELECT 'r' || n, 'p' || n % 50, 'd', 'e' || n, 'k' || n, 'w' || n, 'f', 'live',
        clock_timestamp() - make_interval(mins => n) FROM generate_series(1, 20000) AS n
    """
    async with engine.begin() as connection:
        await connection.execute(text(filled))
        await connection.execute(text("ANALYZE tocsin.run"))
        for condition, index in (("playbook = 'p1'", "run_playbook"), ("group_key = 'k1'", "run_key")):
            query = f"EXPLAIN SELECT FROM tocsin.run WHERE {condition} AND started_at > now() - interval '1 day'"
            plan = "\n".join((await connection.execute(text(query))).scalars())
            assert index in plan


def test_nobody_else_may_go_by_the_names_of_tocsins_own_products(engine: AsyncEngine) -> None:
    """Else a site would lose its history by a name in its settings; as a route the name is fine."""
    own = own_history(engine, CAPABILITIES)
    catalog = Catalog(CAPABILITIES, {"bench": product(Target())})
    with pytest.raises(SettingsError, match=r"integrations\.tocsin: Tocsin itself goes by this name"):
        build_site(catalog, {"tocsin": {"uses": "bench"}}, {}, [own])
    site = build_site(catalog, {}, {"history.runs": ("tocsin",)}, [own])
    assert [one.name for one in site.route("history.runs")] == ["tocsin"]
    assert set(own.implementations) == {history.effects.name, history.runs.name}

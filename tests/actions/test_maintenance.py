"""Maintenance windows: what waits for their end, what passes, in which order they go on, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.maintenance import Maintenance, waiting
from orchestrator.audit.reading import about
from orchestrator.language.calendars import Calendar, Weekday
from orchestrator.language.host import ActionCall, StepStatus, UndoCall
from orchestrator.language.reference import ReferenceData
from tests.actions.bench_target import Target, acting, block, context
from tests.actions.test_pace import RUN
from tests.policy.written import door, put

ALWAYS = {"tz": "UTC", "hours": {day: [["00:00", "24:00"]] for day in Weekday}}
NIGHTS = ReferenceData(calendars={"nights": Calendar.model_validate(ALWAYS)})
WINDOW = 'maintenance:\n- {integrations: [bench], from: "2020-01-01T00:00Z", to: "2900-01-01T00:00Z"'
LOOK = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "203.0.113.7"})
BACK = UndoCall(step="back", path=("back",))


@pytest.fixture
def made(catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine) -> Acting:
    """What acts and undoes by the policy in force."""
    policy = door(engine, forgetful=True)
    maintenance = Maintenance(engine, policy, lambda: NIGHTS)
    return acting(catalog, ledger, target, policy=policy, maintenance=maintenance)


async def begin(engine: AsyncEngine, more: str = "") -> None:
    """The bench is worked on."""
    await put(engine, f"{WINDOW}{more}}}")


async def end(engine: AsyncEngine) -> None:
    """The window has just ended."""
    await put(engine, WINDOW.replace("2900", "2021") + "}")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.queued SET until = clock_timestamp()"))


async def runs(engine: AsyncEngine, *severities: str) -> None:
    """Runs of these names, each of an alert as bad as its name."""
    async with engine.begin() as connection:
        for severity in severities:
            await connection.execute(RUN, {"run": severity, "severity": severity})


async def sql(engine: AsyncEngine, statement: str) -> Any:
    """What the database says to this."""
    async with engine.begin() as connection:
        return await connection.execute(text(statement))


async def test_what_changes_something_waits_until_the_window_ends(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """It is not sent, not failed and not recorded as meant; the audit tells once that it waits, and then it goes."""
    await begin(engine)

    first, again = [await made.gateway.act(context(), block(), ()) for _ in range(2)]

    assert first.halted == again.halted
    assert first.halted == ("waits: playbooks/site/policy.yaml:3: maintenance of bench, until 2900-01-01 00:00:00Z")
    assert target.asked == []
    assert [one.type for one in await about(engine, context().run)] == ["action.queued"]
    assert [one.type for one in await about(engine, "bench")] == ["maintenance.held"]
    assert [(one.integration, one.target) for one in await waiting(engine)] == [("bench", "ip:203.0.113.7")]

    await end(engine)
    assert (await made.gateway.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]
    assert await waiting(engine) == []


async def test_only_a_window_of_this_integration_and_this_moment_holds(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """A calendar that is gone holds nothing: `tocsin check` says that it is."""
    windows = [
        (WINDOW + "}", True), (WINDOW.replace("2900", "2021") + "}", False),
        (WINDOW.replace("bench", "other") + "}", False),
        ("maintenance:\n- {integrations: [bench], calendar: nights}", True),
        ("maintenance:\n- {integrations: [bench], calendar: gone}", False),
        ("maintenance:\n- {integrations: [bench], weekly: {tz: UTC, hours: {}}}", False),
    ]  # fmt: skip
    for number, (window, holds) in enumerate(windows):
        await put(engine, window)
        await sql(engine, "DELETE FROM tocsin.queued")
        before = len(target.asked)
        call = block(f"203.0.113.{number}", path=("block", str(number)))
        assert bool((await made.gateway.act(context(), call, ())).halted) is holds, window
        assert (len(target.asked) == before) is holds


async def test_reads_what_is_shadow_and_what_was_sent_go_on(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """Reads wait only where the policy says so."""
    await made.gateway.act(context(), block(), ())
    await begin(engine)
    shadow = block("203.0.113.8", path=("shadow",))

    assert (await made.gateway.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert (await made.gateway.act(context(), LOOK, ())).error is None
    assert (await made.gateway.act(context(mode="shadow"), shadow, ())).status is StepStatus.SHADOWED

    await put(engine, f"{WINDOW}}}\nmodes: {{integrations: {{bench: shadow}}}}")
    by_policy = block("203.0.113.9", path=("by-policy",))
    assert (await made.gateway.act(context(), by_policy, ())).status is StepStatus.SHADOWED

    await begin(engine, ", reads: wait")
    other = LOOK.model_copy(update={"path": ("other",)})
    assert (await made.gateway.act(context(), other, ())).halted
    assert target.asked == ["block 203.0.113.7", "look up 203.0.113.7"]


async def test_critical_ones_pass_where_the_policy_says_so(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """The others wait."""
    await runs(engine, "critical", "high")
    await begin(engine)
    assert (await made.gateway.act(context(run="critical"), block(), ())).halted
    await begin(engine, ", critical: go")
    assert (await made.gateway.act(context(run="critical"), block(), ())).error is None
    assert (await made.gateway.act(context(run="high"), block("203.0.113.8", path=("other",)), ())).halted
    assert target.asked == ["block 203.0.113.7"]


async def test_they_go_on_by_severity_and_then_by_age(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """Whoever asks out of turn is told to wait a second, and each is told when to look so that this is rare."""
    order = ["low", "high", "critical", "medium"]
    await runs(engine, *order)
    await begin(engine)
    calls = {
        (severity, age): block(f"203.0.113.{place}{age}", path=(severity, str(age)))
        for age in (1, 2)
        for place, severity in enumerate(order, 1)
    }
    for (severity, _), call in calls.items():
        assert (await made.gateway.act(context(run=severity), call, ())).halted
    said = {key: (await made.gateway.act(context(run=key[0]), call, ())).error for key, call in calls.items()}
    looks = {key: error.retry_after or 0 for key, error in said.items() if error}
    expected = [(severity, age) for severity in ("critical", "high", "medium", "low") for age in (1, 2)]
    assert [(one.run, one.target) for one in await waiting(engine)] == [
        (key[0], f"ip:{calls[key].parameters['ip']}") for key in expected
    ]
    assert len(looks) == len(calls)

    await end(engine)
    went: list[tuple[str, int]] = []
    while len(went) < len(calls):
        for key, call in calls.items():
            if key not in went and not (await made.gateway.act(context(run=key[0]), call, ())).halted:
                went.append(key)

    assert went == expected
    assert len(target.asked) == len(calls)


async def test_a_run_that_is_gone_holds_up_nobody(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """Who has not looked for two minutes waits no more."""
    await runs(engine, "critical", "low")
    await begin(engine)
    mine = block("203.0.113.8", path=("mine",))
    await made.gateway.act(context(run="critical"), block(), ())
    await made.gateway.act(context(run="low"), mine, ())
    await end(engine)
    told = await made.gateway.act(context(run="low"), mine, ())
    assert told.halted == "waits: others that waited for the maintenance of bench go first"
    assert told.error
    assert told.error.retry_after == 1.0

    await sql(engine, "UPDATE tocsin.queued SET looked_at = looked_at - interval '3 minutes' WHERE run = 'critical'")
    assert (await made.gateway.act(context(run="low"), mine, ())).error is None


async def test_it_waits_for_so_long_at_most(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """Then it goes, in the middle of the window: 4 h where the policy says nothing else."""
    await begin(engine)
    await made.gateway.act(context(), block(), ())
    await sql(engine, "UPDATE tocsin.queued SET since = since - interval '239 minutes'")
    told = await made.gateway.act(context(), block(), ())
    assert told.halted
    assert told.error
    assert 50 < (told.error.retry_after or 0) <= 60
    await sql(engine, "UPDATE tocsin.queued SET since = since - interval '1 minute'")
    assert (await made.gateway.act(context(), block(), ())).error is None
    assert target.blocked == {"203.0.113.7"}


async def test_an_undo_waits_too_and_is_not_lost(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """It looks at nothing, makes no attempt and pages nobody; when the window has ended it is done."""
    await made.gateway.act(context(), block(), ())
    await begin(engine)

    def away() -> None:
        raise AssertionError("it is worked on, and was looked at")

    target.hide = away
    done = await made.undoing.undo(context(), BACK, ())

    assert done.error
    assert done.error.message.startswith("waits: ")
    assert target.asked == ["block 203.0.113.7"]
    (shared,) = (await sql(engine, "SELECT shared FROM tocsin.taking_back WHERE attempts = 0")).scalars()
    assert await made.undoing.end(shared, by="expiry") is not None
    assert "action.undo_failed" not in [one.type for one in await about(engine, context().run)]

    target.hide = lambda: None
    await end(engine)
    assert await made.undoing.end(shared, by="expiry") is None
    assert target.blocked == set()
    assert await waiting(engine) == []

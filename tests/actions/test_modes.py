"""Modes at the moment of sending: what is recorded and not sent, that nothing else differs, and changes midway."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.canonical import digest_of
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.audit.reading import about
from orchestrator.errors import TimedOut
from orchestrator.language.host import ActionCall, StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context
from tests.policy.written import FILE, door, put

CLOSE = "firewall.block_ip"


IN_FORCE = (
    """INSERT INTO tocsin.playbook_version (digest, name, document, source)
    SELECT digest, digest, '{}', 'x' FROM unnest(ARRAY['a', 'b', 'c']) AS made (digest)""",
    """INSERT INTO tocsin.playbook_registered (name, digest)
    VALUES ('contain', 'a'), ('contain', 'b'), ('other', 'c')""",
    """INSERT INTO tocsin.playbook_in_force (name, digest, since, until) VALUES
    ('contain', 'a', clock_timestamp() - interval '8 days', clock_timestamp() - interval '2 days'),
    ('contain', 'b', clock_timestamp() - interval '1 day', NULL),
    ('other', 'c', clock_timestamp() - interval '1 day', NULL)""",
)


@pytest.fixture
def made(catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine) -> Acting:
    """What acts under the policy in force."""
    return acting(catalog, ledger, target, policy=door(engine))


async def rows(engine: AsyncEngine, columns: str) -> list[Any]:
    query = f"SELECT {columns} FROM tocsin.action ORDER BY intended_at, key"  # noqa: S608 - our own words
    async with engine.connect() as connection:
        return list((await connection.execute(text(query))).all())


@pytest.mark.parametrize(
    ("policy", "shadows"),
    [
        ("modes: {site: shadow}", True),
        ("modes: {integrations: {bench: shadow}}", True),
        ("modes: {integrations: {other: shadow}}", False),
        ("modes: {playbooks: {contain: shadow}}", True),
        ("modes: {playbooks: {other: shadow}}", False),
        ("modes: {capabilities: {firewall.block_ip: shadow}}", True),
        ("modes: {capabilities: {firewall.unblock_ip: shadow}}", False),
        ("new_playbooks: shadow", True),
        ("new_playbooks: {mode: shadow, for: 1d}", True),
        ("new_playbooks: shadow\nmodes: {playbooks: {contain: live}}", False),
        ("modes: {site: live}", False),
    ],
)
async def test_what_the_policy_names_is_recorded_and_not_sent_and_nothing_beside_it(
    made: Acting, target: Target, engine: AsyncEngine, policy: str, shadows: bool
) -> None:
    """The ledger keeps under which policy that was decided, and by which line."""
    await put(engine, policy)

    outcome = await made.gateway.act(context(), block(), ())

    assert outcome.status is (StepStatus.SHADOWED if shadows else StepStatus.SUCCEEDED)
    assert bool(target.asked) is not shadows
    ((mode, digest, why),) = await rows(engine, "mode, policy, mode_why")
    assert (mode, digest) == ("shadow" if shadows else "live", (await door(engine).now()).digest)
    assert (why or "").startswith(f"{FILE}:") is shadows


async def test_a_playbook_that_has_been_in_force_for_long_enough_is_not_new(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """Another one that came yesterday is; where it was taken away and put back, the first time counts."""
    await put(engine, "new_playbooks: {mode: shadow, for: 7d}")
    async with engine.begin() as connection:
        for statement in IN_FORCE:
            await connection.execute(text(statement))

    assert (await made.gateway.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    other = context(playbook="other", event="lab/alert-2")
    assert (await made.gateway.act(other, block(), ())).status is StepStatus.SHADOWED


async def test_the_request_is_the_same_to_the_byte_in_shadow_and_live(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """What a card shows, what an approval is bound to, and what the ledger has: only the mode tells them apart."""
    (shown,) = await made.gateway.preview(context(), [block()])
    await made.gateway.act(context(), block(), ())
    await put(engine, "modes: {site: shadow}")
    (in_shadow,) = await made.gateway.preview(context(), [block()])
    await made.gateway.act(context(event="lab/alert-2"), block(), ())

    as_bytes = [orjson.dumps(one.model_dump(mode="json")) for one in (shown, in_shadow)]
    assert as_bytes[0] == as_bytes[1]
    assert digest_of([shown]) == digest_of([in_shadow])
    sent = "capability, integration, target, parameters::text, parameters_digest, path, effect"
    live, shadow = await rows(engine, sent)
    assert live == shadow
    assert [one.mode for one in await rows(engine, "mode")] == ["live", "shadow"]


async def test_the_policy_of_the_moment_counts_and_not_the_one_that_was_looked_at(
    catalog: Catalog, target: Target, engine: AsyncEngine
) -> None:
    """Put in force between the look and the intent, it is looked at anew: there is no moment in between."""

    class ChangedBetween(PostgresLedger):
        async def intend(self, *arguments: Any) -> Any:
            await put(engine, "modes: {integrations: {bench: shadow}}")
            return await super().intend(*arguments)

    late = acting(catalog, ChangedBetween(engine), target, policy=door(engine))

    assert (await late.gateway.act(context(), block(), ())).status is StepStatus.SHADOWED
    assert target.asked == []
    assert [one.mode for one in await rows(engine, "mode")] == ["shadow"]


async def test_a_change_in_the_middle_of_a_run_counts_from_the_next_send_on(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """What was sent stays sent, and is taken back in shadow too; what was recorded only is not sent afterwards."""
    await made.gateway.act(context(), block(), ())
    await put(engine, "modes: {playbooks: {contain: shadow}}")
    second = block("203.0.113.8", step="second", path=("second",))

    assert (await made.gateway.act(context(), second, ())).status is StepStatus.SHADOWED
    assert (await made.gateway.act(context(), block(), ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]

    await put(engine, "modes: {playbooks: {contain: live}}")
    assert (await made.gateway.act(context(), second, ())).status is StepStatus.SHADOWED
    third = block("203.0.113.9", step="third", path=("third",))
    assert (await made.gateway.act(context(), third, ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7", "block 203.0.113.9"]

    await put(engine, "modes: {site: shadow}")
    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())
    assert (set(done.undone), done.error) == ({"block", "second", "third"}, None)
    assert target.blocked == set()
    assert "unblock 203.0.113.8" not in target.asked


async def test_a_run_in_shadow_takes_nothing_back(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """It would have: what it never blocked may be blocked by somebody else. A live run's own block is taken back."""
    target.blocked.add("203.0.113.7")
    shadow = context(mode="shadow", mode_why="a test")
    await made.gateway.act(shadow, block(), ())

    done = await made.undoing.undo(shadow, UndoCall(step="back", path=("back",)), ())

    assert (done.undone, done.error) == (("block",), None)
    assert (target.asked, target.blocked) == ([], {"203.0.113.7"})
    assert [(one.capability, one.mode) for one in await rows(engine, "capability, mode")] == [
        (CLOSE, "shadow"), ("firewall.unblock_ip", "shadow")
    ]  # fmt: skip

    target.blocked.clear()
    live = context(run="contain/a/alert-2", event="lab/alert-2")
    await made.gateway.act(live, block(), ())
    await made.undoing.undo(live, UndoCall(step="back", path=("back",)), ())
    assert target.asked == ["block 203.0.113.7", "unblock 203.0.113.7"]


@pytest.mark.parametrize("shadow", [True, False])
async def test_what_was_sent_and_not_answered_is_looked_up_and_not_sent_again_in_shadow(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine, shadow: bool
) -> None:
    """The policy changed between the two sends. Where it stays live the second one is made."""

    def drop() -> None:
        raise TimedOut("no answer")

    async def change(seconds: float) -> None:
        if shadow:
            await put(engine, "modes: {site: shadow}")
        target.misbehave = lambda: None

    target.misbehave = drop
    made = acting(catalog, ledger, target, policy=door(engine, forgetful=True), sending={"sleep": change})

    outcome = await made.gateway.act(context(), block(), ())

    assert target.asked == ["block 203.0.113.7"] * (1 if shadow else 2)
    assert outcome.status is (StepStatus.FAILED if shadow else StepStatus.SUCCEEDED)
    if shadow:
        assert outcome.error is not None
        assert outcome.error.message == f"step block: in shadow by now, by {FILE}:2: modes.site: shadow"


async def test_what_a_worker_that_died_had_sent_live_is_not_taken_for_shadow(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """Its intent stands as live: the target is asked what became of it."""

    class Died(PostgresLedger):
        async def conclude(self, *arguments: Any) -> None:
            raise KeyboardInterrupt

    dying = acting(catalog, Died(engine), target, policy=door(engine))
    with pytest.raises(KeyboardInterrupt):
        await dying.gateway.act(context(), block(), ())
    await put(engine, "modes: {site: shadow}")

    async def skip(seconds: float) -> None:
        """The time in which the dead worker could have sent."""

    later = acting(catalog, ledger, target, policy=door(engine), sending={"sleep": skip})
    outcome = await later.gateway.act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]
    assert [(one.mode, one.state) for one in await rows(engine, "mode, state")] == [("live", "done")]


async def test_a_further_attempt_is_in_the_mode_of_its_own_moment(
    made: Acting, target: Target, engine: AsyncEngine
) -> None:
    """The first failed live; the second is recorded as what it would have been."""

    def refuse() -> None:
        raise TimedOut("slow", in_doubt=False)

    target.misbehave = refuse
    assert (await made.gateway.act(context(), block(), ())).error is not None
    target.misbehave = lambda: None
    await put(engine, "modes: {site: shadow}")

    assert (await made.gateway.act(context(), block(attempt=2), ())).status is StepStatus.SHADOWED
    assert target.asked == ["block 203.0.113.7"]
    assert [one.mode for one in await rows(engine, "mode")] == ["shadow"]


async def test_reads_are_in_no_mode(made: Acting, target: Target, engine: AsyncEngine) -> None:
    """A rehearsal decides by what is."""
    await put(engine, "modes: {site: shadow}")
    look = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "203.0.113.7"})

    assert (await made.gateway.act(context(), look, ())).status is StepStatus.SUCCEEDED
    assert target.asked == ["look up 203.0.113.7"]


async def test_the_audit_says_of_each_shadowed_action_by_which_line_it_is_one(
    made: Acting, engine: AsyncEngine
) -> None:
    """In its intent, with the digest of the policy."""
    await put(engine, "modes:\n  capabilities: {firewall.block_ip: shadow}")
    await made.gateway.act(context(), block(), ())

    intended, shadowed = await about(engine, context().run)
    assert (intended.type, shadowed.type) == ("action.intended", "action.shadowed")
    assert intended.body["mode_why"] == f"{FILE}:3: modes.capabilities.firewall.block_ip: shadow"
    assert intended.body["policy"] == (await door(engine).now()).digest

"""The gateway: one effect for each key, intent before effect, and no guess about a lost answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import Entry, Outcome, PostgresLedger
from orchestrator.audit.database import make_engine
from orchestrator.audit.events import to_json
from orchestrator.audit.reading import AuditRecord, about
from orchestrator.errors import FailureKind, RateLimited, TargetUnavailable, TimedOut, Unavailable
from orchestrator.language.host import ActionCall, StepStatus, Trace
from tests.actions.bench_target import Target, block, context, gateway

NOW = datetime(2026, 5, 6, 10, tzinfo=UTC)


async def told(engine: AsyncEngine) -> list[AuditRecord]:
    return list(await about(engine, context().run))


async def test_an_action_is_sent_once_however_often_it_is_asked_for(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The second call under a key gets the first one's result, and the target sees nothing of it."""
    act = gateway(catalog, ledger, target).act

    first = await act(context(), block(), ())
    second = await act(context(), block(), ())

    assert first.status is StepStatus.SUCCEEDED
    assert second.output == first.output == {"ip": "203.0.113.7", "blocked": True, "entry": None}
    assert target.asked == ["block 203.0.113.7"]


async def test_many_workers_at_once_send_one_request(catalog: Catalog, ledger: PostgresLedger, target: Target) -> None:
    """Workers that race for a key share one effect."""
    gateways = [gateway(catalog, ledger, target, sending={"send_within": 2.0}) for _ in range(8)]

    outcomes = await asyncio.gather(*(one.act(context(), block(), ()) for one in gateways))

    assert {one.status for one in outcomes} == {StepStatus.SUCCEEDED}
    assert target.asked == ["block 203.0.113.7"]


async def test_every_action_leaves_its_intent_and_its_outcome(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """The audit tells what was meant before it tells what came of it, after what the run had decided before."""
    decided = Trace(at=NOW, type="step.started", step="block", body={"when": True})

    await gateway(catalog, ledger, target).act(context(), block(), (decided,))

    records = await told(engine)
    assert [one.type for one in records] == ["step.started", "action.intended", "action.done"]
    assert records[1].body["parameters"] == {"ip": "203.0.113.7", "reason": ""}
    assert records[2].body["key"] == records[1].body["key"]


async def test_the_intent_is_committed_before_the_target_hears_of_it(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """At the moment of sending, another connection already reads the intent."""
    seen: list[str] = []
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        task = loop.create_task(told(engine))
        task.add_done_callback(lambda done: (seen.extend(one.type for one in done.result()), looked.set()))

    target.misbehave = look

    await gateway(catalog, ledger, target).act(context(), block(), ())
    await asyncio.wait_for(looked.wait(), 5)

    assert "action.intended" in seen


async def test_nothing_is_sent_while_the_ledger_is_away(catalog: Catalog, target: Target) -> None:
    """Without a ledger there is no intent, so there is no request."""
    nowhere = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable):
        await gateway(catalog, PostgresLedger(nowhere), target).act(context(), block(), ())

    assert target.asked == []


async def test_a_lost_answer_is_looked_up_and_not_repeated(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """The block took effect and the answer was lost: it is found by reading, and sent once."""

    def cut() -> None:
        raise TimedOut("cut")

    target.lose_answer = cut

    outcome = await gateway(catalog, ledger, target).act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]
    assert (await told(engine))[-1].body["how"] == "read_back"


async def test_a_request_that_never_arrived_is_sent_again(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """No answer, and reading shows no effect: the second send is safe."""
    failures = iter([TimedOut("lost on the way")])

    def drop_first() -> None:
        for failure in failures:
            raise failure

    target.misbehave = drop_first

    outcome = await gateway(catalog, ledger, target).act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert len(target.asked) == 2
    assert len(target.effects) == 1


async def test_what_cannot_be_known_is_left_to_a_person(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """A ticket system that can neither repeat nor be read: after a lost answer nothing more is sent, ever."""

    def cut() -> None:
        raise TimedOut("cut")

    target.lose_answer = cut
    act = gateway(catalog, ledger, target).act
    call = ActionCall(step="ticket", path=("ticket",), action="ticket.open", parameters={"title": "t"})

    first = await act(context(), call, ())
    again = await act(context(), call.model_copy(update={"attempt": 2}), ())

    assert first.error is not None
    assert first.error.kind is again.error.kind is FailureKind.UNKNOWN_OUTCOME  # type: ignore[union-attr]
    assert target.asked == ["open t"]
    assert (await told(engine))[-1].type == "action.unknown"


async def test_a_worker_that_died_between_intent_and_answer_leaves_one_effect(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """An open intent is first left alone until its time to send has passed, then looked up."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    class Died(BaseException):
        """The process ends here."""

    def die() -> None:
        raise Died

    target.lose_answer = die
    with pytest.raises(Died):
        await gateway(catalog, ledger, target, sending={"send_within": 7.0}).act(context(), block(), ())
    target.lose_answer = lambda: None

    outcome = await gateway(catalog, ledger, target, sending={"sleep": wait}).act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]
    assert 6.0 < waited[0] <= 7.0


async def test_a_worker_that_was_frozen_sends_nothing_when_it_wakes(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """Between the intent and the send the process was stopped for longer than the intent allows."""
    readings = iter([0.0, 60.0, 60.0, 60.0])

    outcome = await gateway(catalog, ledger, target, sending={"clock": lambda: next(readings)}).act(
        context(), block(), ()
    )

    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.UNAVAILABLE
    assert target.asked == []


async def test_a_failure_is_kept_and_a_further_attempt_may_send_again(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The same attempt asked for again gets the stored failure; only the playbook's next attempt sends."""
    failures = iter([RateLimited("slow down", retry_after=3.0)])

    def refuse_first() -> None:
        for failure in failures:
            raise failure

    target.misbehave = refuse_first
    act = gateway(catalog, ledger, target).act

    first = await act(context(), block(), ())
    repeated = await act(context(), block(), ())
    second = await act(context(), block(attempt=2), ())

    assert first.error == repeated.error
    assert first.error is not None
    assert (first.error.kind, first.error.retry_after) == (FailureKind.RATE_LIMITED, 3.0)
    assert second.status is StepStatus.SUCCEEDED
    assert len(target.asked) == 2


async def test_other_parameters_under_a_known_key_are_recorded_and_never_sent(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """A run that renders a step differently the second time gets the first result and acts on no other address."""
    act = gateway(catalog, ledger, target).act
    first = await act(context(), block("203.0.113.7"), ())

    changed = await act(context(), block("203.0.113.8"), ())

    assert changed.output == first.output
    assert target.asked == ["block 203.0.113.7"]
    assert (await told(engine))[-1].body["reason"] == "parameters_changed"


async def test_what_was_meant_first_is_what_is_sent_after_a_crash(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The worker died before sending, and the run renders another address now: the recorded one is blocked."""
    failures = iter([RateLimited("not yet")])

    def refuse_first() -> None:
        for failure in failures:
            raise failure

    target.misbehave = refuse_first
    act = gateway(catalog, ledger, target).act
    await act(context(), block("203.0.113.7"), ())

    again = await act(context(), block("203.0.113.8", attempt=2), ())

    assert again.output is not None
    assert again.output["ip"] == "203.0.113.7"
    assert list(target.effects.values()) == ["block 203.0.113.7"]


async def test_a_read_is_recorded_and_answers_the_same_when_asked_again(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """A run that is replayed after a crash decides on the same facts."""
    act = gateway(catalog, ledger, target).act
    call = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "203.0.113.7"})

    first, second = await act(context(), call, ()), await act(context(), call, ())

    assert first.output == second.output
    assert target.asked == ["look up 203.0.113.7"]


async def test_shadow_records_everything_and_sends_no_write(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """A write in shadow mode goes the same way up to the send; its output is made from the model. Reads are real."""
    act = gateway(catalog, ledger, target).act
    shadow = context(mode="shadow")

    blocked = await act(shadow, block(), ())
    looked = await act(
        shadow, ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "192.0.2.1"}), ()
    )

    assert blocked.status is StepStatus.SHADOWED
    assert blocked.output == {"ip": "203.0.113.7", "blocked": False, "entry": None}
    assert looked.status is StepStatus.SUCCEEDED
    assert target.asked == ["look up 192.0.2.1"]
    assert "action.shadowed" in [one.type for one in await told(engine)]


async def test_a_route_with_two_integrations_acts_at_both(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The edge and the inner firewall each get their own request under their own key."""
    both = gateway(catalog, ledger, target, integrations={"edge": {"uses": "bench"}, "inner": {"uses": "bench"}})

    outcome = await both.act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert len(target.effects) == 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (block(action="firewall.blok_ip"), "did you mean firewall.block_ip?"),
        (block("not an address"), "ip:"),
        (block(parameters={"ip": "203.0.113.7", "colour": "red"}), "colour"),
        (block(action="notify.send", parameters={"channel": "soc", "text": "x"}), "no integration is configured"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine, call: ActionCall, says: str
) -> None:
    """A clear word, a record, and silence at the target."""
    outcome = await gateway(catalog, ledger, target).act(context(), call, ())

    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.INVALID
    assert says in outcome.error.message
    assert target.asked == []
    assert [one.type for one in await told(engine)] == ["action.refused"]


async def test_an_optional_step_is_skipped_where_the_site_has_nobody_for_it(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """`optional: true` makes a playbook fit sites that lack a product."""
    call = ActionCall(
        step="tell", path=("tell",), action="notify.send", parameters={"channel": "a", "text": "b"}, optional=True
    )

    assert (await gateway(catalog, ledger, target).act(context(), call, ())).status is StepStatus.SKIPPED


async def test_an_integration_that_chokes_on_an_answer_is_an_unknown_outcome_not_a_crash(
    catalog: Catalog, ledger: PostgresLedger, target: Target
) -> None:
    """The effect is there, the answer is garbage: it is read back."""

    def garbage() -> None:
        raise KeyError("id")

    target.lose_answer = garbage

    outcome = await gateway(catalog, ledger, target).act(context(), block(), ())

    assert outcome.status is StepStatus.SUCCEEDED
    assert len(target.asked) == 1


async def test_a_covered_step_is_sent_only_as_it_was_approved(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """No approval, one not given, another run's, or for another address: nothing is sent. The right one is."""
    act = gateway(catalog, ledger, target)
    covered = block(approval="approval-1")
    requests = [one.model_dump(mode="json") for one in await act.preview(context(), [covered])]

    missing = await act.act(context(), covered, ())
    await _approve(engine, "approval-1", requests, state="waiting")
    waiting = await act.act(context(), covered, ())
    await _approve(engine, "approval-1", requests, state="approved")
    other_run = await act.act(context(first_run_id="reset"), covered, ())
    other_address = await act.act(context(), block("203.0.113.8", approval="approval-1"), ())
    right = await act.act(context(), covered, ())

    refused = [one.error.kind for one in (missing, waiting, other_run, other_address) if one.error]
    assert refused == [FailureKind.REFUSED_BY_POLICY] * 4
    assert right.status is StepStatus.SUCCEEDED
    assert target.asked == ["block 203.0.113.7"]


async def test_a_target_that_is_down_is_a_plain_failure(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """Refused before anything was sent: no doubt, so the playbook decides what is next."""

    def down() -> None:
        raise TargetUnavailable("connection refused")

    target.misbehave = down

    outcome = await gateway(catalog, ledger, target).act(context(), block(), ())

    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.UNAVAILABLE
    assert (await told(engine))[-1].type == "action.failed"


async def test_an_outcome_that_comes_late_does_not_change_what_is_known(
    ledger: PostgresLedger, engine: AsyncEngine
) -> None:
    """A worker that everybody took for dead reports a failure of its old send: kept in the audit, no more."""
    entry = Entry(
        key="k", run=context().run, playbook="p", digest="d", event="e", step="s", path=("s",),
        capability="firewall.block_ip", effect="reversible", integration="bench", target="ip:203.0.113.7",
        parameters={}, parameters_digest="x", mode="live", approval=None, expires=None, attempt=1, send_within=0.0,
    )  # fmt: skip
    first = await ledger.intend(entry, [])
    await ledger.resend("k", first.sends, 5.0, "test")
    await ledger.conclude("k", Outcome(state="done", send=2, how="answered", result={"ip": "203.0.113.7"}))
    await ledger.conclude("k", Outcome(state="failed", send=1, how="answered", error_kind="timeout"))

    assert (await ledger.intend(entry, [])).state == "done"
    assert (await told(engine))[-1].type == "action.outcome_late"


async def _approve(engine: AsyncEngine, approval: str, requests: list[dict[str, object]], *, state: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO tocsin.approval (id, run, playbook, workflow_id, first_run_id, step, digest, request,"
                " card, state) VALUES (:id, :run, 'contain', :run, 'first', 'sure', 'd', CAST(:request AS jsonb), '',"
                " :state)"
                " ON CONFLICT (id) DO UPDATE SET state = :state"
            ),
            {"id": approval, "run": context().run, "request": to_json(requests), "state": state},
        )

"""People decide: by Signals, judged from what the server wrote down, whoever was running at the time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from orchestrator.actions.ledger import PostgresLedger
from orchestrator.alerts.alert import Alert
from orchestrator.audit.reading import about
from orchestrator.errors import TargetUnavailable
from orchestrator.language.host import ActionCall, AskRequest, RunContext
from orchestrator.language.program import Playbook
from orchestrator.workflow.approval import names
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.messages import Ask, TakeIn
from orchestrator.workflow.questions import digest_shown, question_digest
from tests.actions.bench_target import gateway
from tests.workflow.bench import CATALOG, Bench, an_alert, ask, block, eventually, look_up, metadata, playbook, ticket

BLOCKED = ["block 203.0.113.7"]


async def test_nothing_is_sent_before_somebody_approves(bench: Bench) -> None:
    """The question waits with its literal request; approved, exactly that is sent, and the record says who."""
    alert = an_alert()
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]), alert)
        row = await bench.asked(handle)
        assert bench.target.asked == []
        await bench.answer(handle, "approve", row, note="seen it before")
        result = await handle.result()

    assert result["steps"] == {"sure": "succeeded", "block": "succeeded"}
    assert bench.target.asked == BLOCKED
    (decided,) = await bench.questions.listed(handle.id)
    assert decided.state == "approved"
    assert decided.decision is not None
    assert (decided.decision["by"], decided.decision["trust"], decided.decision["note"]) == (
        "alice", "unverified", "seen it before",
    )  # fmt: skip
    told = await bench.told(alert.key)
    assert [one for one in told if one.startswith("approval.")] == [
        "approval.asked", "approval.answered", "approval.decided",
    ]  # fmt: skip


async def test_denied_is_not_sent(bench: Bench) -> None:
    """What a denied approval covers is skipped, and the run goes on."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block(), ticket(title="After")]))
        await bench.answer(handle, "deny", await bench.asked(handle))
        result = await handle.result()

    assert result["steps"] == {"sure": "denied", "block": "skipped", "ticket": "succeeded"}
    assert bench.target.asked == ["open After"]


async def test_auto_asks_nobody_and_says_why(bench: Bench) -> None:
    """Where the playbook's `auto` holds, nobody is asked; the record has the values that it read."""
    alert = an_alert(severity="critical")
    step = ask()
    step["approval"]["auto"] = 'alert.severity == "critical"'
    async with bench.worker():
        await bench.run(playbook([step, block()]), alert)

    assert bench.target.asked == BLOCKED
    (decided,) = await bench.rows("SELECT body FROM tocsin.audit_event WHERE type = 'approval.decided'")
    assert decided.body["auto"] is True
    assert decided.body["reason"]["values"] == {"alert.severity": "critical"}


@pytest.mark.parametrize(("otherwise", "status", "sent"), [("deny", "expired", False), ("approve", "succeeded", True)])
async def test_silence_means_what_the_playbook_says(bench: Bench, otherwise: str, status: str, sent: bool) -> None:
    """At the deadline `otherwise` decides, and the record says that it was silence."""
    step = ask()
    step["approval"] |= {"within": "1s", "otherwise": otherwise}
    async with bench.worker():
        handle = await bench.start(playbook([step, block()]))
        result = await handle.result()

    assert result["steps"]["sure"] == status
    assert (bench.target.asked == BLOCKED) is sent
    (row,) = await bench.questions.listed(handle.id)
    assert row.decision is not None
    assert row.decision["trust"] == "silence"


async def test_silence_may_fail_the_run(bench: Bench) -> None:
    """With `otherwise: fail` nobody answering is a failure like any other."""
    step = ask()
    step["approval"] |= {"within": "1s", "otherwise": "fail"}
    async with bench.worker():
        handle = await bench.start(playbook([step, block()]))
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert bench.target.asked == []


async def test_an_answer_while_no_worker_runs_counts(bench: Bench) -> None:
    """The Signal waits at the server: the next worker finds it."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
    await bench.answer(handle, "approve", row)
    async with bench.worker():
        await handle.result()

    assert bench.target.asked == BLOCKED


async def test_an_answer_counts_by_the_time_it_came_at_the_server(bench: Bench) -> None:
    """In time while no worker ran, and judged long after the deadline: it counts."""
    step = ask()
    step["approval"]["within"] = "3s"
    async with bench.worker():
        handle = await bench.start(playbook([step, block()]))
        row = await bench.asked(handle)
    await bench.answer(handle, "approve", row)
    await _after(row.deadline)
    async with bench.worker():
        await handle.result()

    assert bench.target.asked == BLOCKED


async def test_a_late_answer_does_not_count_though_no_worker_saw_the_deadline(bench: Bench) -> None:
    """Too late by the server's clock: recorded and refused, even where the Signal is handed over before the timer."""
    step = ask()
    step["approval"]["within"] = "1s"
    async with bench.worker():
        handle = await bench.start(playbook([step, block()]))
        row = await bench.asked(handle)
    await _after(row.deadline)
    await bench.answer(handle, "approve", row)
    async with bench.worker():
        result = await handle.result()

    assert result["steps"] == {"sure": "expired", "block": "skipped"}
    assert bench.target.asked == []
    ((verdict, reason),) = await bench.judged(handle)
    assert verdict == "refused"
    assert reason.startswith("late: the question ended at ")


async def test_an_answer_that_came_before_the_run_remembers_asking_counts(bench: Bench) -> None:
    """A worker may die after the card stood in Postgres, before Temporal knew: the answer is in history before the run

    asks again. Here nobody had run it at all, and the digest is worked out.
    """
    made, alert = playbook([ask(), block()]), an_alert()
    handle = await bench.start(made, alert)
    digest = await _digest_to_be(bench, handle, made, alert)
    await handle.signal("approve", {"step": "sure", "digest": digest, "by": "alice"})
    async with bench.worker():
        await handle.result()

    assert bench.target.asked == BLOCKED


async def _digest_to_be(bench: Bench, handle: WorkflowHandle[Any, Any], made: Playbook, alert: Alert) -> str:
    context = RunContext(
        run=handle.id, playbook=made.name, digest=made.digest, event=alert.key, workflow_id=handle.id,
        first_run_id=(await handle.describe()).run_id,
    )  # fmt: skip
    call = ActionCall(
        step="block", path=("block",), action="firewall.block_ip", parameters={"ip": "203.0.113.7"}, expires=3600.0
    )
    requests = await gateway(CATALOG, PostgresLedger(bench.engine), bench.target).preview(context, (call,))
    return digest_shown(context, ("sure",), requests)


async def test_a_forged_digest_is_refused(bench: Bench) -> None:
    """An answer to something else than what the card shows approves nothing; the right one still does."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
        await handle.signal("approve", {"step": "sure", "digest": "sha256:" + "0" * 64, "by": "mallory"})
        assert await bench.judged(handle) == [("refused", "the digest is not that of the request as it was shown")]
        assert bench.target.asked == []
        await bench.answer(handle, "approve", row)
        await handle.result()

    assert bench.target.asked == BLOCKED


async def test_only_those_of_the_group_may_answer(bench: Bench) -> None:
    """A stranger's and a wrong group's answers are refused, each with its reason; the right person's counts."""
    bench.people = names([("alice", ("soc",)), ("bob", ("desk",))])
    step = ask()
    step["approval"]["by"] = {"group": "soc"}
    async with bench.worker():
        handle = await bench.start(playbook([step, block()]))
        row = await bench.asked(handle)
        for name in ("mallory", "bob", "alice"):
            await bench.answer(handle, "approve", row, by=name)
        await handle.result()

    assert await bench.judged(handle, 3) == [
        ("refused", "mallory is not listed as an approver"),
        ("refused", "bob is not in the group soc"),
        ("counted", "approve"),
    ]


async def test_an_answer_counts_once(bench: Bench) -> None:
    """The same answer again, and one to a step that asked nothing, are recorded and refused when the run ends."""
    async with bench.worker():
        handle = await bench.start(
            playbook([ask(), block(), ask("really", ["second"]), block("second", "203.0.113.9")])
        )
        first = await bench.asked(handle)
        await bench.answer(handle, "approve", first)
        second = await bench.asked(handle, "really")
        await bench.answer(handle, "deny", first)
        await bench.judged(handle, 2)
        await handle.signal("approve", {"step": "nowhere", "digest": second.digest})
        await bench.judged(handle, 3)
        await bench.answer(handle, "approve", second)
        await handle.result()

    verdicts = await bench.judged(handle, 4)
    assert verdicts == [
        ("counted", "approve"),
        ("refused", "too late: the question is approved already, by alice"),
        ("refused", "no step 'nowhere' has asked anything"),
        ("counted", "approve"),
    ]


async def test_an_answer_after_the_decision_is_recorded_at_the_latest_when_the_run_ends(bench: Bench) -> None:
    """Nobody reads history while nothing is asked; before the run ends somebody does."""
    go_on = asyncio.Event()
    made = playbook([ask(), block(), look_up("pause", retry={"attempts": 20, "backoff": "1s"})])

    def hold() -> None:
        if bench.target.asked[-1].startswith("look") and not go_on.is_set():
            raise TargetUnavailable("not yet")

    bench.target.misbehave = hold
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        await bench.judged(handle)
        await bench.answer(handle, "deny", row, by="bob")
        go_on.set()
        await handle.result()

    assert (await bench.judged(handle, 2))[1] == ("refused", "too late: the question is approved already, by alice")


async def test_two_questions_at_once_each_take_their_own_answer(bench: Bench) -> None:
    """Branches that ask at the same time: an answer to one says nothing about the other, and none is lost."""
    made = playbook(
        [
            {
                "parallel": [
                    {"id": "left", "do": [ask("first", ["one"]), block("one", "203.0.113.1")]},
                    {"id": "right", "do": [ask("second", ["two"]), block("two", "203.0.113.2")]},
                ]
            }
        ]
    )
    async with bench.worker():
        handle = await bench.start(made)
        first, second = await bench.asked(handle, "first"), await bench.asked(handle, "second")

        async def both() -> bool:
            details = await metadata(handle)
            return first.digest in details and second.digest in details

        await eventually(both)
        await asyncio.gather(bench.answer(handle, "approve", second), bench.answer(handle, "deny", first))
        await handle.result()

    assert bench.target.asked == ["block 203.0.113.2"]
    assert sorted(await bench.judged(handle, 2)) == [("counted", "approve"), ("counted", "deny")]


async def test_a_cancelled_run_voids_its_questions(bench: Bench) -> None:
    """Cancelled while it asks: nothing is sent, and an answer that comes later finds nothing to decide."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert bench.target.asked == []
    assert [one.state for one in await bench.questions.listed(row.id)] == ["void"]


async def test_a_reset_asks_again(bench: Bench) -> None:
    """A run that somebody reset does not take the answer that the run before it got, which the server sends again."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        await handle.result()
        reset = await bench.reset(handle)
        again = await bench.asked(handle)
        assert again.digest != row.digest
        await bench.answer(reset, "deny", again)
        result = await reset.result()

    assert result["steps"] == {"sure": "denied", "block": "skipped"}
    assert bench.target.asked == BLOCKED


async def test_a_reset_in_the_middle_of_a_question_asks_again(bench: Bench) -> None:
    """The question came along with the history, and so did the answer: neither is worth anything after a reset."""
    async with bench.worker():
        handle = await bench.start(playbook([look_up(), ask(), block()]))
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        await handle.result()
        reset = await bench.reset(handle, last=True)
        again = await bench.asked(handle)
        assert again.digest != row.digest
        await bench.answer(reset, "deny", again)
        result = await reset.result()

    assert result["steps"]["block"] == "skipped"
    assert bench.target.asked == ["look up 203.0.113.7", *BLOCKED]


async def _after(deadline: datetime | None) -> None:
    assert deadline is not None

    async def passed() -> bool:
        return datetime.now(UTC) > deadline

    await eventually(passed)


async def test_of_what_a_step_asks_in_tasks_that_were_dropped_only_the_last_is_open(bench: Bench) -> None:
    """A task that is carried out again, with an alert that joined, asks with other words, or something else instead."""
    context = RunContext(
        run="contain/a/1", playbook="contain", digest="d", event="lab/1", workflow_id="w", first_run_id="first"
    )

    async def asked(words: str, place: int, path: tuple[str, ...] = ("you",)) -> None:
        request = AskRequest(step=path[-1], path=path, ask=words)
        made = Ask(context=context, request=request, traces=(), place=place)
        await bench.questions.ask(made, question_digest(context, request), (), words, "execution")

    async def joined(place: int, *asking: tuple[str, ...]) -> list[str]:
        taken = TakeIn(context=context, alerts=(), asking=asking, place=place)
        await Claims(bench.engine).take_in(taken, "execution")
        return await still_open()

    async def still_open() -> list[str]:
        return [row.card for row in await bench.questions.listed(context.run) if row.state == "waiting"]

    await asked("with none?", 5)
    await asked("another step?", 5, ("loop", "you"))
    await asked("with one?", 9)
    await asked("with one?", 9)
    assert await still_open() == ["another step?", "with one?"]
    await asked("said by a worker that is late?", 5)
    assert await still_open() == ["another step?", "with one?"]
    assert await joined(9, ("you",)) == ["with one?"]
    assert await joined(9) == ["with one?"]
    assert await joined(12) == []
    told = await about(bench.engine, context.run)
    assert [one.body["status"] for one in told if one.type == "approval.decided"] == ["void"] * 4

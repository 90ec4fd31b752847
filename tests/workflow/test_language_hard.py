"""What playbooks do where several things come together: loops, undoing, cancelling, going on in new executions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from temporalio.client import ScheduleActionStartWorkflow, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.actions.reaper import Reaper
from orchestrator.errors import FailureKind
from orchestrator.language.host import StepStatus
from orchestrator.workflow import activities, playbook_run
from orchestrator.workflow.messages import Ask
from orchestrator.workflow.questions import Questions, Recorded
from orchestrator.workflow.schedules import Schedules
from orchestrator.workflow.sweeper import Sweeper
from orchestrator.workflow.turns import Turns
from tests.workflow.bench import Bench, an_alert, ask, block, eventually, metadata, playbook, ticket
from tests.workflow.test_language import _Forgetful, cause


async def test_an_undo_takes_back_what_stands_in_the_same_group(bench: Bench) -> None:
    """And what was taken back once is not done again by a later undo of everything."""
    group = {"do": [block(), {"undo": ["block"]}]}
    made = playbook([group, ticket("after", "After"), {"id": "bad", "stop": "failure"}], undo_on_failure=True)
    async with bench.worker():
        await cause(await bench.start(made))

    assert bench.target.asked == ["block 203.0.113.7", "unblock 203.0.113.7", "open After"]
    assert bench.target.blocked == set()


async def test_an_undo_in_an_item_leaves_the_other_items_alone(bench: Bench) -> None:
    """Inside a loop a step goes by its plain id: that of the same item. So does one that calls a sub-playbook."""
    sub = playbook([block("each", "{{ inputs.ip }}")], name="sub", trigger={}, inputs={"ip": "address"})
    steps = [
        block("each", "{{ item }}"),
        {"id": "called", "playbook": "sub", "with": {"ip": "203.0.113.{{ loop.index }}"}},
        {"undo": ["each"], "when": "loop.index == 2"},
        {"undo": ["called"], "when": "loop.index == 3"},
    ]
    loop = {"for_each": {"items": ["198.51.100.1", "198.51.100.2", "198.51.100.3"], "steps": steps}}
    async with bench.worker():
        await bench.run(playbook([loop], uses=[sub]))

    assert bench.target.blocked == {"198.51.100.1", "198.51.100.3", "203.0.113.1", "203.0.113.2"}


async def test_who_presses_start_invents_no_alert_for_a_schedule(bench: Bench) -> None:
    """Of a start by the clock only the playbook counts: no alert, inputs or ledger keys that somebody made up."""
    made = playbook([block(ip="{{ inputs.ip }}")], trigger={"schedule": {"cron": "0 8 * * 1"}},
        inputs={"ip": {"type": "address", "default": "203.0.113.7"}})  # fmt: skip
    await bench.register(made)
    start = {
        "run": "contain/c", "playbook": "contain", "digest": made.digest, "document": made.document, "mode": "live",
        "how": "schedule", "alert_key": "schedule/contain", "severity": "critical", "event": "lab/other",
        "inputs": {"ip": {"$": "ip", "v": "198.51.100.66"}}, "within": ["x"],
    }  # fmt: skip
    pair = SearchAttributePair(SearchAttributeKey.for_datetime("TemporalScheduledStartTime"), datetime.now(UTC))
    async with bench.worker():
        handle = await bench.client.start_workflow(
            "contain", start, id=f"forged-{bench.task_queue}", task_queue=bench.task_queue,
            search_attributes=TypedSearchAttributes([pair]),
        )  # fmt: skip
        await handle.result()

    assert bench.target.asked == ["block 203.0.113.7"]


async def test_a_run_that_is_cancelled_in_the_queue_ends_with_a_record(bench: Bench) -> None:
    """Nothing is sent, and the audit knows of it."""
    made = playbook([ask(), block()], concurrency=1, on_failure=[ticket("told", "Told")])
    async with bench.worker():
        first = await bench.start(made, an_alert())
        await bench.asked(first)
        second = await bench.start(made, an_alert())
        await eventually(lambda: _says(second, "waiting for its turn"))
        await second.cancel()
        with pytest.raises(WorkflowFailureError):
            await second.result()
    states = [row.state for row in await bench.rows("SELECT state FROM tocsin.run ORDER BY started_at")]

    assert states == ["running", "cancelled"]
    assert bench.target.asked == ["open Told"]


async def _says(handle: Any, words: str) -> bool:
    return words in await metadata(handle)


async def test_what_joins_a_run_in_the_queue_is_not_lost_however_long_it_waits(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """It goes on in a new execution before Temporal takes no more Signals, with all that has joined."""
    monkeypatch.setattr(playbook_run, "MOST_SIGNALS", 3)
    made = playbook([ask(), block(), ticket(title="{{ joined_count }} joined")], concurrency=1, key="alert.source.ip")
    one, two = {"source": {"ip": "192.0.2.1"}}, {"source": {"ip": "192.0.2.2"}}
    async with bench.worker():
        first = await bench.start(made, an_alert(**one))
        row = await bench.asked(first)
        second = await bench.start(made, an_alert(**two))
        await eventually(lambda: _says(second, "waiting for its turn"))
        for _ in range(4):
            await bench.start(made, an_alert(**two))
        await eventually(lambda: _executions(bench, second, 2))
        await bench.answer(first, "deny", row)
        await bench.answer(second, "deny", await bench.asked(second))
        await second.result()

    assert bench.target.asked == ["open 0 joined", "open 4 joined"]


async def _executions(bench: Bench, handle: Any, least: int) -> bool:
    found = [one async for one in bench.client.list_workflows(f"WorkflowId = '{handle.id}'")]
    return len(found) >= least


class QuicklyAnswered(Questions):
    """Somebody answers a question as soon as it stands in the inbox: before the task that asked it is over."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.engine)
        self._client = bench.client
        self._answered = False

    async def ask(self, ask: Ask, digest: str, *rest: Any) -> Recorded:
        asked = await super().ask(ask, digest, *rest)
        if not self._answered:
            self._answered = True
            answer = {"step": ask.request.step, "digest": digest, "by": "alice"}
            await self._client.get_workflow_handle(ask.context.workflow_id).signal("approve", answer)
        return asked


async def test_an_answer_is_read_before_the_run_goes_on_in_a_new_execution(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """It stands in the history of the execution that it was sent to, and no later one looks there."""
    monkeypatch.setattr(playbook_run, "MOST_SIGNALS", 2)
    bench.questions = QuicklyAnswered(bench)
    made = playbook([ask(), block()], key="alert.source.ip")
    source = {"source": {"ip": "203.0.113.201"}}  # of no other test: what joined goes on as a run after this one
    for _ in range(3):
        handle = await bench.start(made, an_alert(**source))
    async with bench.worker():
        await eventually(lambda: _asked(bench, 1))

    assert bench.target.asked == ["block 203.0.113.7"]
    assert await bench.judged(handle) == [("counted", "approve")]


async def test_a_cancelled_run_stays_cancelled_where_its_history_is_long(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """What follows the end of the steps is done where they ended: a new execution would take them up again."""
    monkeypatch.setattr(playbook_run, "MOST_ACTIVITIES", 3)
    told = [ticket(f"told_{number}", f"Told {number}") for number in range(3)]
    made = playbook(
        [block("one"), ask("sure", ["two"]), block("two", "198.51.100.1")], undo_on_failure=True, on_failure=told
    )
    async with bench.worker():
        handle = await bench.start(made)
        await bench.asked(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        described = await bench.client.get_workflow_handle(handle.id).describe()

    assert described.status is WorkflowExecutionStatus.CANCELED
    assert bench.target.asked[:2] == ["block 203.0.113.7", "unblock 203.0.113.7"]
    assert bench.target.asked[2:] == ["open Told 0", "open Told 1", "open Told 2"]


async def test_what_a_run_has_called_ends_with_it_in_whichever_execution(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """Whoever cancels the run cancels that too; where somebody terminates the run, the sweeper sees to it."""
    monkeypatch.setattr(playbook_run, "MOST_ACTIVITIES", 4)
    slow = playbook([block(), {"wait": {"for": "1h"}}], name="slow", trigger={}, undo_on_failure=True)
    tickets = {"do": [ticket(f"step_{number}", f"Ticket {number}") for number in range(6)]}
    made = playbook([{"parallel": [{"playbook": "slow"}, tickets]}], uses=[slow])
    sweeper = Sweeper(bench.client, bench.engine, bench.task_queue, Turns(bench.client, bench.engine), every=0)
    async with bench.worker():
        handles = [await bench.start(made) for _ in range(2)]
        await eventually(lambda: _asked(bench, 14))
        await sweeper.once()
        assert [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == ["running"] * 4
        first, second = (bench.client.get_workflow_handle(handle.id) for handle in handles)
        assert await _executions(bench, first, 2)
        assert await _executions(bench, second, 2)
        await first.cancel()
        await second.terminate("an accident")
        ended = await eventually(lambda: _swept(bench, sweeper))

    assert ended == [("contain", "cancelled"), ("contain", "terminated"), ("slow", "cancelled"), ("slow", "cancelled")]
    assert bench.target.blocked == set()


async def _asked(bench: Bench, count: int) -> bool:
    return len(bench.target.asked) >= count


async def _swept(bench: Bench, sweeper: Sweeper) -> list[tuple[str, str]] | None:
    """What became of every run, once all have ended."""
    await sweeper.once()
    rows = await bench.rows("SELECT playbook, state, ended_at FROM tocsin.run")
    return sorted((row.playbook, row.state) for row in rows) if all(row.ended_at for row in rows) else None


async def test_a_scheduled_run_is_the_same_in_every_execution(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """It keeps its time, and what its steps came to reaches the audit whichever execution they ended in."""
    monkeypatch.setattr(playbook_run, "MOST_ACTIVITIES", 2)
    steps = [ticket(f"step_{number}", f"Ticket {number}") for number in range(4)]
    made = playbook(steps, name="weekly", trigger={"schedule": {"cron": "0 8 * * 1"}})
    await bench.register(made)
    schedules = Schedules(bench.client, bench.task_queue)
    await schedules.follow([made])
    handle = bench.client.get_schedule_handle("tocsin/weekly")
    await handle.pause(note="not this week")
    await schedules.follow([made])
    paused = (await handle.describe()).schedule.state
    async with bench.worker():
        await handle.trigger()
        ended = "SELECT run, workflow_id, state FROM tocsin.run WHERE ended_at IS NOT NULL"
        rows = await eventually(lambda: bench.rows(ended))
    await schedules.follow([])
    told = await bench.told(rows[0].run)

    assert [row.state for row in rows] == ["succeeded"]
    assert bench.target.asked == [f"open Ticket {number}" for number in range(4)]
    assert told.count("step.ended") == 4
    assert await _executions(bench, bench.client.get_workflow_handle(rows[0].workflow_id), 2)
    assert (paused.paused, paused.note) == (True, "not this week")


async def test_a_schedule_of_another_site_is_left_as_it_is(bench: Bench) -> None:
    """Two sites on one namespace, which is a mistake: neither takes the other's runs away, and the log says so."""
    made = playbook([ticket()], name="weekly", trigger={"schedule": {"cron": "0 8 * * 1"}})
    ours, theirs = Schedules(bench.client, bench.task_queue), Schedules(bench.client, "another-site")
    await ours.follow([made])
    with capture_logs() as logged:
        await theirs.follow([made])
    await theirs.follow([])
    action = (await bench.client.get_schedule_handle("tocsin/weekly").describe()).schedule.action
    await ours.follow([])

    assert isinstance(action, ScheduleActionStartWorkflow)
    assert action.task_queue == bench.task_queue
    assert [(one["event"], one["schedule"]) for one in logged] == [("schedule.taken", "tocsin/weekly")]


async def test_what_a_terminated_run_did_is_taken_back_at_its_time(bench: Bench) -> None:
    """Temporal lets nothing of it run any more; the ledger has the time."""
    made = playbook([block(), {"wait": {"for": "1h"}}])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: bench.rows("SELECT key FROM tocsin.action WHERE state = 'done'"))
        await handle.terminate("an accident")
    async with bench.engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.action SET until = clock_timestamp()"))
    made_here = bench.acting()
    reaper = Reaper(made_here.ledger, made_here.undoing)
    await reaper.once()
    await reaper.settled()

    assert bench.target.asked == ["block 203.0.113.7", "unblock 203.0.113.7"]
    assert bench.target.blocked == set()


async def test_a_sub_playbook_that_temporal_has_forgotten_has_an_unknown_outcome(bench: Bench) -> None:
    """Whoever waits for it is not left waiting for ever."""
    outcome = await ActivityEnvironment().run(bench.activities().attend, "sub/s/gone")
    assert outcome.status is StepStatus.FAILED
    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.UNKNOWN_OUTCOME
    assert "no run sub/s/gone any more" in outcome.error.message


async def test_who_waits_for_a_sub_playbook_makes_room_for_others_who_do(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """An attempt is over after a while, and the next one comes in its turn."""
    monkeypatch.setattr(activities, "BEATS", 2)
    monkeypatch.setattr(activities, "HEARTBEAT", 0.01)
    handle = await bench.start(playbook([{"wait": {"for": "1h"}}]))
    with pytest.raises(ApplicationError, match="has not ended yet") as over:
        await ActivityEnvironment().run(bench.activities().attend, handle.id)

    assert not over.value.non_retryable


async def test_the_sweeper_leaves_alone_what_goes_on_after_a_reset(bench: Bench) -> None:
    """Temporal terminates the execution that was reset, and the run goes on in another one, until that is terminated.

    That is found also where Temporal does not list it any more.
    """
    sweeper = Sweeper(bench.client, bench.engine, bench.task_queue, Turns(bench.client, bench.engine), every=0)
    over = "WorkflowId = '{}' AND ExecutionStatus = 'Terminated'"
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        await bench.asked(handle)
        fresh = await bench.reset(handle)
        await eventually(lambda: _listed(bench, over.format(handle.id)))
        await sweeper.once()
        before = [row.state for row in await bench.rows("SELECT state FROM tocsin.run")]
        await fresh.terminate("an accident")
        unlisted = Sweeper(bench.client, bench.engine, "elsewhere", sweeper.turns, every=0)
        await eventually(lambda: _swept(bench, unlisted))
        await eventually(lambda: _nobody_asks(bench, unlisted))

    assert before == ["running"]


async def _nobody_asks(bench: Bench, sweeper: Sweeper) -> bool:
    await sweeper.once()
    return await bench.questions.listed() == []


async def _listed(bench: Bench, query: str) -> bool:
    return bool([one async for one in bench.client.list_workflows(query)])


async def test_what_is_under_way_goes_on_as_it_began(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """In a new execution a step is not decided about again, a card is the same card, and who has approved has."""
    monkeypatch.setattr(playbook_run, "MOST_SIGNALS", 4)
    loop = {"id": "loop", "for_each": {"items": ["a", "b"], "steps": [ticket("each", "{{ item }}")]}}
    sure = ask("sure", ["ticket"], by={"count": 2})
    group = {"do": [sure, ticket(title="{{ joined_count }} joined")], "when": "joined_count == 0", "timeout": "2s"}
    made = playbook([loop, group], key="alert.source.ip", outputs={"n": "{{ steps.loop.output.counts.total }}"})
    source = {"source": {"ip": "203.0.113.7"}}
    async with bench.worker():
        handle = await bench.start(made, an_alert(**source))
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        await bench.judged(handle, 1)
        await eventually(lambda: _older(row.asked_at))
        for _ in range(4):
            await bench.start(made, an_alert(**source))
        await eventually(lambda: _executions(bench, handle, 2))
        await bench.answer(handle, "approve", row, by="bob")
        ended = "SELECT ending FROM tocsin.run WHERE ended_at IS NOT NULL"
        rows = await eventually(lambda: bench.rows(ended))

    assert len(await bench.questions.listed(row.run)) == 1
    assert bench.target.asked[2] == "open 0 joined"
    assert rows[0].ending["outputs"] == {"n": 2}


async def _older(moment: datetime) -> bool:
    return (datetime.now(UTC) - moment).total_seconds() > 3


async def test_a_recorded_answer_is_seen_at_its_target_too(bench: Bench) -> None:
    """A run that is given its task again waits for the effect as it did the first time."""
    bench.target.blocked = _Forgetful()
    made = playbook([block(verify="wait", timeout="1s")])
    async with bench.worker():
        handle = await bench.start(made)
        await cause(handle)
        failed = await cause(await bench.reset(handle))

    assert failed.message == "block: the target said yes, and does not show the effect"

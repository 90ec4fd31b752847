"""Runs on the real Temporal: steps in order and side by side, failures, what people see, crashes, cancellation."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from orchestrator.errors import Rejected, TargetUnavailable
from orchestrator.workflow.activities import GRACE
from orchestrator.workflow.start import TemporalStarter, argument
from tests.workflow.bench import Bench, an_alert, ask, block, eventually, look_up, metadata, playbook, ticket
from tests.workflow.misbehaving import AwayAtFirst, Held, Slow


async def test_steps_run_in_their_order(bench: Bench) -> None:
    """One after the other, each through the gateway, and the run's result says what became of each."""
    async with bench.worker():
        result = await bench.run(playbook([look_up(), block(), ticket(title="Done")]))

    assert result == {"state": "succeeded", "steps": {"look": "succeeded", "block": "succeeded", "ticket": "succeeded"}}
    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7", "open Done"]


async def test_branches_run_side_by_side(bench: Bench) -> None:
    """All branches of a `parallel` are done, and a step after it follows."""
    async with bench.worker():
        await bench.run(playbook([{"parallel": [look_up(), block(), ticket(title="Both")]}, ticket("last", "Last")]))

    assert sorted(bench.target.asked[:3]) == ["block 203.0.113.7", "look up 203.0.113.7", "open Both"]
    assert bench.target.asked[3] == "open Last"


async def test_the_audit_tells_the_run_from_its_start_to_its_end(bench: Bench) -> None:
    """Received, started, each step, its intent and outcome, ended."""
    alert = an_alert()
    async with bench.worker():
        await bench.run(playbook([block()]), alert)

    assert await bench.told(alert.key) == [
        "alert.received", "run.started", "step.started", "action.intended", "action.done", "step.ended", "run.ended",
    ]  # fmt: skip


async def test_a_failed_run_is_a_failed_workflow(bench: Bench) -> None:
    """`on_failure` runs, the record says where and why, and Temporal shows the run as failed."""

    def refuse() -> None:
        if bench.target.asked[-1].startswith("block"):
            raise Rejected("the firewall says no")

    bench.target.misbehave = refuse
    alert = an_alert()
    made = playbook([block(), ticket()], on_failure=[ticket("told", "{{ run.failed_step }}: {{ run.error.message }}")])
    async with bench.worker():
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.run(made, alert)

    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("PlaybookFailed", "block: the firewall says no")
    assert bench.target.asked == ["block 203.0.113.7", "open block: the firewall says no"]
    (row,) = await bench.rows("SELECT state, failed_step, ended_at FROM tocsin.run")
    assert (row.state, row.failed_step) == ("failed", "block")
    assert row.ended_at is not None


async def test_a_read_is_tried_again(bench: Bench) -> None:
    """The playbook's own retries are the interpreter's, with its pauses on the server's clock."""
    failures = iter([TargetUnavailable("busy", in_doubt=False)])

    def fail_once() -> None:
        for failure in failures:
            raise failure

    bench.target.misbehave = fail_once
    async with bench.worker():
        result = await bench.run(playbook([look_up(retry={"attempts": 2, "backoff": "1s"})]))

    assert result["steps"] == {"look": "succeeded"}
    assert len(bench.target.asked) == 2


async def test_temporal_shows_what_a_run_is_about(bench: Bench) -> None:
    """Type, id, summary and search attributes say which playbook, which alert, how bad, and how it stands."""
    alert = an_alert(title="Beacon [to](http://evil.example) \u202egnp.exe")
    async with bench.worker():
        handle = await bench.start(playbook([block()]), alert)
        await handle.result()
    shown = await handle.describe()

    assert shown.workflow_type == "contain"
    assert shown.id == f"contain/a/{alert.key.replace('/', '.')}"
    assert await shown.static_summary() == ("high: Beacon \\[to\\]\\(http://evil.example\\) \u27e8U+202E\u27e9gnp.exe")
    attributes = {pair.key.name: pair.value for pair in shown.typed_search_attributes}
    assert attributes["TocsinPlaybook"] == "contain"
    assert attributes["TocsinSeverity"] == "high"
    assert attributes["TocsinState"] == "succeeded"
    async with bench.worker():
        assert "**Now:** succeeded" in await metadata(handle)


async def test_an_alert_starts_its_playbook_once(bench: Bench) -> None:
    """Asked again while it runs and after it ended, Temporal refuses the same id."""
    alert = an_alert()
    made = playbook([block()])
    async with bench.worker():
        await bench.run(made, alert)
        became = await bench.starter.start(await bench.requests(made, alert))

    assert became == ["already"]
    assert len(bench.target.asked) == 1


async def test_what_temporal_forgot_is_still_somebodys(bench: Bench) -> None:
    """A redelivery after the retention time starts a workflow that finds the alert claimed, and does nothing."""
    alert = an_alert()
    made = playbook([block()])
    (request,) = await bench.requests(made, alert)
    async with bench.worker():
        await bench.run(made, alert)
        # the server would refuse an id that it remembers, unless it is told not to care
        again = await bench.client.start_workflow(
            "contain", argument(request), id=request.workflow_id, task_queue=bench.task_queue
        )
        result = await again.result()

    assert result == {"state": "duplicate", "by": request.run}
    assert len(bench.target.asked) == 1
    assert "alert.duplicate" in await bench.told(alert.key)


async def test_a_run_goes_on_when_its_worker_is_gone(bench: Bench) -> None:
    """A worker ends in the middle; the next one finishes the run, and sends nothing twice."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    made = playbook([block(), look_up(retry={"attempts": 20, "backoff": "1s"}), ticket(title="After")])

    def hold() -> None:
        if bench.target.asked[-1].startswith("look") and not go_on.is_set():
            reached.set()
            raise TargetUnavailable("not yet")

    bench.target.misbehave = hold
    async with bench.worker():
        handle = await bench.start(made)
        await asyncio.wait_for(reached.wait(), 20)
    go_on.set()
    async with bench.worker():
        await handle.result()

    assert [one for one in bench.target.asked if not one.startswith("look")] == ["block 203.0.113.7", "open After"]


async def test_a_worker_that_is_asked_to_end_does_not_wait_for_a_target_that_hangs(bench: Bench) -> None:
    """It gives what is under way a few seconds; then the next worker finds out what became of it."""
    bench.ledger = held = Held(bench.engine, step="block")
    async with bench.worker():
        handle = await bench.start(playbook([look_up(), block()]))
        await asyncio.wait_for(held.reached.wait(), 20)
        asked_to_end = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - asked_to_end < GRACE + 3

    bench.ledger = None
    async with bench.worker():
        await handle.result()

    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7"]


@pytest.mark.parametrize("on_error", ["fail", "continue"])
async def test_a_cancelled_run_sends_nothing_more(bench: Bench, on_error: str) -> None:
    """What is in flight is settled and recorded, `on_failure` runs, the rest is not sent, Temporal shows Canceled.

    No `on_error` goes past that: it is about failures of steps.
    """
    started = asyncio.Event()

    def busy() -> None:
        if bench.target.asked[-1].startswith("look"):
            started.set()
            raise TargetUnavailable("busy")

    bench.target.misbehave = busy
    made = playbook(
        [look_up(retry={"attempts": 20, "backoff": "30s"}, on_error=on_error), block(on_error=on_error)],
        on_failure=[ticket("told", "Cancelled")],
    )
    async with bench.worker():
        handle = await bench.start(made)
        await asyncio.wait_for(started.wait(), 20)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert bench.target.asked == ["look up 203.0.113.7", "open Cancelled"]
    assert [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == ["cancelled"]


async def test_a_cancellation_at_any_moment_leaves_a_recorded_end(bench: Bench) -> None:
    """The server gives the run's last task again, with the cancellation at its beginning: before the alert is claimed.

    The end that was recorded stands, and nothing is left `running`.
    """
    made = playbook([block()], on_failure=[ticket("told", "Cancelled")])
    bench.ledger = held = Held(bench.engine, step="block")
    async with bench.worker():
        handle = await bench.start(made)
        await asyncio.wait_for(held.reached.wait(), 20)
        await handle.cancel()
        held.go_on.set()
        result = await handle.result()

    assert result == {"state": "succeeded", "steps": {"block": "succeeded"}}
    assert bench.target.asked == ["block 203.0.113.7"]
    assert [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == ["succeeded"]


async def test_a_run_that_is_cancelled_before_it_began_is_recorded(bench: Bench) -> None:
    """Nothing of it is sent, `on_failure` runs, and the alert is not lost: it was somebody's decision."""
    alert = an_alert()
    (request,) = await bench.requests(playbook([block()], on_failure=[ticket("told", "Cancelled")]), alert)
    bench.starter = TemporalStarter(bench.client, bench.task_queue, eager=False)  # so that no worker is there yet
    await bench.starter.start([request])
    handle = bench.client.get_workflow_handle(request.workflow_id)
    await handle.cancel()
    async with bench.worker():
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert bench.target.asked == ["open Cancelled"]
    assert [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == ["cancelled"]


async def test_a_run_that_is_reset_is_open_again_and_ends_anew(bench: Bench) -> None:
    """Somebody resets it in Temporal: what was sent is not sent again, and the audit tells both ends."""
    alert = an_alert()
    async with bench.worker():
        handle = await bench.start(playbook([block()]), alert)
        await handle.result()
        result = await (await bench.reset(handle)).result()

    assert result["state"] == "succeeded"
    assert bench.target.asked == ["block 203.0.113.7"]
    told = [kind for kind in await bench.told(alert.key) if kind.startswith("run.")]
    assert told == ["run.started", "run.ended", "run.reopened", "run.ended"]
    (run,) = await bench.rows("SELECT state, ended_at, ended_by FROM tocsin.run")
    assert (run.state, run.ended_by == handle.first_execution_run_id) == ("succeeded", False)


async def test_shadow_asks_nobody_and_sends_nothing(bench: Bench) -> None:
    """A playbook in shadow mode goes all the way; its writes are recorded and not sent."""
    alert = an_alert()
    async with bench.worker():
        result = await bench.run(playbook([look_up(), ask(), block()], mode="shadow"), alert)

    assert result["steps"] == {"look": "succeeded", "sure": "succeeded", "block": "shadowed"}
    assert bench.target.asked == ["look up 203.0.113.7"]
    assert {"approval.asked", "approval.decided", "action.shadowed"} <= set(await bench.told(alert.key))


async def test_runs_wait_while_the_ledger_is_away(bench: Bench) -> None:
    """With Postgres away nothing is sent; when it is back the run goes on by itself."""
    bench.ledger = ledger = AwayAtFirst(bench.engine, times=3)
    async with bench.worker():
        result = await bench.run(playbook([block()]))

    assert result["state"] == "succeeded"
    assert ledger.refused == 3
    assert bench.target.asked == ["block 203.0.113.7"]


async def test_an_action_may_take_longer_than_a_workflow_task(bench: Bench) -> None:
    """The task's timeout is 10 seconds, and here 2: a local activity that takes longer keeps its task alive."""
    made = playbook([look_up(), ticket(title="After")])
    (request,) = await bench.requests(made, an_alert())
    bench.ledger = Slow(bench.engine, seconds=4.0)
    async with bench.worker():
        await bench.client.execute_workflow(
            made.name, argument(request), id=request.workflow_id, task_queue=bench.task_queue,
            task_timeout=timedelta(seconds=2),
        )  # fmt: skip

    assert bench.target.asked == ["look up 203.0.113.7", "open After"]


async def test_an_unknown_signal_does_no_harm(bench: Bench) -> None:
    """Whatever anybody sends to a run, with whatever in it, the run goes on."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
        for name in ("join", "approve", "deny", "nonsense"):
            await handle.signal(name)
            await handle.signal(name, args=[1, b"\0", {"a": []}])
            await handle.signal(name, b"\xff\0")
            await handle.signal(name, [{"alert": {}, "alert_key": "\0", "severity": "awful", "run": ""}])
        await bench.answer(handle, "approve", row)
        assert (await handle.result())["state"] == "succeeded"

    verdicts = await bench.judged(handle, 9)
    assert [verdict for verdict, _ in verdicts].count("counted") == 1
    assert len(verdicts) == 9


async def test_the_card_is_the_runs_current_details(bench: Bench) -> None:
    """While it waits, Temporal's UI shows the question, the literal request, and what to paste."""
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)

        async def shown() -> str:
            details = await metadata(handle)
            return details if row.digest in details else ""

        details = await eventually(shown)
        attributes = {pair.key.name: pair.value for pair in (await handle.describe()).typed_search_attributes}
        await bench.answer(handle, "deny", row)
        await handle.result()

    assert row.card in details
    assert "**firewall.block_ip** at **bench** on `ip:203.0.113.7`" in details
    assert attributes["TocsinState"] == "awaiting approval"
    assert attributes["TocsinAwaiting"] == ["sure"]

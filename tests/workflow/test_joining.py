"""Alerts with one key share a run; none of them is lost, whatever the moment at which it comes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.requests import Started
from orchestrator.errors import DeadLetter
from orchestrator.language.program import Playbook
from orchestrator.workflow import playbook_run
from tests.workflow.bench import Bench, an_alert, ask, block, eventually, keys, look_up, metadata, playbook, ticket
from tests.workflow.misbehaving import Held


def grouped(steps: list[dict[str, object]], join: str | None = None) -> Playbook:
    """A playbook whose alerts of one product share a run."""
    return playbook(steps, key="alert.product.name", **({"join": join} if join else {}))


async def ended_runs(bench: Bench) -> dict[str, str]:
    """Each run by its alert, with its state."""
    rows = await bench.rows("SELECT event, state FROM tocsin.run ORDER BY started_at")
    return {row.event: row.state for row in rows}


async def quiet(bench: Bench, workflow_id: str) -> None:
    """Wait until nothing of this id runs."""

    async def look() -> bool:
        described = await bench.client.get_workflow_handle(workflow_id).describe()
        return described.status is not WorkflowExecutionStatus.RUNNING

    await eventually(look)


async def test_an_alert_with_the_same_key_joins_the_open_run(bench: Bench) -> None:
    """It is claimed while the run waits, later steps see it, and the run is as severe as the worse of the two."""
    first, second = an_alert(), an_alert(severity="critical")
    made = grouped([ask(), block(), ticket(title="{{ joined_count }} joined, {{ run.severity }}")])
    async with bench.worker():
        handle = await bench.start(made, first)
        row = await bench.asked(handle)
        assert await bench.starter.start(await bench.requests(made, second)) == [Started.JOINED]
        await eventually(lambda: _claimed(bench, second))
        assert "**Joined:** 1 alerts" in await metadata(handle)
        await bench.answer(handle, "approve", row)
        await handle.result()

    assert bench.target.asked[-1] == "open 1 joined, critical"
    name = first.key.replace("/", ".")
    assert await bench.claims() == {first.key: ("started", name), second.key: ("joined", name)}
    assert await ended_runs(bench) == {first.key: "succeeded"}
    (run,) = await bench.rows("SELECT joined, severity FROM tocsin.run")
    assert (run.joined, run.severity) == (1, "critical")
    assert "alert.joined" in await bench.told(second.key)


async def _claimed(bench: Bench, alert: Alert) -> bool:
    return alert.key in await bench.claims()


async def test_alerts_of_one_poll_start_one_run_and_join_it(bench: Bench) -> None:
    """Of a hundred at once the first starts the run, the rest come by one Signal, and each has its place."""
    alerts = [an_alert() for _ in range(100)]
    made = grouped([ask(), block(), ticket(title="{{ joined_count }} joined")])
    requests = await bench.requests(made, *alerts)
    async with bench.worker():
        became = await bench.starter.start(requests)
        handle = bench.client.get_workflow_handle(requests[0].workflow_id)
        await bench.answer(handle, "approve", await bench.asked(handle))
        await handle.result()

    assert Counter(became) == {Started.STARTED: 1, Started.JOINED: 99}
    assert bench.target.asked[-1] == "open 99 joined"
    assert set(await bench.claims()) == set(keys(alerts))
    history = await handle.fetch_history()
    assert sum(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events) == 2


async def test_what_no_step_has_seen_goes_on_as_a_run_of_its_own(bench: Bench) -> None:
    """Without `join` every alert is acted upon: what came during the last step is the next run's."""
    first, second, third = an_alert(), an_alert(), an_alert()
    made = grouped([ticket(title="{{ alert.id }} with {{ joined_count }}")])
    bench.ledger = held = Held(bench.engine, step="ticket")
    async with bench.worker():
        handle = await bench.start(made, first)
        await asyncio.wait_for(held.reached.wait(), 20)
        await bench.starter.start(await bench.requests(made, second, third))
        held.go_on.set()
        await quiet(bench, handle.id)

    assert bench.target.asked == [f"open {first.id} with 0", f"open {second.id} with 1"]
    claims = await bench.claims()
    assert [claims[alert.key][0] for alert in (first, second, third)] == ["started", "started", "joined"]
    assert claims[third.key][1] == second.key.replace("/", ".")
    assert await ended_runs(bench) == {first.key: "succeeded", second.key: "succeeded"}
    rows = await bench.rows("SELECT event, joined FROM tocsin.run")
    assert {row.event: row.joined for row in rows} == {first.key: 0, second.key: 1}


async def test_the_next_run_shows_what_it_is_about(bench: Bench) -> None:
    """Continued as new, it has its own severity and state in the UI."""
    first, second = an_alert(severity="high"), an_alert(severity="low")
    made = grouped([ticket()])
    bench.ledger = held = Held(bench.engine, step="ticket")
    async with bench.worker():
        handle = await bench.start(made, first)
        await asyncio.wait_for(held.reached.wait(), 20)
        await bench.starter.start(await bench.requests(made, second))
        held.go_on.set()
        await quiet(bench, handle.id)
    described = await bench.client.get_workflow_handle(handle.id).describe()

    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert (attributes["TocsinSeverity"], attributes["TocsinState"]) == ("low", "succeeded")
    assert attributes["TocsinPlaybook"] == "contain"


async def test_within_join_a_repeat_is_counted(bench: Bench) -> None:
    """After the end, and during the last step: recorded and counted, and nothing runs again."""
    first, during, after = an_alert(), an_alert(), an_alert()
    made = grouped([ticket()], join="1h")
    bench.ledger = held = Held(bench.engine, step="ticket")
    async with bench.worker():
        handle = await bench.start(made, first)
        await asyncio.wait_for(held.reached.wait(), 20)
        await bench.starter.start(await bench.requests(made, during))
        held.go_on.set()
        await quiet(bench, handle.id)
        result = await bench.run(made, after)

    assert result["state"] == "counted"
    assert len(bench.target.asked) == 1
    claims = await bench.claims()
    assert [claims[alert.key][0] for alert in (first, during, after)] == ["started", "counted", "counted"]
    (run,) = await bench.rows("SELECT joined FROM tocsin.run")
    assert run.joined == 2
    for alert in (during, after):
        assert "alert.counted" in await bench.told(alert.key)


async def test_something_worse_runs_though_it_comes_within_join(bench: Bench) -> None:
    """More severe than all that the ended run saw: a new run, whether it came at the end of the last or after it."""
    first, during, after = an_alert(severity="low"), an_alert(severity="medium"), an_alert(severity="high")
    made = grouped([ticket(title="{{ alert.id }}")], join="1h")
    bench.ledger = held = Held(bench.engine, step="ticket")
    async with bench.worker():
        handle = await bench.start(made, first)
        await asyncio.wait_for(held.reached.wait(), 20)
        await bench.starter.start(await bench.requests(made, during))
        held.go_on.set()
        await quiet(bench, handle.id)
        await bench.run(made, after)

    assert bench.target.asked == [f"open {alert.id}" for alert in (first, during, after)]


async def test_a_repeat_after_join_runs_again(bench: Bench) -> None:
    """Without `join` the next alert with the same key is a new matter."""
    async with bench.worker():
        made = grouped([ticket()])
        await bench.run(made, an_alert())
        await bench.run(made, an_alert())

    assert len(bench.target.asked) == 2


async def test_an_alert_that_comes_twice_to_its_own_run_is_one_alert(bench: Bench) -> None:
    """Redelivered while its run is open, an alert neither joins itself nor runs again."""
    first, second = an_alert(), an_alert()
    made = grouped([ask(), block(), ticket(title="{{ joined_count }} joined")])
    async with bench.worker():
        handle = await bench.start(made, first)
        row = await bench.asked(handle)
        for _ in range(3):
            await bench.starter.start(await bench.requests(made, first, second))
        await bench.answer(handle, "approve", row)
        await quiet(bench, handle.id)

    assert bench.target.asked[-1] == "open 1 joined"
    assert await ended_runs(bench) == {first.key: "succeeded"}


async def test_an_alert_of_an_earlier_run_of_the_chain_does_not_run_again(bench: Bench) -> None:
    """Redelivered to the next run of its key: a recorded duplicate."""
    first, second = an_alert(), an_alert()
    made = grouped([ask(), block()])
    async with bench.worker():
        handle = await bench.start(made, first)
        await bench.answer(handle, "approve", await bench.asked(handle))
        await handle.result()
        await bench.start(made, second)
        row = await bench.asked(handle)
        await bench.starter.start(await bench.requests(made, first))
        await eventually(lambda: _told(bench, first, "alert.duplicate"))
        await bench.answer(handle, "approve", row)
        await quiet(bench, handle.id)

    assert await ended_runs(bench) == {first.key: "succeeded", second.key: "succeeded"}
    assert len(bench.target.asked) == 2


async def _told(bench: Bench, alert: Alert, kind: str) -> bool:
    return kind in await bench.told(alert.key)


async def test_no_alert_is_lost_in_the_race_at_a_runs_end(bench: Bench) -> None:
    """Alerts stream in while short runs of their key start and end: each is claimed once, and seen by a step once.

    Where the server gives the last task again because an alert came, the step's result is what was recorded, and what
    it had not been rendered with goes on to the next run.
    """
    alerts = [an_alert() for _ in range(300)]
    made = grouped([ticket(title="{{ alert.id }} and {{ joined_count }}")])
    requests = await bench.requests(made, *alerts)
    async with bench.worker():
        became = []
        for place in range(0, len(requests), 3):
            became += await bench.starter.start(requests[place : place + 3])
        await quiet(bench, requests[0].workflow_id)

        async def all_ended() -> bool:
            return not await bench.rows("SELECT 1 FROM tocsin.run WHERE ended_at IS NULL")

        await eventually(all_ended)

    claims = await bench.claims()
    assert set(claims) == set(keys(alerts))
    started = {alert.id for alert in alerts if claims[alert.key][0] == "started"}
    opened = {title.split()[1]: int(title.split()[3]) for title in bench.target.asked}
    assert sorted(opened) == sorted(started)
    assert len(bench.target.asked) == len(started)
    assert sum(opened.values()) + len(started) == len(alerts), "each was seen by the step of one run"
    assert set((await ended_runs(bench)).values()) == {"succeeded"}
    assert set(became) == {Started.STARTED, Started.JOINED}
    decided = "SELECT run, type, count(*) AS times FROM tocsin.audit_event WHERE type LIKE 'step.%' GROUP BY run, type"
    assert {row.times for row in await bench.rows(decided)} == {1}, "a task that is given again tells nothing twice"


async def test_a_run_that_many_signals_reach_goes_on_in_a_new_execution(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """Temporal takes 10,000 Signals in the life of an execution: long before, the run goes on in a new one, with the

    same question open, nothing sent twice, and no alert lost.
    """
    monkeypatch.setattr(playbook_run, "MOST_SIGNALS", 5)
    first, rest = an_alert(), [an_alert() for _ in range(12)]
    made = grouped([look_up(), ask(), block(), ticket(title="{{ joined_count }} joined")])
    async with bench.worker():
        handle = await bench.start(made, first)
        row = await bench.asked(handle)
        for alert in rest:
            await bench.starter.start(await bench.requests(made, alert))
            await eventually(lambda alert=alert: _claimed(bench, alert))
        await bench.answer(handle, "approve", row)
        await quiet(bench, handle.id)

    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7", "open 12 joined"]
    assert await ended_runs(bench) == {first.key: "succeeded"}
    executions = [one async for one in bench.client.list_workflows(f"WorkflowId = '{handle.id}'")]
    assert len(executions) >= 3
    assert len(await bench.questions.listed(handle.id)) == 1


async def test_a_failed_run_passes_alerts_on_too(bench: Bench) -> None:
    """What came during the last step of a run that fails is not lost with it."""
    first, second = an_alert(), an_alert()
    made = grouped(
        [ticket(title="{{ alert.id }}", unless="alert.id == 'x'"), ticket("last", title="{{ alert.raw.nothing }}")]
    )
    bench.ledger = held = Held(bench.engine, step="ticket")
    async with bench.worker():
        handle = await bench.start(made, first)
        await asyncio.wait_for(held.reached.wait(), 20)
        await bench.starter.start(await bench.requests(made, second))
        held.go_on.set()
        await quiet(bench, handle.id)

    assert (await ended_runs(bench))[first.key] == "failed"
    assert second.key in await bench.claims()


async def test_what_temporal_will_never_take_is_a_dead_letter(bench: Bench) -> None:
    """Arguments above 2 MB are refused for ever: no retry helps."""
    (request,) = await bench.requests(playbook([ticket()]), an_alert())
    for size in (2_500_000, 6_000_000):
        large = request.model_copy(update={"document": {**request.document, "why": "x" * size}})
        with pytest.raises(DeadLetter) as refusal:
            await bench.starter.start([large])
        assert refusal.value.reason == "too_large_for_temporal"

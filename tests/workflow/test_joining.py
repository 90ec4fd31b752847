"""Alerts with one key share a run; none of them is lost, whatever the moment at which it comes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.requests import Started
from orchestrator.errors import DeadLetter
from orchestrator.language.program import Playbook
from orchestrator.workflow import playbook_run
from tests.workflow.bench import Bench, an_alert, ask, block, eventually, keys, look_up, metadata, playbook, ticket


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
    made = grouped([look_up("pause"), ticket(title="{{ alert.id }} with {{ joined_count }}")])
    arrived = asyncio.Event()

    async with bench.worker():
        handle = await _held_at_the_last_step(bench, made, first, arrived)
        await bench.starter.start(await bench.requests(made, second, third))
        arrived.set()
        await quiet(bench, handle.id)

    assert [one for one in bench.target.asked if one.startswith("open")] == [
        f"open {first.id} with 0", f"open {second.id} with 1",
    ]  # fmt: skip
    claims = await bench.claims()
    assert [claims[alert.key][0] for alert in (first, second, third)] == ["started", "started", "joined"]
    assert await ended_runs(bench) == {first.key: "succeeded", second.key: "succeeded"}


async def _held_at_the_last_step(
    bench: Bench, made: Playbook, alert: Alert, go_on: asyncio.Event
) -> WorkflowHandle[object, object]:
    """Start a run and hold it in its last step, which has rendered what it sends already."""
    activities = bench.activities()
    reached = asyncio.Event()
    act = activities._gateway.act

    async def held(context: object, call: object, traces: object) -> object:
        if call.step == "ticket":  # type: ignore[attr-defined]
            reached.set()
            await go_on.wait()
        return await act(context, call, traces)  # type: ignore[arg-type]

    activities._gateway.act = held  # type: ignore[method-assign, assignment]
    bench.shared = activities
    handle = await bench.start(made, alert)
    await asyncio.wait_for(reached.wait(), 20)
    return handle

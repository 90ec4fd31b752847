"""The kill switch on the real Temporal: in the middle of many actions, over a restart, and for those who look."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.actions.kill_switch import KillSwitch, Reach
from orchestrator.actions.ledger import Entry, PostgresLedger, Verdict
from orchestrator.audit.events import Event
from tests.policy.written import put
from tests.workflow.bench import Bench, block, eventually, look_up, metadata, playbook

pytestmark = pytest.mark.timeout(300)
ALL = Reach()
RUNS, EACH = 20, 10


class HeldUp(PostgresLedger):
    """The ledger of workers that are held up between an intent and its send, each for another time below 5 s."""

    times = itertools.cycle([0.0, 2.5, 0.5, 4.5, 1.0, 3.5])

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Let some time pass after the intent was recorded."""
        verdict = await super().intend(entry, traces)
        if verdict.verdict == "send":
            await asyncio.sleep(next(self.times))
        return verdict


@pytest.fixture
def hand(bench: Bench) -> KillSwitch:
    """Somebody who throws and lifts."""
    return KillSwitch(bench.engine, who="alice")


async def halted(bench: Bench, handle: WorkflowHandle[dict[str, object], dict[str, object]]) -> str:
    """What people see of a run, once it shows that it is halted."""

    async def look() -> str | None:
        details = await metadata(handle)
        return details if "**Halted:**" in details else None

    return str(await eventually(look, within=60))


async def test_nothing_is_sent_later_than_five_seconds_after_the_switch_was_thrown(
    bench: Bench, hand: KillSwitch
) -> None:
    """Two hundred actions in flight, and the worker is restarted meanwhile. Lifted, all go on, each effect once."""
    arrived: list[float] = []
    bench.target.misbehave = lambda: arrived.append(time.monotonic())
    bench.ledger = HeldUp(bench.engine)
    addresses = [f"203.0.113.{number}" for number in range(EACH)]
    loop = {"items": addresses, "concurrency": EACH, "steps": [block(ip="{{ item }}")]}
    made = playbook([{"id": "loop", "for_each": loop}])

    async with bench.worker():
        starting = asyncio.gather(*(bench.start(made) for _ in range(RUNS)))
        await eventually(lambda: _so_many(arrived, 5))
        await hand.throw(ALL, "a bad rule")
        thrown = time.monotonic()
        handles = await starting
    async with bench.worker():
        await eventually(lambda: _settled(bench), within=90)
        await eventually(lambda: _older(thrown, 6))
        before = len(arrived)
        lifted = time.monotonic()
        await hand.lift(ALL, "the rule is gone")
        results = await asyncio.gather(*(handle.result() for handle in handles))

    late = [moment - thrown for moment in arrived if thrown + 5 < moment < lifted]
    assert late == []
    assert 5 <= before < RUNS * EACH
    assert {result["state"] for result in results} == {"succeeded"}
    keys = [name.partition("#")[0] for name in bench.target.effects]
    assert len(keys) == len(set(keys)) == RUNS * EACH


async def _settled(bench: Bench) -> bool:
    """Whether every action was done before the switch was thrown, or is halted by it."""
    rows = await bench.rows("""SELECT key FROM tocsin.action WHERE state = 'done'
        UNION SELECT body->>'key' FROM tocsin.audit_event WHERE type = 'action.halted'""")
    return len(rows) == RUNS * EACH


async def _so_many(arrived: list[float], count: int) -> bool:
    return len(arrived) >= count


async def test_a_halted_run_waits_visibly_and_reads_go_on(bench: Bench, hand: KillSwitch) -> None:
    """The details say which step, who threw the switch and why; the state can be searched for."""
    await hand.throw(ALL, "a *bad* rule")
    made = playbook([look_up(), block()])
    async with bench.worker():
        handle = await bench.start(made)
        details = await halted(bench, handle)
        await eventually(lambda: _state(handle, "halted"))
        await hand.lift(ALL, "over")
        await handle.result()
        afterwards = await metadata(handle)

    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7"]
    assert "**Halted:** `block` `halted by the kill switch for all, thrown by alice " in details
    assert "a *bad* rule`" in details
    assert "**Halted:**" not in afterwards


async def _state(handle: WorkflowHandle[dict[str, object], dict[str, object]], wanted: str) -> bool:
    found = (await handle.describe()).search_attributes.get("TocsinState")
    return found == [wanted]


async def test_time_spent_halted_is_not_the_steps(bench: Bench, hand: KillSwitch) -> None:
    """Neither its own timeout nor that of what it stands in runs out."""
    await hand.throw(ALL, "a test")
    made = playbook([{"do": [block(timeout="1s")], "timeout": "2s"}])
    async with bench.worker():
        handle = await bench.start(made)
        await halted(bench, handle)
        began = time.monotonic()
        await eventually(lambda: _older(began, 3.0))
        await hand.lift(ALL, "over")
        result = await handle.result()

    assert result["state"] == "succeeded"


async def test_a_run_waits_for_the_end_of_maintenance_in_the_same_way(bench: Bench) -> None:
    """It says until when, its times stand still, and it goes on when the window ends, not when it would look next."""
    ends = datetime.now(UTC) + timedelta(seconds=5)
    window = f'{{integrations: [bench], from: "2020-01-01T00:00Z", to: "{ends.isoformat()}"}}'
    await put(bench.engine, f"maintenance: [{window}]")
    made = playbook([look_up(), {"do": [block(timeout="1s")], "timeout": "3s"}])
    async with bench.worker():
        handle = await bench.start(made)
        details = await halted(bench, handle)
        result = await handle.result()

    late = (datetime.now(UTC) - ends).total_seconds()
    assert result["state"] == "succeeded"
    assert "**Halted:** `block` `waits: playbooks/site/policy.yaml:2: maintenance of bench, until " in details
    assert 0 <= late < 20
    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7"]
    rows = await bench.rows("SELECT body->>'key' FROM tocsin.audit_event WHERE type = 'action.queued'")
    assert len(rows) == 1


async def _older(began: float, seconds: float) -> bool:
    return time.monotonic() - began > seconds


@pytest.mark.parametrize("on_failure", [[], [block("after", "203.0.113.8")]], ids=["alone", "with on_failure"])
async def test_a_cancellation_ends_a_run_that_is_halted(
    bench: Bench, hand: KillSwitch, on_failure: list[dict[str, object]]
) -> None:
    """Nothing is sent, and what `on_failure` wants is not waited for."""
    await hand.throw(ALL, "a test")
    async with bench.worker():
        handle = await bench.start(playbook([block()], on_failure=on_failure))
        await halted(bench, handle)
        await handle.cancel()
        await eventually(lambda: _recorded(bench, "cancelled"))

    assert bench.target.asked == []


async def _recorded(bench: Bench, state: str) -> bool:
    return [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == [state]

"""Modes of runs on the real Temporal: decided when a run begins, shown to those who look, and never turned to live."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError

from orchestrator.actions.shadow import report
from orchestrator.errors import TargetUnavailable
from orchestrator.workflow import playbook_run
from tests.policy.written import FILE, put
from tests.workflow.bench import Bench, ask, block, eventually, look_up, metadata, playbook, ticket

pytestmark = pytest.mark.timeout(300)
SUB = playbook(
    [block("cut", ip="{{ inputs.ip }}")], name="cut-off", trigger={}, inputs={"ip": "address"},
    outputs={"blocked": "{{ steps.cut.output.blocked }}"},
)  # fmt: skip
CALL = {"id": "call", "playbook": "cut-off", "with": {"ip": "203.0.113.9"}}


async def modes(bench: Bench) -> dict[str, tuple[str, str | None]]:
    """The mode of every run, and why."""
    rows = await bench.rows("SELECT playbook, mode, mode_why FROM tocsin.run")
    return {row.playbook: (row.mode, row.mode_why) for row in rows}


async def test_a_new_playbook_starts_in_shadow_and_everything_says_so(bench: Bench) -> None:
    """It asks nobody, calls shadow runs, and stays in shadow when the policy names it in the middle."""
    await put(bench.engine, "new_playbooks: shadow\nmodes: {playbooks: {cut-off: live}}")
    why = f"{FILE}:2: new_playbooks: shadow, and modes.playbooks does not name contain"
    waiting = {"id": "pause", "wait": {"for": "1s"}}
    made = playbook([look_up(), ask(), block(), waiting, CALL, ticket()], uses=[SUB])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: bench.rows("SELECT key FROM tocsin.action WHERE step = 'block'"))
        details = await metadata(handle)
        described = await handle.describe()
        await put(bench.engine, "new_playbooks: live")
        result = await handle.result()

    assert f"**Shadow:** recorded and not sent; `{why}`" in details
    assert (await described.static_summary() or "").startswith("shadow, high: ")
    assert described.search_attributes["TocsinMode"] == ["shadow"]
    assert result["steps"] == {
        "look": "succeeded", "sure": "succeeded", "block": "shadowed", "pause": "succeeded", "call": "succeeded",
        "ticket": "shadowed",
    }  # fmt: skip
    assert await modes(bench) == {"contain": ("shadow", why), "cut-off": ("shadow", "the run: asked for in shadow")}
    assert bench.target.asked == ["look up 203.0.113.7"]
    rows = await bench.rows("SELECT card FROM tocsin.approval")
    assert rows[0].card.startswith("**Shadow mode:**")


async def test_a_run_that_began_live_sends_nothing_more_once_the_policy_says_shadow(bench: Bench) -> None:
    """What people approved meanwhile too: its card says so beforehand only where the policy does. Reads go on."""
    made = playbook([ticket("first"), ask(), block(), look_up()])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        await put(bench.engine, "modes: {capabilities: {firewall.block_ip: shadow}}")
        await bench.answer(handle, "approve", row)
        result = await handle.result()

        again = await bench.start(made)
        warned = await bench.asked(again)
        await put(bench.engine, "modes: {capabilities: {firewall.unblock_ip: shadow}}")
        await bench.answer(again, "approve", warned)
        live = await again.result()

        await put(bench.engine, "modes: {capabilities: {firewall.block_ip: shadow}}")
        no = await bench.start(made)
        await bench.answer(no, "deny", await bench.asked(no))
        await no.result()
        (counted,) = await report(bench.engine, 3600)

    assert result["steps"] == {"first": "succeeded", "sure": "succeeded", "block": "shadowed", "look": "succeeded"}
    assert "shadow" not in row.card
    line = f"{FILE}:2: modes.capabilities.firewall.block_ip: shadow"
    assert f"- **shadow:** recorded and not sent, as the policy is now: `{line}`" in warned.card
    assert live["steps"]["block"] == "succeeded"
    assert [one for one in bench.target.asked if one.startswith("block")] == ["block 203.0.113.7"]
    assert (await modes(bench))["contain"] == ("live", None)
    assert (counted.actions, counted.agreed, counted.denied, counted.unknown) == (1, 1, 1, 0)
    assert counted.agreement == 0.5


async def test_a_run_in_shadow_goes_on_in_a_new_execution(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """It was asked for as a live one, and is taken for that one; it stays in the shadow that the policy put it in."""
    monkeypatch.setattr(playbook_run, "MOST_ACTIVITIES", 3)
    await put(bench.engine, "modes: {playbooks: {contain: shadow}}")
    made = playbook([ticket(f"t{number}", f"Ticket {number}") for number in range(4)])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: bench.rows("SELECT run FROM tocsin.run"))
        await put(bench.engine, "modes: {playbooks: {contain: live}}")
        result = await handle.result()

    executions = [one async for one in bench.client.list_workflows(f"WorkflowId = '{handle.id}'")]
    assert len(executions) > 1
    assert set(result["steps"].values()) == {"shadowed"}
    assert bench.target.asked == []


async def test_a_canary_goes_ahead_of_a_loop(bench: Bench) -> None:
    """The other items wait visibly, and follow; where its effect is not seen none of them is sent."""
    await put(bench.engine, "modes: {capabilities: {firewall.block_ip: canary}}")
    items = [f"203.0.113.{number}" for number in range(1, 6)]
    loop = {"items": items, "concurrency": 5, "steps": [block(ip="{{ item }}", timeout="1s")]}
    made = playbook([{"id": "loop", "for_each": loop}])

    def hide() -> None:
        if bench.target.asked:
            raise TargetUnavailable("it never shows")

    async with bench.worker():
        good = await bench.run(made)
        sent, bench.target.asked = sorted(bench.target.asked), []
        bench.target.hide = hide
        with pytest.raises(WorkflowFailureError):
            await bench.run(made)

    assert good["state"] == "succeeded"
    assert sent == [f"block {ip}" for ip in items]
    assert len(bench.target.asked) == 1


async def test_a_run_that_was_reset_stays_in_the_shadow_that_it_was_in(bench: Bench) -> None:
    """What its steps imagined was never done. A later run is what the policy says then."""
    await put(bench.engine, "modes: {playbooks: {contain: shadow}}")
    made = playbook([block(), {"id": "pause", "wait": {"for": "1s"}}, ticket()])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: bench.rows("SELECT key FROM tocsin.action"))
        await put(bench.engine, "modes: {site: live}")
        again = await (await bench.reset(handle)).result()
        assert bench.target.asked == []
        later = await bench.run(made)

    assert (again["steps"]["block"], again["steps"]["ticket"]) == ("shadowed", "shadowed")
    assert (later["steps"]["block"], later["steps"]["ticket"]) == ("succeeded", "succeeded")

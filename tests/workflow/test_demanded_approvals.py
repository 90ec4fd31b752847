"""Approvals that the policy demands though no author wrote them, on the real Temporal."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from orchestrator.language.program import Playbook
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList
from orchestrator.workflow import playbook_run
from orchestrator.workflow.approval import names
from tests.policy.written import FILE, put
from tests.workflow.bench import Bench, ask, block, eventually, look_up, metadata, playbook, ticket

pytestmark = pytest.mark.timeout(300)
BLOCKS = "approvals:\n- {capabilities: [firewall.block_ip], by: {group: lead}, within: 1h}"
LINE = f"{FILE}:3: an approval by 1 of lead is demanded"
VIPS = ReferenceData(lists={"vips": ReferenceList(ListType.NETWORK, ("198.51.100.0/24",))})
PEOPLE = names([("alice", ["lead"]), ("bob", ["soc"])])


async def unasked(bench: Bench) -> bool:
    return await bench.rows("SELECT id FROM tocsin.approval") == []


async def failed(bench: Bench, made: Playbook, answer: str, by: str = "alice") -> str:
    """Why the run failed that was answered so."""
    handle = await bench.start(made)
    await bench.answer(handle, answer, await bench.asked(handle, "block"), by=by)
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    return str(raised.value.cause).removeprefix("PlaybookFailed: ")


async def test_the_run_asks_before_it_sends_and_goes_on_as_people_say(bench: Bench) -> None:
    """The card shows the request and the line. Who is not of the group is refused; what is not demanded is sent."""
    bench.people = PEOPLE
    await put(bench.engine, BLOCKS)
    made = playbook([ticket(), block()])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle, "block")
        details = await metadata(handle)
        await bench.answer(handle, "approve", row, by="bob")
        await bench.judged(handle)
        before = list(bench.target.asked)
        await bench.answer(handle, "approve", row, by="alice")
        result = await handle.result()
        denied = await failed(bench, made, "deny")

    assert f"`firewall.block_ip: {LINE}`" in row.card
    assert "**firewall.block_ip** at **bench** on `ip:203.0.113.7`" in row.card
    assert row.card in details
    assert [one.startswith("open") for one in before] == [True]
    assert await bench.judged(handle, 2) == [
        ("refused", "bob is not in the group lead"), ("counted", "approve")
    ]  # fmt: skip
    assert result["steps"] == {"ticket": "succeeded", "block": "succeeded"}
    assert denied == f"block: the policy demands an approval ({LINE}): denied by alice"
    assert [one for one in bench.target.asked if one.startswith("block")] == ["block 203.0.113.7"]
    (action,) = await bench.rows("SELECT approval FROM tocsin.action WHERE step = 'block'")
    assert action.approval == row.id


async def test_what_an_author_asks_satisfies_it_only_where_people_of_that_group_answered(bench: Bench) -> None:
    """An `auto` that holds asks nobody, so the policy does; any person's approval will do where it names no group."""
    await put(bench.engine, "approvals:\n- {capabilities: [firewall.block_ip]}")
    by_itself = ask()
    by_itself["approval"]["auto"] = "true"
    async with bench.worker():
        first = await bench.start(playbook([by_itself, block()]))
        await bench.answer(first, "approve", await bench.asked(first, "block"))
        await first.result()
        asked = len(await bench.rows("SELECT id FROM tocsin.approval"))
        second = await bench.start(playbook([ask(), block()]))
        await bench.answer(second, "approve", await bench.asked(second))
        await second.result()

    assert asked == 2
    assert len(await bench.rows("SELECT id FROM tocsin.approval")) == 3
    assert bench.target.asked.count("block 203.0.113.7") == 2


@pytest.mark.parametrize(
    ("demand", "asks"),
    [
        ("lists: [vips]", "198.51.100.7"),
        ("lists: [gone]", "203.0.113.7"),
        ("playbooks: [contain], integrations: [bench]", "203.0.113.7"),
        ("lists: [vips]", None),
        ("playbooks: [other]", None),
        ("capabilities: [firewall.unblock_ip]", None),
    ],
)
async def test_it_is_about_what_its_entry_names_and_nothing_else(bench: Bench, demand: str, asks: str | None) -> None:
    """A list that cannot be had may hold anything, so people are asked. Reads are never asked about."""
    bench.reference = VIPS
    await put(bench.engine, f"approvals:\n- {{{demand}}}")
    made = playbook([look_up(), block(ip=asks or "203.0.113.7")])
    async with bench.worker():
        handle = await bench.start(made)
        if asks:
            await bench.answer(handle, "approve", await bench.asked(handle, "block"))
        result = await handle.result()

    assert result["state"] == "succeeded"
    assert await unasked(bench) is (asks is None)


async def test_nobody_is_asked_about_what_is_not_sent_anyhow(bench: Bench) -> None:
    """In shadow it is recorded; what a rail refuses is refused."""
    await put(bench.engine, f"{BLOCKS}\nmodes: {{integrations: {{bench: shadow}}}}")
    async with bench.worker():
        assert (await bench.run(playbook([block()])))["steps"] == {"block": "shadowed"}
        await put(bench.engine, BLOCKS)
        with pytest.raises(WorkflowFailureError) as raised:
            await bench.run(playbook([block(ip="127.0.0.1")]))
        assert await unasked(bench)
        handle = await bench.start(playbook([block()]))
        await bench.answer(handle, "approve", await bench.asked(handle, "block"))
        await handle.result()

    assert "own infrastructure" in str(raised.value.cause)
    assert bench.target.asked == ["block 203.0.113.7"]


async def test_a_run_that_goes_on_in_a_new_execution_asks_once_and_sends_once(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    """Before, while and after people think; a timeout around the step does not run meanwhile."""
    monkeypatch.setattr(playbook_run, "MOST_ACTIVITIES", 4)
    await put(bench.engine, BLOCKS.replace("by: {group: lead}, ", ""))
    made = playbook([ticket(), {"do": [block(timeout="1s")], "timeout": "1m"}, ticket("after", "After")])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle, "block")
        await bench.answer(handle, "approve", row)
        await eventually(lambda: _ended(bench))

    assert [one for one in bench.target.asked if one.startswith("block")] == ["block 203.0.113.7"]
    assert [one.state for one in await bench.rows("SELECT state FROM tocsin.approval")] == ["approved"]


async def _ended(bench: Bench) -> list[Any]:
    return await bench.rows("SELECT run FROM tocsin.run WHERE state = 'succeeded'")

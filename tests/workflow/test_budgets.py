"""Budgets on the real Temporal: many addresses over two workers, one question, and what its answer lets through."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from orchestrator.local.endpoints import Endpoints
from orchestrator.policy.policy import DEFAULT
from orchestrator.settings import Settings
from orchestrator.workflow.approval import names
from orchestrator.workflow.budget_question import budget_workflow_id
from orchestrator.workflow.client import connect
from orchestrator.workflow.questions import ApprovalRow
from tests.policy.written import FILE, door, put
from tests.workflow.bench import Bench, block, eventually, metadata, playbook, ticket

pytestmark = pytest.mark.timeout(120)
ADDRESSES = int(os.environ.get("BUDGET_ADDRESSES", "60"))
CARD = "playbook contain, 1 of anybody"
PEOPLE = names([("alice", ["lead"]), ("bob", ["soc"])])


@pytest.fixture
def strict(bench: Bench) -> Bench:
    """A bench with the real defaults where no policy is in force."""
    bench.policy = door(bench.engine, forgetful=True, default=DEFAULT)
    return bench


def asking(bench: Bench, card: str = CARD) -> WorkflowHandle[Any, Any]:
    """The run that asks about this card."""
    return bench.client.get_workflow_handle(budget_workflow_id(card))


def many(count: int, concurrency: int = 1) -> Any:
    """A playbook that blocks so many addresses."""
    addresses = [f"198.51.{one // 250}.{one % 250}" for one in range(count)]
    loop = {"items": addresses, "concurrency": concurrency, "steps": [block(ip="{{ item }}")]}
    return playbook([{"id": "loop", "for_each": loop}, ticket("after", "After")])


def blocks(bench: Bench) -> list[str]:
    return [one for one in bench.target.asked if one.startswith("block")]


async def asked(bench: Bench, waiting: int = 1) -> ApprovalRow:
    """The open question, once it lists so many."""

    async def look() -> ApprovalRow | None:
        rows = await bench.questions.listed(budget_workflow_id(CARD))
        return next((one for one in rows if one.state == "waiting" and f"{waiting} actions on" in one.card), None)

    found = await eventually(look, within=90)
    assert isinstance(found, ApprovalRow)
    return found


async def test_exactly_the_budget_is_sent_one_question_asks_about_the_rest_and_its_answer_lets_that_through(
    strict: Bench, settings: Settings, stack: Endpoints
) -> None:
    """One alert with many addresses, one at a time, two workers; the run waits visibly and each is sent once."""
    bench = strict
    bench.cached = 100
    other = replace(bench, client=await connect(settings.temporal, stack.temporal))
    async with bench.worker(), other.worker():
        handle = await bench.start(many(ADDRESSES))
        row = await asked(bench, ADDRESSES - 5)
        before, details, shown = blocks(bench), await metadata(handle), await metadata(asking(bench))
        state = (await handle.describe()).search_attributes.get("TocsinState")
        listed = await bench.questions.listed()
        await bench.answer(asking(bench), "approve", row)
        result = await handle.result()
        await asking(bench).result()

    assert len(before) == 5
    assert [one.id for one in listed] == [row.id]
    assert "**Over budget:** `block` `over budget: the default: 5 targets a run; 5 are taken`" in details
    assert state == ["over budget"]
    assert shown == row.card
    assert row.card.startswith(f"### Approval wanted: {ADDRESSES - 5} actions on {ADDRESSES - 5} targets are above")
    assert "exactly these are sent" in row.card
    assert "firewall.block_ip at `bench` on `ip:198.51.0.5` for 1h" in row.card
    assert result["state"] == "succeeded"
    assert sorted(blocks(bench)) == sorted(set(blocks(bench)))
    assert len(blocks(bench)) == ADDRESSES
    (question,) = await bench.rows("SELECT state, decision->>'by' AS by FROM tocsin.approval")
    assert (question.state, question.by) == ("approved", "alice")
    told = await bench.told(budget_workflow_id(CARD))
    assert told == ["approval.asked", "approval.answered", "approval.decided"]


async def test_a_denial_refuses_all_that_the_card_lists_and_who_comes_later_is_asked_about_anew(
    strict: Bench,
) -> None:
    """Who is not of the group changes nothing. Several runs are one question; the worker is restarted meanwhile."""
    bench = strict
    bench.people = PEOPLE
    await put(bench.engine, "budgets: {run: 1, by: {group: lead}}")
    card = "playbook contain, 1 of lead"
    async with bench.worker():
        first, second = await bench.start(many(3)), await bench.start(many(2))
        row = await eventually(lambda: _waiting(bench, card, 3), within=60)
    async with bench.worker():
        await bench.answer(asking(bench, card), "approve", row, by="bob")
        await bench.judged(asking(bench, card))
        sent = blocks(bench)
        await bench.answer(asking(bench, card), "deny", row)
        reasons = []
        for handle in (first, second):
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
            reasons.append(str(raised.value.cause))
        third = await bench.start(many(2))
        again = await eventually(lambda: _waiting(bench, card, 1), within=60)
        await bench.answer(asking(bench, card), "approve", again)
        result = await third.result()

    assert len(sent) == 2
    denied = f"PlaybookFailed: block: over budget: {FILE}:2: 1 targets a run; 1 are taken; denied by alice"
    assert reasons == [denied, denied]
    assert result["state"] == "succeeded"
    assert len(blocks(bench)) == 4
    assert (await bench.judged(asking(bench, card)))[0] == ("refused", "bob is not in the group lead")


async def _waiting(bench: Bench, card: str, actions: int) -> ApprovalRow | None:
    rows = await bench.questions.listed(budget_workflow_id(card))
    return next((one for one in rows if one.state == "waiting" and f": {actions} actions on" in one.card), None)


async def test_silence_is_a_denial_and_a_run_that_somebody_cancels_waits_no_longer(strict: Bench) -> None:
    """What a cancelled run wanted is on no card any more."""
    bench = strict
    await put(bench.engine, "budgets: {run: 0, within: 3s}")
    async with bench.worker():
        cancelled, silent = await bench.start(playbook([block()])), await bench.start(playbook([block()]))
        await eventually(lambda: _waiting(bench, CARD, 2), within=60)
        await cancelled.cancel()
        with pytest.raises(WorkflowFailureError):
            await cancelled.result()
        with pytest.raises(WorkflowFailureError) as raised:
            await silent.result()
        await asking(bench).result()

    assert "nobody said in time that it may be sent" in str(raised.value.cause)
    assert blocks(bench) == []


async def test_a_question_that_somebody_ends_in_temporal_is_asked_again(strict: Bench) -> None:
    """Terminated, it is started anew by the runs that wait; the old card is void, and an answer to it comes too late.

    A start by hand that is no card's own asks nothing.
    """
    bench = strict
    await put(bench.engine, "budgets: {run: 0}")
    async with bench.worker():
        handle = await bench.start(playbook([block()]))
        old = await asked(bench)
        await asking(bench).terminate("by mistake")
        new = await eventually(lambda: _another(bench, old), within=60)
        await bench.answer(asking(bench), "approve", old)
        await bench.judged(asking(bench))
        sent = blocks(bench)
        await bench.answer(asking(bench), "approve", new)
        result = await handle.result()
        forged = await bench.client.start_workflow(
            "tocsin.budget", {"card": CARD}, id="tocsin-budget/mine", task_queue=bench.task_queue
        )
        with pytest.raises(WorkflowFailureError):
            await forged.result()

    assert sent == []
    assert result["state"] == "succeeded"
    states = {one.id: one.state for one in await bench.rows("SELECT id, state FROM tocsin.approval")}
    assert states == {old.id: "void", new.id: "approved"}


async def _another(bench: Bench, old: ApprovalRow) -> ApprovalRow | None:
    rows = await bench.questions.listed(budget_workflow_id(CARD))
    return next((one for one in rows if one.state == "waiting" and one.id != old.id), None)

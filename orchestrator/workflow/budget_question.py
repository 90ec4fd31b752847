"""The workflow that asks people about what is above a budget: one for each card, as long as something waits there.

Nothing here may depend on anything but its history. It takes answers as runs do: a Signal only wakes it, and who said
what is read from the server's record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError

from orchestrator.alerts.keys import safe_name
from orchestrator.language.host import RunContext
from orchestrator.workflow.messages import AboveAsked, AnswersRead, AskAbove, BudgetStart, ReadAnswers
from orchestrator.workflow.search_attributes import AWAITING, STATE

R = TypeVar("R")
NAME = "tocsin.budget"
"""the type of these workflows in Temporal, which no playbook can be named"""
GATHERS = 2.0
"""seconds in which no more may have come before people are asked, so that they are asked once"""
MOST_LOOKS = 15
"""looks after which they are asked all the same"""
MOST_SIGNALS = 2_000
"""Signals, and with one question after the other"""
MOST_QUESTIONS = 100
"""questions, after which it goes on in a new execution"""
STEP = "budget"
"""what answers name as the step"""
UNTIL_AVAILABLE = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=20))


def budget_workflow_id(card: str) -> str:
    """The id of the workflow that asks about a card."""
    return f"tocsin-budget/{safe_name(card)}"


@workflow.defn(name=NAME)
class BudgetQuestion:
    """Asks about all that waits, then about what has come meanwhile, until nothing waits."""

    def __init__(self) -> None:
        self._answers = 0
        self._signals = 0

    @workflow.run
    async def run(self, start: BudgetStart) -> dict[str, Any]:
        """One question after the other; returns how many it asked."""
        info = workflow.info()
        if info.workflow_id != budget_workflow_id(start.card):
            raise ApplicationError("this is no start of Tocsin's", type="InvalidStart", non_retryable=True)
        context = RunContext(
            run=info.workflow_id, playbook="(budget)", digest="", event=info.workflow_id,
            workflow_id=info.workflow_id, first_run_id=info.first_execution_run_id,
        )  # fmt: skip
        count = await self._questions(context, start.card)
        if count is None:
            workflow.continue_as_new(start)
        self._show("over", "Nothing waits here any more.", [])
        return {"state": "over", "questions": count}

    async def _questions(self, context: RunContext, card: str) -> int | None:
        """How many were asked until nothing waits; None where a new execution goes on."""
        for count in range(MOST_QUESTIONS):
            found = await self._gathered(context, card)
            if found is None:
                return count
            if not await self._answered(context, found):
                break
        return None

    async def _gathered(self, context: RunContext, card: str) -> AboveAsked | None:
        """The question about what waits, once no more arrive; None where nothing waits."""
        waiting = 0
        for look in range(MOST_LOOKS + 1):
            ask = AskAbove(
                context=context, card=card, waiting=waiting if look < MOST_LOOKS else 10**9, now=workflow.now(),
                original_run_id=workflow.info().original_execution_run_id,
            )  # fmt: skip
            found = await _local("ask_above", ask, AboveAsked, "ask about what waits")
            if found.asked is not None or found.waiting == 0:
                break
            waiting = found.waiting
            self._show("gathering", f"**Now:** {waiting} actions wait, and more may come", [])
            await workflow.sleep(GATHERS)
        return found if found.asked is not None else None

    async def _answered(self, context: RunContext, found: AboveAsked) -> bool:
        """Wait for the verdict; False where it is to be waited for in a new execution."""
        assert found.asked is not None and found.request is not None  # noqa: S101, PT018 - a question was found
        self._show("awaiting approval", found.asked.card, [STEP])
        heard = after = 0
        while True:
            late = await self._more(heard, found.asked.deadline)
            if self._signals >= MOST_SIGNALS:
                return False
            heard = self._answers
            read = ReadAnswers(
                context=context, request=found.request, approval=found.asked.approval, digest=found.asked.digest,
                after=after if found.request.count == 1 else 0, expired=late,
                original_run_id=workflow.info().original_execution_run_id,
            )  # fmt: skip
            answers = await _local("read_answers", read, AnswersRead, "read the answers")
            after = answers.last
            if answers.decision is not None or answers.ask_again:
                return True

    async def _more(self, heard: int, deadline: datetime | None) -> bool:
        """Wait for a Signal; True when the deadline has passed."""
        left = None if deadline is None else (deadline - workflow.now()).total_seconds()
        if left is not None and left <= 0:
            return True
        try:
            await workflow.wait_condition(lambda: self._answers > heard or self._signals >= MOST_SIGNALS, timeout=left)
        except TimeoutError:
            return True
        return False

    def _show(self, state: str, details: str, awaiting: Sequence[str]) -> None:
        workflow.upsert_search_attributes([STATE.value_set(state), AWAITING.value_set(list(awaiting))])
        workflow.set_current_details(details)

    @workflow.signal(description='Approve what the card shows. Input: {"step": "budget", "digest": "sha256:..."}')
    def approve(self, *answer: Any) -> None:
        """Somebody approves. Only wakes the workflow, which reads its history."""
        self._answers += 1
        self._signals += 1

    @workflow.signal(description='Deny what the card shows. Input: {"step": "budget", "digest": "sha256:..."}')
    def deny(self, *answer: Any) -> None:
        """Somebody denies. Only wakes the workflow, which reads its history."""
        self._answers += 1
        self._signals += 1

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Anything else is left aside."""
        self._signals += 1


async def _local(name: str, argument: Any, kind: type[R], summary: str) -> R:
    result: R = await workflow.execute_local_activity(
        name, argument, result_type=kind, start_to_close_timeout=timedelta(seconds=60), summary=summary,
        retry_policy=UNTIL_AVAILABLE, local_retry_threshold=timedelta(seconds=5),
    )  # fmt: skip
    return result

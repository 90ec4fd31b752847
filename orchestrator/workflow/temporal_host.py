"""The interpreter's world inside a Temporal workflow."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from orchestrator.errors import FailureKind
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    ApprovalRequest,
    Decision,
    Joined,
    RunContext,
    StepError,
    StepStatus,
    Trace,
)
from orchestrator.workflow.messages import (
    Act,
    AnswersRead,
    Ask,
    Asked,
    JoinedAlert,
    ReadAnswers,
    TakeIn,
)
from orchestrator.workflow.search_attributes import AWAITING, STATE

R = TypeVar("R")
MOST_JOINED = 100
"""joined alerts that expressions see; the count goes on"""

# What comes back as an error of this policy is only a server that is away: everything else is data.
UNTIL_AVAILABLE = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
)
BESIDES_SENDING = timedelta(seconds=120)
"""what an action may take beside its own timeouts: waiting for an earlier send to settle, reading back"""


async def local(name: str, argument: Any, kind: type[R], *, seconds: float = 60.0, summary: str = "") -> R:
    """Run a local activity to its end, also when the run is cancelled meanwhile: what was begun is settled."""
    task = asyncio.ensure_future(
        workflow.execute_local_activity(
            name,
            argument,
            result_type=kind,
            start_to_close_timeout=timedelta(seconds=seconds),
            retry_policy=UNTIL_AVAILABLE,
            summary=summary or None,
        )
    )
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class TemporalHost:
    """Acts, asks and waits for one run."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.inbox: list[JoinedAlert] = []
        self.answers = 0
        self._joined: list[JoinedAlert] = []
        self._shown = 0
        self._read_up_to = 0

    def now(self) -> datetime:
        """The server's time of the task under way."""
        return workflow.now()

    async def sleep(self, seconds: float) -> None:
        """A durable timer."""
        await workflow.sleep(seconds)

    def joined(self) -> Joined:
        """What joined so far; from now on a step has seen it."""
        self._shown = len(self._joined)
        first = self._joined[:MOST_JOINED]
        return Joined(alerts=tuple(one.alert for one in first), count=len(self._joined), severity=None)

    def unseen(self) -> list[JoinedAlert]:
        """The alerts that joined and that no step has seen, those still in the inbox included."""
        return [*self._joined[self._shown :], *self.inbox]

    def show(self, state: str) -> None:
        """The run's state in the UI."""
        workflow.set_current_details(f"**Now:** {state}")

    async def take_in(self) -> None:
        """Claim what has arrived, so that the next step sees it."""
        while self.inbox:
            arrived, self.inbox = tuple(self.inbox), []
            taken = TakeIn(context=self.context, alerts=arrived)
            mine = set(await local("take_in", taken, list[str], summary=f"{len(arrived)} alerts join"))
            self._joined += [one for one in arrived if one.alert_key in mine]

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """One attempt through the gateway."""
        await self.take_in()
        seconds = 3 * call.timeout + BESIDES_SENDING.total_seconds()
        summary = f"{call.step}: {call.action}"
        try:
            return await local(
                "act", Act(context=self.context, call=call, traces=traces), ActionOutcome, seconds=seconds,
                summary=summary,
            )  # fmt: skip
        except ActivityError as error:
            # the gateway broke in a way that nobody foresaw: what it had sent by then is for the ledger to find out
            message = error.cause.message if isinstance(error.cause, ApplicationError) else str(error)
            failure = StepError(kind=FailureKind.UNKNOWN_OUTCOME, message=message)
            return ActionOutcome(status=StepStatus.FAILED, error=failure)

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Ask, show the card, wait for the verdict."""
        await self.take_in()
        ask = Ask(context=self.context, request=request, traces=traces)
        asked = await local("ask", ask, Asked, summary=f"{request.step}: ask")
        if asked.error is not None:
            return Decision(status=StepStatus.FAILED, note=asked.error.message)
        if asked.decision is not None:
            return asked.decision
        workflow.set_current_details(asked.card)
        workflow.upsert_search_attributes([STATE.value_set("awaiting approval"), AWAITING.value_set([request.step])])
        try:
            return await self._decision(request, asked)
        finally:
            workflow.upsert_search_attributes([STATE.value_set("running"), AWAITING.value_set([])])

    async def _decision(self, request: ApprovalRequest, asked: Asked) -> Decision:
        """Wait for an answer or the deadline. Who answered, and whether in time, is read from history."""
        while True:
            heard = self.answers
            late = await self._wait(heard, request.deadline)
            read = ReadAnswers(
                context=self.context, request=request, approval=asked.approval, digest=asked.digest,
                after=self._read_up_to, expired=late,
            )  # fmt: skip
            found = await local("read_answers", read, AnswersRead, summary=f"{request.step}: read the answers")
            self._read_up_to = found.last
            if found.decision is not None:
                return found.decision

    async def _wait(self, heard: int, deadline: datetime | None) -> bool:
        """True when the deadline has passed."""
        left = None if deadline is None else (deadline - workflow.now()).total_seconds()
        if left is not None and left <= 0:
            return True
        try:
            await workflow.wait_condition(lambda: self.answers > heard, timeout=left)
        except TimeoutError:
            return True
        return False

"""The interpreter's world inside a Temporal workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from orchestrator.errors import FailureKind
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    Answered,
    ApprovalRequest,
    AskRequest,
    Decision,
    Joined,
    RunContext,
    StepError,
    StepStatus,
    SubCall,
    SubOutcome,
    Trace,
    UndoCall,
    UndoOutcome,
)
from orchestrator.language.interpreter.ends import leave_if_cancelled, settled
from orchestrator.workflow.inbox import Joining, PassingOn
from orchestrator.workflow.messages import (
    Act,
    AnswersRead,
    Ask,
    Asked,
    Carried,
    JoinedAlert,
    ReadAnswers,
    TakeIn,
    Undo,
    Void,
)
from orchestrator.workflow.search_attributes import AWAITING, MODE, SEVERITY, STATE
from orchestrator.workflow.visible import code

R = TypeVar("R")

# What comes back as an error of this policy is only a server that is away: everything else is data.
UNTIL_AVAILABLE = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=20)
)
# From here on a retry waits on a timer of the server's: a task kept open would write to history every few seconds.
ON_A_TIMER_FROM = timedelta(seconds=5)
CANCELLED = "the run was cancelled: nothing more is sent"
MOST_SHOWN = 20
"""steps of one kind that are shown to wait"""
SubRunner = Callable[[SubCall], Awaitable[Callable[[], Awaitable[SubOutcome]]]]
"""starts a sub-playbook; what comes back waits for its end"""


class TemporalHost:
    """Acts, asks and waits for one run."""

    def __init__(self, context: RunContext, joining: Joining) -> None:
        self.context = context
        self.pausing = False
        self.acted = 0
        self._joining = joining
        self._sub: SubRunner | None = None
        self.in_flight = 0
        self._cleaning_up = False
        self._given_up = False
        self.unsent: list[Trace] = []
        self._state = "starting"
        self._asking: set[tuple[str, ...]] = set()
        self._looked_at: dict[tuple[str, ...], int] = {}
        self._cards: dict[tuple[str, ...], str] = {}
        self._halted: dict[tuple[str, ...], str] = {}
        self._above: set[tuple[str, ...]] = set()

    async def local(self, name: str, argument: Any, kind: type[R], *, seconds: float = 60.0, summary: str = "") -> R:
        """Run a local activity to its end, whoever is cancelled meanwhile; `seconds` bound one attempt."""
        return await settled(self._local(name, argument, kind, seconds, summary))

    async def _local(self, name: str, argument: Any, kind: type[R], seconds: float, summary: str) -> R:
        self.in_flight += 1
        self.acted += 1
        try:
            result: R = await workflow.execute_local_activity(
                name,
                argument,
                result_type=kind,
                start_to_close_timeout=timedelta(seconds=seconds),
                retry_policy=UNTIL_AVAILABLE,
                local_retry_threshold=ON_A_TIMER_FROM,
                summary=summary or None,
            )
        finally:
            self.in_flight -= 1
        return result

    def now(self) -> datetime:
        """The server's time of the task under way."""
        return workflow.now()

    async def ready(self) -> None:
        """At once; never, where the run is about to go on in a new execution."""
        if self.pausing:
            await workflow.wait_condition(lambda: not self.pausing)

    async def stopping(self) -> None:
        """Until somebody cancels the run."""
        await workflow.wait_condition(lambda: self.stopped)

    async def joining(self, count: int) -> None:
        """Until more have joined. They are claimed here, since nothing else may be going on."""
        while self._joining.count <= count:
            await workflow.wait_condition(lambda: bool(self._joining.inbox.arrived))
            await self.take_in()

    @property
    def stopped(self) -> bool:
        """Whether somebody cancelled the run, or it cannot go on, and nothing more is sent."""
        return (self._joining.inbox.cancelled or self._given_up) and not self._cleaning_up

    @property
    def unread(self) -> bool:
        """Whether somebody has answered, and not every question has looked at it: another execution could not."""
        return any(count < self._joining.inbox.answers for count in self._looked_at.values())

    def clean_up(self) -> None:
        """What `on_failure` wants is sent, also after a cancellation."""
        self._cleaning_up = True

    def calls(self, sub: SubRunner) -> None:
        """How sub-playbooks are run."""
        self._sub = sub

    def plan(self, join: float) -> PassingOn:
        """What becomes of alerts that no step has seen."""
        return self._joining.plan(join)

    def drop(self, alerts: Sequence[JoinedAlert]) -> None:
        """These are dealt with."""
        self._joining.drop(alerts)

    def waiting(self) -> PassingOn:
        """What joined a run that has not begun."""
        return self._joining.waiting()

    def inbox_to_carry(self, largest: int) -> tuple[tuple[JoinedAlert, ...], Carried]:
        """What the run takes along into a new execution."""
        return self._joining.carry(largest)

    def take_unsent(self) -> list[Trace]:
        """What no activity has carried yet."""
        kept, self.unsent = self.unsent, []
        return kept

    def give_up(self) -> None:
        """The run cannot go on: its steps end as they do when somebody cancels it."""
        self._given_up = True

    @property
    def seen_count(self) -> int:
        """How many joined alerts its steps have taken into account."""
        return self._joining.seen

    def joined(self) -> Joined:
        """What joined so far."""
        return self._joining.snapshot()

    def seen(self, count: int) -> None:
        """A step took the first `count` of them into account."""
        self._joining.see(count)

    def shadowed(self, why: str) -> None:
        """The whole run is in shadow, whatever it was asked for: it and all that it calls send nothing."""
        if self.context.mode != "shadow":
            workflow.upsert_search_attributes([MODE.value_set("shadow")])
        self.context = self.context.model_copy(update={"mode": "shadow", "mode_why": why})
        self._render()

    def show(self, state: str) -> None:
        """The run's state in the UI."""
        self._state = state
        self._render()

    def ended(self, state: str, words: str) -> None:
        """The run's last state in the UI; `words` may hold text from outside."""
        workflow.upsert_search_attributes([STATE.value_set(state), AWAITING.value_set([])])
        self._cards.clear()
        self._halted.clear()
        self._above.clear()
        self.show(f"{state}{': ' + code(words) if words else ''}")

    async def take_in(self) -> None:
        """Claim what has arrived, so that the next step sees it."""
        while arrived := self._joining.take():
            mine = await self._claim(arrived, "joined")
            before = self._joining.severity
            self._joining.add(arrived[place] for place in mine)
            if self._joining.severity != before:
                workflow.upsert_search_attributes([SEVERITY.value_set(self._joining.severity)])
            self._render()

    async def count(self, alerts: Sequence[JoinedAlert]) -> None:
        """Record alerts that came when no step was left to see them."""
        await self._claim(alerts, "counted")
        self._joining.drop(alerts)

    async def _claim(self, alerts: Sequence[JoinedAlert], how: Literal["joined", "counted"]) -> list[int]:
        """The places of those that are the run's own now."""
        slim = tuple(map(self._joining.slim, alerts))
        passed_on = tuple(one.alert_key for one in alerts if one.alert_key in self._joining.passed_on)
        taken = TakeIn(
            context=self.context, alerts=slim, how=how, passed_on=passed_on, asking=tuple(sorted(self._asking)),
            place=workflow.info().get_current_history_length(),
        )  # fmt: skip
        return await self.local("take_in", taken, list[int], summary=f"{len(alerts)} alerts {how}")

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """One attempt through the gateway. After a cancellation only what `on_failure` wants is sent."""
        if not self.stopped:
            await self.take_in()
        if self.stopped:
            self.unsent += traces
            return _failed(FailureKind.REFUSED_BY_POLICY, CANCELLED)
        act = Act(context=self.context, call=call, traces=self._with_unsent(traces))
        # beside its sends the gateway waits for what an earlier worker sent to settle, and reads back
        seconds = 6 * call.timeout + 300
        try:
            outcome = await self.local(
                "act", act, ActionOutcome, seconds=seconds, summary=f"{call.step}: {call.action}"
            )
        except ActivityError as error:
            # the gateway broke in a way that nobody foresaw: what it had sent by then is for the ledger to find out
            return _failed(FailureKind.UNKNOWN_OUTCOME, why(error))
        # a run that somebody cancelled waits for nothing more, in what `on_failure` wants neither
        ended = self._joining.inbox.cancelled or self._given_up
        return outcome.model_copy(update={"halted": "", "above": None}) if ended else outcome

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Ask, show the card, wait for the verdict."""
        found = await self._asked(request, traces)
        if isinstance(found, Decision):
            return found
        return Decision(status=StepStatus.FAILED, note=found if isinstance(found, str) else CANCELLED)

    async def question(self, request: AskRequest, traces: tuple[Trace, ...]) -> Answered:
        """Ask, show the card, wait for the answer."""
        found = await self._asked(request, traces)
        if isinstance(found, Answered):
            return found
        return Answered(status=StepStatus.FAILED, note=found if isinstance(found, str) else CANCELLED)

    async def _asked(
        self, request: ApprovalRequest | AskRequest, traces: tuple[Trace, ...]
    ) -> Decision | Answered | str | None:
        """What people say; words where they cannot be asked, none where the run was cancelled."""
        self._asking.add(request.path)
        try:
            return await self._said(request, traces)
        finally:
            self._asking.discard(request.path)

    async def _said(
        self, request: ApprovalRequest | AskRequest, traces: tuple[Trace, ...]
    ) -> Decision | Answered | str | None:
        await self.take_in()
        leave_if_cancelled()  # before anybody is asked
        while not self.stopped:
            ask = Ask(
                context=self.context, request=request, traces=self._with_unsent(traces),
                original_run_id=workflow.info().original_execution_run_id,
                place=workflow.info().get_current_history_length(),
            )  # fmt: skip
            asked, traces = await self.local("ask", ask, Asked, summary=f"{request.step}: ask"), ()
            if asked.error is not None:
                return asked.error.message
            decision = asked.decision or await self._decision(request, asked)
            if decision is not None:
                return decision
        self.unsent += traces
        return None

    async def _decision(self, request: ApprovalRequest | AskRequest, asked: Asked) -> Decision | Answered | None:
        """What people decide; None where they have to be asked again, or the run was cancelled.

        A question that is cut short, because what it stands in had to end, is void.
        """
        self._await(request, asked.card)
        try:
            decision = await self._heard(request.model_copy(update={"deadline": asked.deadline}), asked)
        except asyncio.CancelledError:
            self._await(request, None)
            void = Void(context=self.context, approval=asked.approval, why="what it stands in has ended")
            await self.local("void", void, type(None), summary=f"{request.step}: void")
            raise
        finally:
            self._looked_at.pop(request.path, None)
        self._await(request, None)
        return decision

    async def _heard(self, request: ApprovalRequest | AskRequest, asked: Asked) -> Decision | Answered | None:
        inbox = self._joining.inbox
        heard = after = 0
        while True:
            self._looked_at[request.path] = heard
            late = await self._heard_more(heard, request.deadline)
            if self.stopped:
                return None
            if inbox.arrived:
                await self.take_in()
            # answers that came before the question was shown count here too: a worker may have died in between
            if not late and inbox.answers == heard:
                continue
            heard = inbox.answers
            # where several people have to answer, all of them are looked at together
            found = await self._read(request, asked, after if request.count == 1 else 0, late=late)
            after = found.last
            if found.decision is not None or found.ask_again:
                return found.decision

    async def _heard_more(self, heard: int, deadline: datetime | None) -> bool:
        """Wait for a Signal; True when the deadline has passed."""
        left = None if deadline is None else (deadline - workflow.now()).total_seconds()
        inbox = self._joining.inbox
        if left is not None and left <= 0:
            return True
        try:
            await workflow.wait_condition(
                lambda: inbox.answers > heard or bool(inbox.arrived) or self.stopped, timeout=left
            )
        except TimeoutError:
            return True
        return False

    async def _read(
        self, request: ApprovalRequest | AskRequest, asked: Asked, after: int, *, late: bool
    ) -> AnswersRead:
        """Who answered, and whether in time, as history says."""
        read = ReadAnswers(
            context=self.context, request=request, approval=asked.approval, digest=asked.digest, after=after,
            expired=late, original_run_id=workflow.info().original_execution_run_id,
        )  # fmt: skip
        return await self.local("read_answers", read, AnswersRead, summary=f"{request.step}: read the answers")

    async def undo(self, call: UndoCall, traces: tuple[Trace, ...]) -> UndoOutcome:
        """Through the gateway, like everything that is sent; after a cancellation when the steps have ended."""
        if self.stopped:
            self.unsent += traces
            return UndoOutcome(error=StepError(kind=FailureKind.REFUSED_BY_POLICY, message=CANCELLED))
        undo = Undo(context=self.context, call=call, traces=traces)
        try:
            return await self.local("undo", undo, UndoOutcome, seconds=600, summary=f"{call.step}: undo")
        except ActivityError as error:
            return UndoOutcome(error=StepError(kind=FailureKind.UNKNOWN_OUTCOME, message=why(error)))

    async def call(self, call: SubCall, traces: tuple[Trace, ...]) -> SubOutcome:
        """Run a sub-playbook as a child workflow."""
        assert self._sub is not None  # noqa: S101 - only a run that has begun calls others
        self.unsent += traces
        if self.stopped and not call.begun:
            error = StepError(kind=FailureKind.REFUSED_BY_POLICY, message=CANCELLED)
            return SubOutcome(status=StepStatus.FAILED, error=error)
        self.in_flight += 1
        try:
            waiting = await self._sub(call)
        finally:
            self.in_flight -= 1
        return await waiting()  # not in flight: a run that goes on in a new execution waits for it there

    async def call_off(self, call: SubCall) -> None:
        """Cancel a child of an earlier execution, and wait for its end."""
        ending = asyncio.ensure_future(self.call(call.model_copy(update={"begun": True}), ()))
        await asyncio.sleep(0)  # it waits by now, and hears of it
        ending.cancel()
        await asyncio.wait((ending,))

    def _with_unsent(self, traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
        """What was kept back for want of an activity to carry it, and these."""
        return (*self.take_unsent(), *traces)

    def _await(self, request: ApprovalRequest | AskRequest, card: str | None) -> None:
        """Show that a step waits for people, or no longer."""
        if card is None:
            self._cards.pop(request.path, None)
        else:
            self._cards[request.path] = card
        steps = sorted({path[-1] for path in self._cards})
        workflow.upsert_search_attributes([STATE.value_set(self._waits()), AWAITING.value_set(steps)])
        self._render()

    def halted(self, path: tuple[str, ...], why: str, *, above: bool = False) -> None:
        """Show why a step waits, for a kill switch or above a budget, or that it does not any more."""
        if self._halted.get(path, "") == why:
            return
        before = self._waits()
        if why:
            self._halted[path] = why
        else:
            del self._halted[path]
        self._above = self._above - {path} | ({path} if why and above else set())
        if self._waits() != before:
            workflow.upsert_search_attributes([STATE.value_set(self._waits())])
        self._render()

    def _waits(self) -> str:
        """The state of a run that goes on, as it is found by."""
        if self._cards:
            return "awaiting approval"
        if len(self._halted) > len(self._above):
            return "halted"
        return "over budget" if self._above else "running"

    def _shown(self) -> Iterator[str]:
        """What each step waits for; of many the first, and how many more there are."""
        for word, paths in (("Halted", self._halted.keys() - self._above), ("Over budget", self._above)):
            listed = [path for path in self._halted if path in paths]
            yield from (f"**{word}:** {code(path[-1])} {code(self._halted[path])}" for path in listed[:MOST_SHOWN])
            if len(listed) > MOST_SHOWN:
                yield f"**{word}:** {len(listed) - MOST_SHOWN} more steps"

    def _render(self) -> None:
        joined = f"**Joined:** {self._joining.count} alerts" if self._joining.count else ""
        shadow = f"**Shadow:** recorded and not sent; {code(self.context.mode_why)}" if self.context.mode_why else ""
        parts = [f"**Now:** {self._state}", shadow, *self._shown(), joined, *self._cards.values()]
        workflow.set_current_details("\n\n".join(part for part in parts if part))


def why(error: ActivityError) -> str:
    """What an activity said when it broke."""
    return error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause or error)


def _failed(kind: FailureKind, message: str) -> ActionOutcome:
    return ActionOutcome(status=StepStatus.FAILED, error=StepError(kind=kind, message=message))

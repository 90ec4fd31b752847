"""What a run does outside its own history: one method each, every one safe to repeat."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.actions.gateway import Gateway
from orchestrator.actions.modes import Modes
from orchestrator.actions.undoing import Undoing
from orchestrator.errors import ActionFailed, TocsinError
from orchestrator.language.host import ActionOutcome, Answered, AskRequest, Decision, StepError, SubOutcome, UndoOutcome
from orchestrator.workflow.above import AboveBudgets
from orchestrator.workflow.approval import Judged, People, answered, decision_of, expired, judge, leftover, silence
from orchestrator.workflow.ask_card import ask_card_of
from orchestrator.workflow.budget_start import BudgetStarter
from orchestrator.workflow.card import card_of
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.history import cancelled_by, read_answers
from orchestrator.workflow.messages import (
    AboveAsked,
    Act,
    AnswersRead,
    Ask,
    AskAbove,
    Asked,
    Begin,
    Begun,
    Finish,
    ReadAnswers,
    TakeIn,
    Undo,
    Void,
)
from orchestrator.workflow.questions import Questions, Recorded, approval_id, digest_shown, question_digest
from orchestrator.workflow.sub_runs import failure_of, forgotten, outcome_of
from orchestrator.workflow.turns import Turns

log = structlog.get_logger()
GRACE = 5.0
"""seconds that what is under way may still take when the worker is asked to end"""
RESUME_AFTER = timedelta(seconds=6)
HEARTBEAT = 15.0
BEATS = 20
"""times that one attempt looks whether a sub-playbook has ended"""
AT_ONCE = timedelta(seconds=1)
SiteSnapshot = Callable[[Collection[str]], Awaitable[dict[str, Any]]]
"""gives the site's lists and calendars of these names"""
F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])


def _edge(method: F) -> F:
    """The edge of the process: what waiting may mend is tried again by Temporal, anything else is logged and final."""

    @functools.wraps(method)
    async def guarded(*arguments: Any) -> Any:
        try:
            return await _until_shutdown(method(*arguments))
        except ApplicationError:
            raise
        except TocsinError as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=not error.retry) from error
        except Exception as error:
            log.exception("activity.broke", activity=method.__name__)
            message = f"{type(error).__name__} in {method.__name__}; the worker's log has the traceback"
            raise ApplicationError(message, type="Broken", non_retryable=True) from error

    return guarded  # type: ignore[return-value]


async def _until_shutdown(work: Coroutine[Any, Any, Any]) -> Any:
    """The work's result; given up a while after the worker was asked to end.

    The SDK waits for local activities as long as they take, and a target that hangs would keep the process from ending.
    What is given up is like a crash: the ledger has the intent, and the next worker finds out what became of it.
    """
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait((working,), timeout=GRACE)
    finally:
        ending.cancel()
        if not working.done():
            working.cancel()
    if not done:
        # a delay above the host's threshold makes it a timer at the server, and the task can end with the worker
        raise ApplicationError("the worker ends; another one goes on", type="WorkerEnds", next_retry_delay=RESUME_AFTER)
    return working.result()


class Activities:
    """The activities with their collaborators."""

    def __init__(
        self,
        *,
        client: Client,
        gateway: Gateway,
        undoing: Undoing,
        claims: Claims,
        questions: Questions,
        people: People,
        turns: Turns,
        site: SiteSnapshot | None = None,
        modes: Modes | None = None,
        above: AboveBudgets,
    ) -> None:
        self._above = above
        self._budgets = BudgetStarter(client)
        self._modes = modes or Modes()
        self._site = site or _nothing
        self._client = client
        self._gateway = gateway
        self._undoing = undoing
        self._claims = claims
        self._questions = questions
        self._people = people
        self._turns = turns

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, to be registered with a worker."""
        return [
            *(self.begin, self.take_in, self.act, self.undo, self.ask, self.void, self.read_answers, self.finish),
            *(self.ask_above, self.attend),
        ]

    @activity.defn
    @_edge
    async def begin(self, begin: Begin) -> Begun:
        """Take the alert for this run, or say who has it."""
        ruled = await self._modes.of_run(begin.context.playbook, begin.context.mode)
        begun = await self._claims.begin(begin, _run_id(), ruled)
        if begun.verdict == "queued":
            await self._turns.give(begin.context.playbook)  # to whoever goes first, if there is a place
        if begun.verdict != "mine" or not begin.wants:
            return begun
        # what the site keeps is read once, and stays with the run
        site = await self._site(begin.wants)
        return begun.model_copy(update={"site": site})

    @activity.defn
    @_edge
    async def take_in(self, taken: TakeIn) -> list[int]:
        """Claim alerts that joined; the places of those that are the run's own now."""
        return await self._claims.take_in(taken, _run_id())

    @activity.defn
    @_edge
    async def act(self, act: Act) -> ActionOutcome:
        """One attempt of one action, through the gateway."""
        outcome = await self._gateway.act(act.context, act.call, act.traces)
        if outcome.above is not None:
            await self._budgets.start(outcome.above.card, activity.info().task_queue)
        return outcome

    @activity.defn
    @_edge
    async def ask_above(self, ask: AskAbove) -> AboveAsked:
        """Record a question about what waits above a budget, with its card."""
        return await self._above.ask(ask, _after_reset(ask.original_run_id))

    @activity.defn
    @_edge
    async def undo(self, undo: Undo) -> UndoOutcome:
        """Take back what the run did, in reverse, through the gateway."""
        return await self._undoing.undo(undo.context, undo.call, undo.traces)

    @activity.defn
    @_edge
    async def void(self, void: Void) -> None:
        """A question that nobody has to answer any more."""
        await self._questions.void(void.context, void.approval, void.why)

    @activity.defn
    async def attend(self, run: str) -> SubOutcome:
        """Wait for the end of a sub-playbook that another execution of the calling run started.

        What Temporal remembers no more is an unknown outcome: asking again would never end. An attempt does not last,
        so that those who wait for days take turns where they are more than a worker has room for.
        """
        waiting = asyncio.ensure_future(self._client.get_workflow_handle(run).result())
        try:
            return await _ended(waiting, run)
        except WorkflowFailureError as error:
            return failure_of(error.cause)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return forgotten(run)
        finally:
            waiting.cancel()

    @activity.defn
    @_edge
    async def ask(self, ask: Ask) -> Asked:
        """Record a question with its card."""
        if isinstance(ask.request, AskRequest):
            return await self._question(ask, ask.request)
        try:
            requests = await self._gateway.preview(ask.context, ask.request.calls)
        except ActionFailed as failure:
            error = StepError(kind=failure.kind, message=failure.message)
            return Asked(approval="", digest="", card="", error=error)
        digest = digest_shown(ask.context, ask.request.path, requests, _after_reset(ask.original_run_id))
        shadowed = await self._gateway.shadowed(ask.context, requests)
        card = card_of(ask.context, ask.request, requests, digest, shadowed)
        return _asked(digest, await self._questions.ask(ask, digest, requests, card, _run_id(), shadowed))

    async def _question(self, ask: Ask, request: AskRequest) -> Asked:
        digest = question_digest(ask.context, request, _after_reset(ask.original_run_id))
        card = ask_card_of(ask.context, request, digest)
        return _asked(digest, await self._questions.ask(ask, digest, (), card, _run_id()))

    @activity.defn
    @_edge
    async def read_answers(self, read: ReadAnswers) -> AnswersRead:
        """Judge the answers that arrived since the last time, by the server's record of them."""
        if not await self._still_shown(read):
            return AnswersRead(last=0, ask_again=True)
        signals, last = await read_answers(self._client, read.context.workflow_id, _run_id(), read.after)
        questions = await self._questions.of_run(read.context)
        if not next(one.open for one in questions if one.approval == read.approval):
            # decided in a task that is carried out again: what has come since then is too late
            await self._questions.answered(read.context, _run_id(), read.approval, leftover(signals, questions))
            return AnswersRead(last=last, decision=await self._questions.decision(read.approval))
        requester = read.context.requester
        earlier = await self._questions.counted(read.approval, _run_id()) if read.request.count > 1 else []
        judged, deciding = judge(signals, read.request, read.digest, self._people, questions, requester, earlier)
        await self._questions.answered(read.context, _run_id(), read.approval, judged)
        decision = _decision(read, deciding)
        if decision is not None:
            decision = await self._questions.decide(read.context, read.approval, read.request.step, decision)
        return AnswersRead(last=last, decision=decision)

    async def _still_shown(self, read: ReadAnswers) -> bool:
        """Whether the question is this execution's own: a reset may have brought it along from another one."""
        after_reset = _after_reset(read.original_run_id)
        if not after_reset:
            return True
        if isinstance(read.request, AskRequest):
            return question_digest(read.context, read.request, after_reset) == read.digest
        try:
            requests = await self._gateway.preview(read.context, read.request.calls)
        except ActionFailed:
            return False  # asked again, it is told why
        return digest_shown(read.context, read.request.path, requests, after_reset) == read.digest

    @activity.defn
    @_edge
    async def finish(self, finish: Finish) -> None:
        """Record the end of the run, and refuse the answers that nobody looked at."""
        if finish.answers:
            signals, _ = await read_answers(self._client, finish.context.workflow_id, _run_id(), 0)
            ended = [
                replace(one, state="void") if one.open else one for one in await self._questions.of_run(finish.context)
            ]
            await self._questions.answered(finish.context, _run_id(), None, leftover(signals, ended))
        wanted = None
        if finish.ending.state == "cancelled":
            wanted = await cancelled_by(self._client, finish.context.workflow_id, _run_id())
        if await self._claims.finish(finish, _run_id(), wanted):
            await self._turns.give(finish.context.playbook)


async def _ended(waiting: asyncio.Future[Any], run: str) -> SubOutcome:
    """The outcome, where the run ends while this attempt lasts."""
    for _ in range(BEATS):
        activity.heartbeat()
        await asyncio.wait((waiting,), timeout=HEARTBEAT)
        if waiting.done():
            return outcome_of(waiting.result())
    raise ApplicationError(f"{run} has not ended yet", type="NotEnded", next_retry_delay=AT_ONCE)


async def _nothing(names: Collection[str]) -> dict[str, Any]:
    return {}


def _asked(digest: str, found: Recorded) -> Asked:
    return Asked(
        approval=approval_id(digest), digest=digest, card=found.card, deadline=found.deadline, decision=found.decision
    )


def _decision(read: ReadAnswers, deciding: Judged | None) -> Decision | Answered | None:
    """What the answers come to, or silence does when its time is over."""
    if isinstance(read.request, AskRequest):
        return answered(deciding) if deciding else silence(read.request) if read.expired else None
    if deciding is not None:
        return decision_of(deciding, read.approval)
    return expired(read.request, read.approval) if read.expired else None


def _run_id() -> str:
    """The execution that this activity works for."""
    run_id = activity.info().workflow_run_id
    assert run_id is not None  # noqa: S101 - all of these are a run's
    return run_id


def _after_reset(original_run_id: str) -> str:
    """What tells a reset execution from the one before it; nothing where there was no reset."""
    return "" if original_run_id in ("", _run_id()) else _run_id()

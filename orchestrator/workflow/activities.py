"""What a run does outside its own history: one method each, every one safe to repeat."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from orchestrator.actions.gateway import Gateway
from orchestrator.errors import ActionFailed, TocsinError
from orchestrator.language.host import ActionOutcome, StepError
from orchestrator.workflow.approval import People, decision_of, expired, judge, leftover
from orchestrator.workflow.card import card_of
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.history import read_answers
from orchestrator.workflow.messages import (
    Act,
    AnswersRead,
    Ask,
    Asked,
    Begin,
    Begun,
    Finish,
    ReadAnswers,
    TakeIn,
)
from orchestrator.workflow.questions import Questions, approval_id, digest_shown

log = structlog.get_logger()
GRACE = 5.0
"""seconds that what is under way may still take when the worker is asked to end"""
RESUME_AFTER = timedelta(seconds=6)
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
        self, *, client: Client, gateway: Gateway, claims: Claims, questions: Questions, people: People
    ) -> None:
        self._client = client
        self._gateway = gateway
        self._claims = claims
        self._questions = questions
        self._people = people

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity, to be registered with a worker."""
        return [self.begin, self.take_in, self.act, self.ask, self.read_answers, self.finish]

    @activity.defn
    @_edge
    async def begin(self, begin: Begin) -> Begun:
        """Take the alert for this run, or say who has it."""
        return await self._claims.begin(begin, _run_id())

    @activity.defn
    @_edge
    async def take_in(self, taken: TakeIn) -> list[int]:
        """Claim alerts that joined; the places of those that are the run's own now."""
        return await self._claims.take_in(taken)

    @activity.defn
    @_edge
    async def act(self, act: Act) -> ActionOutcome:
        """One attempt of one action, through the gateway."""
        return await self._gateway.act(act.context, act.call, act.traces)

    @activity.defn
    @_edge
    async def ask(self, ask: Ask) -> Asked:
        """Record a question with its card."""
        try:
            requests = await self._gateway.preview(ask.context, ask.request.calls)
        except ActionFailed as failure:
            error = StepError(kind=failure.kind, message=failure.message)
            return Asked(approval="", digest="", card="", error=error)
        digest = digest_shown(ask.context, ask.request.path, requests, _after_reset(ask.original_run_id))
        card = card_of(ask.context, ask.request, requests, digest)
        found = await self._questions.ask(ask, digest, requests, card)
        return Asked(
            approval=approval_id(digest),
            digest=digest,
            card=found.card,
            deadline=found.deadline,
            decision=found.decision,
        )

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
        judged, deciding = judge(signals, read.request, read.digest, self._people, questions)
        await self._questions.answered(read.context, _run_id(), read.approval, judged)
        decision = decision_of(deciding, read.approval) if deciding else None
        if decision is None and read.expired:
            decision = expired(read.request, read.approval)
        if decision is not None:
            decision = await self._questions.decide(read.context, read.request.step, decision)
        return AnswersRead(last=last, decision=decision)

    async def _still_shown(self, read: ReadAnswers) -> bool:
        """Whether the question is this execution's own: a reset may have brought it along from another one."""
        after_reset = _after_reset(read.original_run_id)
        if not after_reset:
            return True
        requests = await self._gateway.preview(read.context, read.request.calls)
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
        await self._claims.finish(finish, _run_id())


def _run_id() -> str:
    """The execution that this activity works for."""
    run_id = activity.info().workflow_run_id
    assert run_id is not None  # noqa: S101 - all of these are a run's
    return run_id


def _after_reset(original_run_id: str) -> str:
    """What tells a reset execution from the one before it; nothing where there was no reset."""
    return "" if original_run_id in ("", _run_id()) else _run_id()

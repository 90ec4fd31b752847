"""What a run does outside its own history: one method each, every one safe to repeat."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from orchestrator.actions.canonical import digest_of
from orchestrator.actions.gateway import Gateway
from orchestrator.errors import ActionFailed, TocsinError
from orchestrator.language.host import ActionOutcome, StepError
from orchestrator.workflow.approval import People, decision_of, expired, judge
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
from orchestrator.workflow.questions import Questions, approval_id

log = structlog.get_logger()
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def _edge(method: F) -> F:
    """The edge of the process: what waiting may mend is tried again by Temporal, anything else is logged and final."""

    @functools.wraps(method)
    async def guarded(*arguments: Any) -> Any:
        try:
            return await method(*arguments)
        except TocsinError as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=not error.retry) from error
        except Exception as error:
            log.exception("activity.broke", activity=method.__name__)
            message = f"{type(error).__name__} in {method.__name__}; the worker's log has the traceback"
            raise ApplicationError(message, type="Broken", non_retryable=True) from error

    return guarded  # type: ignore[return-value]


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
        return await self._claims.begin(begin)

    @activity.defn
    @_edge
    async def take_in(self, taken: TakeIn) -> list[str]:
        """Claim alerts that joined."""
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
        digest = digest_of(requests)
        card = card_of(ask.context, ask.request, requests, digest)
        approval = approval_id(ask.context, ask.request.path, digest)
        decision = await self._questions.ask(ask, approval, digest, requests, card)
        return Asked(approval=approval, digest=digest, card=card, decision=decision)

    @activity.defn
    @_edge
    async def read_answers(self, read: ReadAnswers) -> AnswersRead:
        """Judge the answers that arrived since the last time, by the server's record of them."""
        info = activity.info()
        assert info.workflow_run_id is not None  # noqa: S101 - this activity is a run's
        signals, last = await read_answers(self._client, read.context.workflow_id, info.workflow_run_id, read.after)
        judged, deciding = judge(signals, read.request, read.digest, self._people)
        await self._questions.answered(read.context, info.workflow_run_id, read.approval, judged)
        decision = decision_of(deciding, read.approval) if deciding else None
        if decision is None and read.expired:
            decision = expired(read.request, read.approval)
        if decision is not None:
            decision = await self._questions.decide(read.context, read.request.step, decision)
        return AnswersRead(last=last, decision=decision)

    @activity.defn
    @_edge
    async def finish(self, finish: Finish) -> None:
        """Record the end of the run."""
        await self._claims.finish(finish)

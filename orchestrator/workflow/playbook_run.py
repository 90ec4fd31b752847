"""The workflow: one dynamic definition, whose type name in Temporal is the playbook's name.

Nothing here may depend on anything but its history. It never compares run ids: after a reset they differ, and a replay
would take another way than the run did.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.alerts.requests import content_digest
from orchestrator.errors import FailureKind, TocsinError
from orchestrator.language.host import RunContext, StepError, StepStatus
from orchestrator.language.interpreter import Progress, Run, RunResult, carry_out
from orchestrator.language.interpreter import begin as begin_run
from orchestrator.language.packing import packer_for
from orchestrator.language.program import Playbook, load_compiled
from orchestrator.language.reference import names_in, restore
from orchestrator.language.typed import validate_all
from orchestrator.workflow.inbox import LARGEST as LARGEST_ALERTS
from orchestrator.workflow.inbox import Inbox, Joining
from orchestrator.workflow.messages import Begin, Begun, Ending, Finish, JoinedAlert, RunStart
from orchestrator.workflow.search_attributes import of_run
from orchestrator.workflow.squeezed import squeeze, unsqueeze
from orchestrator.workflow.sub_runs import run_sub
from orchestrator.workflow.temporal_host import TemporalHost, why

CAPABILITIES = scan().capabilities
"""The models that validate parameters and results: a part of the code, as the workflow is."""
PACKER = packer_for(CAPABILITIES)
MOST_SIGNALS = 2_000
"""Signals after which a run goes on in a new execution; Temporal takes 10,000 in the life of one"""
MOST_ACTIVITIES = 1_500
"""activities after which it does so too, long before its history is a burden to replay"""
LARGEST_START = 1_900_000
"""bytes of the argument of a new execution; Temporal refuses payloads above 2 MB"""
LONGEST_QUEUE_PAUSE = 60.0
SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(dynamic=True)
class PlaybookRun:
    """One run of one playbook."""

    def __init__(self) -> None:
        self._inbox = Inbox()

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> dict[str, Any]:
        """Carry the run out to a recorded end; a cancellation is something that it hears of, like a Signal.

        The workflow's own task is what Temporal cancels, at any await: the work is another one, so that a claim is
        never left without its run, nor a run without its end.
        """
        start = _read(args)
        work = asyncio.ensure_future(self._begin(start))
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError:
                self._inbox.cancelled = True
        return work.result()

    async def _begin(self, start: RunStart) -> dict[str, Any]:
        """Claim the alert and run the playbook; where somebody else has the alert, try the next one that joined."""
        pause = 1.0
        host = TemporalHost(_context(start), Joining(start, self._inbox))
        while True:
            told = self._inbox.turns
            begin = _begin(start, host.context, cancelled=self._inbox.cancelled)
            begun = await host.local("begin", begin, Begun, summary="claim the alert")
            if begun.verdict == "mine":
                if begun.mode == "shadow":
                    host.shadowed(begun.mode_why)
                return await self._carry_out(start, host, begun)
            if begun.verdict == "queued":
                host.show(f"waiting for its turn: {begun.why}")
                await self._turn(start, host, pause, told)
                pause = min(pause * 2, LONGEST_QUEUE_PAUSE)
                continue
            plan = host.plan(join=0)
            if plan.counted:
                await host.count(plan.counted)
            if plan.first is None:
                return _not_ours(begun, host)
            host.drop([plan.first, *plan.inbox])
            start = _next(start, plan.first, plan.inbox)
            host = TemporalHost(_context(start), Joining(start, self._inbox))

    async def _turn(self, start: RunStart, host: TemporalHost, pause: float, told: int) -> None:
        """Wait before the next look whether the run may begin, or until told to look; what joins waits with it."""
        if self._long(host) and not self._inbox.cancelled:
            while (waiting := host.waiting()).counted:
                await host.count(waiting.counted)
            _continue(start.model_copy(update={"inbox": waiting.inbox}))
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._inbox.cancelled or self._inbox.turns > told, timeout=pause)

    async def _carry_out(self, start: RunStart, host: TemporalHost, begun: Begun) -> dict[str, Any]:
        """Run the playbook, record the end; what came too late is counted, or goes on as a run of its own."""
        if start.inbox or begun.ending:  # they came before the first step, so it sees them
            await host.take_in()
        if begun.ending:
            ending = begun.ending
            host.seen(ending.seen)
        else:
            ending = await self._to_its_end(start, host, start.site if start.site is not None else begun.site)
        host.ended(ending.state, f"{ending.failed_step}: {ending.error.message}" if ending.error else ending.message)
        # Nothing may be awaited between the last look and the end: a Signal that comes later makes the server give
        # this task again, with the Signal in it.
        while (plan := host.plan(start.join)).counted:
            await host.count(plan.counted)
        if plan.first is not None:
            _continue(_next(start, plan.first, plan.inbox))
        return _returned(ending)

    async def _to_its_end(self, start: RunStart, host: TemporalHost, site: dict[str, Any]) -> Ending:
        """Interpret the playbook and record how it ended."""
        result = await self._interpret(start, host, site)
        ending = Ending(
            # a cancellation that came too late to hold anything back changes nothing
            state="succeeded" if result.status is StepStatus.SUCCEEDED
            else "cancelled" if self._inbox.cancelled else "failed",
            failed_step=result.failed_step,
            error=result.error,
            message=result.message[:2_000],
            outputs=result.outputs,
            steps={name: str(status) for name, status in result.steps.items()},
            seen=host.seen_count,
        )  # fmt: skip
        traces, answers = (*host.unsent, *result.traces), self._inbox.answers > 0
        finish = Finish(context=host.context, ending=ending, traces=traces, answers=answers)
        await host.local("finish", finish, type(None), summary="record the end")
        return ending

    async def _interpret(self, start: RunStart, host: TemporalHost, site: dict[str, Any]) -> RunResult:
        """What came of the playbook. Whatever is not foreseen ends it too: with a record, and visibly."""
        try:
            playbook = load_compiled(start.playbook, start.document, start.digest, start.bundle)
            run = _ready(start, playbook, host, site)
        except (TocsinError, ValidationError, ValueError, KeyError, TypeError) as error:
            return _broken(f"what the run was started with cannot be read: {error}")
        calling = start.model_copy(update={"mode": host.context.mode})  # a shadow run calls shadow ones
        host.calls(lambda call: run_sub(calling, playbook, call))
        running = asyncio.ensure_future(carry_out(run))
        await self._settled(running, run, start.model_copy(update={"site": site}), host)
        try:
            return await running
        except ActivityError as error:
            return _broken(why(error))

    async def _settled(self, running: asyncio.Future[RunResult], run: Run, start: RunStart, host: TemporalHost) -> None:
        """Wait for the interpreter. A run whose history has become long begins nothing more, and goes on in a new

        execution with what it has behind it as soon as nothing is under way.
        """

        def over() -> bool:
            # what follows the end of the steps is done here: a new execution would know of no cancellation or failure
            return running.done() or self._inbox.cancelled or run.failure is not None or run.given_up is not None

        while True:
            await workflow.wait_condition(lambda: over() or self._long(host))
            host.pausing = True
            await workflow.wait_condition(lambda: over() or (host.in_flight == 0 and not host.unread))
            if over():
                host.pausing = False
                return
            await host.take_in()
            if over() or host.in_flight or host.unread or self._inbox.arrived:
                continue
            following = _following(start, run, host)
            if following is not None:
                _continue(following)
            message = "the run has too much behind it to go on in a new execution: collect less"
            run.given_up = StepError(kind=FailureKind.INVALID, message=message)
            host.give_up()

    def _long(self, host: TemporalHost) -> bool:
        many = self._inbox.signals >= MOST_SIGNALS or host.acted >= MOST_ACTIVITIES
        return many or workflow.info().is_continue_as_new_suggested()

    @workflow.signal(description='Approve what the card shows. Input: {"step": "...", "digest": "sha256:..."}')
    def approve(self, *answer: Any) -> None:
        """Somebody approves. Only wakes the run, which reads its history."""
        self._inbox.answer()

    @workflow.signal(description='Deny what the card shows. Input: {"step": "...", "digest": "sha256:..."}')
    def deny(self, *answer: Any) -> None:
        """Somebody denies. Only wakes the run, which reads its history."""
        self._inbox.answer()

    @workflow.signal(description='Answer a question. Input: {"step": "...", "digest": "sha256:...", "fields": {}}')
    def answer(self, *answer: Any) -> None:
        """Somebody answers. Only wakes the run, which reads its history."""
        self._inbox.answer()

    @workflow.signal(dynamic=True)
    def heard(self, name: str, args: Sequence[RawValue]) -> None:
        """Alerts that join are kept, and `turn` makes a run that waits look; anything else is left aside."""
        if name == "turn":
            self._inbox.turn()
        else:
            self._inbox.join(_joining(args) if name == "join" else [])


def _following(start: RunStart, run: Run, host: TemporalHost) -> RunStart | None:
    """The same run with all that it has behind it, as much of the alerts with their content as Temporal takes."""
    run.progress.traces[:0] = host.take_unsent()
    progress = squeeze(run.progress.pack(PACKER, host.now()))
    for largest in (LARGEST_ALERTS, LARGEST_ALERTS // 5, 0):
        inbox, carried = host.inbox_to_carry(largest)
        carried = carried.model_copy(update={"progress": progress})
        following = start.model_copy(update={"inbox": inbox, "carried": carried})
        if len(following.model_dump_json()) <= LARGEST_START:
            return following
    return None


def _read(args: Sequence[RawValue]) -> RunStart:
    """What the run was started with; somebody pressed Start by hand where that is nothing of ours."""
    start = _payload(args, RunStart)
    info = workflow.info()
    if isinstance(start, RunStart) and start.playbook == info.workflow_type:
        if info.continued_run_id is not None:
            return start
        if not _pretends(start):
            return _scheduled(start) if start.how == "schedule" else start
    message = "this is no start of Tocsin's for a playbook of this name; use `tocsin run`"
    raise ApplicationError(message, type="InvalidStart", non_retryable=True)


def _pretends(start: RunStart) -> bool:
    """Whether somebody who pressed Start says what only the server, or a run of ours, can say."""
    called = (start.event, start.caller, start.case, start.site, start.within, start.depth) != (*[None] * 4, (), 0)
    return start.carried is not None or bool(start.inbox) or (called and start.how in ("alert", "manual"))


def _scheduled(start: RunStart) -> RunStart:
    """The start by the clock that the server says it is: each has a run and a key of its own.

    Only the playbook counts: whoever may press Start may also say that a clock did, with inputs of his own.
    """
    at = workflow.info().typed_search_attributes.get(SCHEDULED_AT)
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else "never"
    return RunStart(
        run=f"{start.playbook}/c/{moment}",
        playbook=start.playbook,
        digest=start.digest,
        document=start.document,
        bundle=start.bundle,
        mode="shadow" if start.document.get("mode") == "shadow" else "live",
        how="schedule",
        alert_key=f"schedule/{start.playbook}.{moment}",
        severity="informational",
        reason=start.reason,
    )


def _ready(start: RunStart, playbook: Playbook, host: TemporalHost, site: Mapping[str, Any]) -> Run:
    """The run, from where it stands; raises what is wrong with what it was started with."""
    carried = start.carried.progress if start.carried else None
    return begin_run(
        playbook,
        host,
        CAPABILITIES,
        alert=Alert.model_validate(start.alert) if start.alert else None,
        inputs=validate_all(playbook.model.inputs, PACKER.unpack(start.inputs)),
        site=restore({"lists": {}, "calendars": {}, **site}),
        progress=Progress.unpack(unsqueeze(carried), PACKER) if carried else None,
    )


def _payload(args: Sequence[RawValue], kind: Any) -> Any:
    """What somebody sent, as this type; None where it is something else."""
    try:
        return workflow.payload_converter().from_payload(args[0].payload, kind)
    except Exception:  # noqa: BLE001 - whatever a stranger sent must not stop the run's worker
        return None


def _context(start: RunStart) -> RunContext:
    info = workflow.info()
    return RunContext(
        run=start.run,
        playbook=start.playbook,
        digest=start.digest,
        event=start.event or start.alert_key,
        workflow_id=info.workflow_id,
        first_run_id=info.first_execution_run_id,
        mode=start.mode,
        requester=start.requester,
        case=start.case,
        within=start.within,
        depth=start.depth,
    )


def _begin(start: RunStart, context: RunContext, *, cancelled: bool) -> Begin:
    parent = workflow.info().parent
    return Begin(
        context=context,
        how=start.how,
        parent=parent.workflow_id if parent else None,
        caller=start.caller,
        called_at=start.called_at,
        scheduled_at=workflow.info().typed_search_attributes.get(SCHEDULED_AT),
        continued=workflow.info().continued_run_id is not None,
        cancelled=cancelled,
        wants=() if start.site is not None else _wants(start),
        alert_key=start.alert_key,
        content=content_digest(start.run, start.alert_key, start.severity, start.alert, start.inputs),
        severity=start.severity,
        group_key=start.group_key,
        join=start.join,
        reason=start.reason,
    )


def _wants(start: RunStart) -> tuple[str, ...]:
    """The lists and calendars of the site that the playbook names; a document that cannot be read names none."""
    try:
        playbook = load_compiled(start.playbook, start.document, start.digest, start.bundle)
    except (TocsinError, ValidationError, KeyError, TypeError):
        return ()
    return tuple(sorted(names_in(playbook.paths())))


def _joining(args: Sequence[RawValue]) -> list[JoinedAlert]:
    """The alerts of a Signal; one that nobody of ours sent may hold anything, and is nothing then."""
    alerts = _payload(args, list[JoinedAlert])
    if isinstance(alerts, list):
        return [one if one.alert else one.model_copy(update={"left_out": None}) for one in alerts]
    workflow.logger.warning("a Signal `join` that holds no alerts was left aside")
    return []


def _next(start: RunStart, first: JoinedAlert, inbox: tuple[JoinedAlert, ...]) -> RunStart:
    """The next run of the chain: an alert that nobody saw, with the others waiting for it."""
    following = first.model_dump(include={"run", "alert", "alert_key", "severity", "reason"})
    return start.model_copy(update={**following, "inbox": inbox, "carried": None, "site": None})


def _continue(start: RunStart) -> NoReturn:
    """End this execution and go on in a new one."""
    severity = start.carried.severity if start.carried else start.severity
    workflow.continue_as_new(start, search_attributes=of_run(start.playbook, severity, start.mode))


def _broken(message: str) -> RunResult:
    return RunResult(status=StepStatus.FAILED, error=StepError(kind=FailureKind.INVALID, message=message[:2_000]))


def _not_ours(begun: Begun, host: TemporalHost) -> dict[str, Any]:
    """The end of a run that has nothing to do; one that was refused fails, so that Temporal shows it."""
    host.ended(begun.verdict, begun.why or f"see {begun.by}")
    if begun.verdict == "refused":
        raise ApplicationError(begun.why, type="Refused", non_retryable=True)
    return {"state": begun.verdict, "by": begun.by}


def _returned(ending: Ending) -> dict[str, Any]:
    """The run's result; a failure fails the workflow, so that Temporal shows it as one."""
    if ending.state == "cancelled":
        raise asyncio.CancelledError("cancelled")
    if ending.error is not None:
        message = f"{ending.failed_step}: {ending.error.message}" if ending.failed_step else ending.error.message
        error = ending.error.model_dump(mode="json")
        raise ApplicationError(message, error, type="PlaybookFailed", non_retryable=True)
    said = {"message": ending.message} if ending.message else {}
    outputs = {"outputs": ending.outputs} if ending.outputs else {}
    return {"state": "succeeded", "steps": ending.steps, **said, **outputs}

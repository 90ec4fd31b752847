"""The gateway: the one path of every action, whatever the playbook and whatever the product.

route -> validate -> mode -> rails -> ledger: kill switch and intent -> send -> reconcile -> ledger: outcome -> result.
"""

from __future__ import annotations

import asyncio
import difflib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import orjson
from pydantic import ValidationError

from orchestrator.actions.canonical import CanonicalRequest, ledger_key, parameters_digest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.kill_switch import Halted
from orchestrator.actions.ledger import UNDO, Ending, Entry, Ledger, Outcome, Verdict
from orchestrator.actions.rails import Rail
from orchestrator.actions.sending import Sender, Shipment
from orchestrator.actions.site import Configured, Site
from orchestrator.audit.events import Event
from orchestrator.contract import Effect, Parameters
from orchestrator.errors import ActionFailed, FailureKind, InvalidCall, RefusedByPolicy
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    RunContext,
    StepError,
    StepStatus,
    Trace,
)

GLANCE = 5.0
"""seconds that a target has to show how it is, before anything is sent"""
AGAIN = 0.5
PATIENCE = 90.0
"""seconds to wait for an effect to be taken back, longer than that may take"""
DECIDED = uuid.UUID("7a3d2c9e-4b1f-5e60-9c37-2f6d8a41b0c5")


class Validated(NamedTuple):
    """What a call asks for, found and of the right types."""

    capability: AnyCapability
    parameters: Parameters


class Gateway:
    """Carries out actions. Raises only `Unavailable` (the ledger is away: nothing was sent, try again later)."""

    def __init__(
        self,
        *,
        capabilities: Mapping[str, AnyCapability],
        site: Site,
        ledger: Ledger,
        sender: Sender,
        rails: Sequence[Rail],
        mode: Literal["live", "shadow"] = "live",
    ) -> None:
        self._capabilities = capabilities
        self._site = site
        self._ledger = ledger
        self._sender = sender
        self._rails = rails
        self._mode = mode

    async def act(self, context: RunContext, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Carry out one attempt of an action at every integration that its route names."""
        events = [told(context, trace) for trace in traces]
        try:
            asked = self._validated(call)
            routes = self._routes(asked.capability, call)
        except ActionFailed as failure:
            return await self._refused(context, call, events, failure)
        if not routes:
            await self._ledger.note([*events, skipped(context, call)])
            return ActionOutcome(status=StepStatus.SKIPPED, seen=call.seen)
        first, *rest = [
            self._at(context, call, asked, configured, events if place == 0 else [])
            for place, configured in enumerate(routes)
        ]
        outcomes = [await first]  # the traces of the run come before everything that follows from them
        outcomes += await asyncio.gather(*rest)
        if call.all_routes and not asked.capability.effect.mutates:
            return all_answers(outcomes)
        outcome = min(outcomes, key=lambda one: (not one.halted, one.status is not StepStatus.FAILED))
        return outcome.model_copy(update={"seen": min(one.seen for one in outcomes)})

    async def preview(self, context: RunContext, calls: Sequence[ActionCall]) -> tuple[CanonicalRequest, ...]:
        """What these calls will send, to whom, for a card; raises the failure that sending would meet."""
        requests: list[CanonicalRequest] = []
        for call in calls:
            capability, parameters = self._validated(call)
            routes = self._routes(capability, call)
            rendered = [canonical(call, capability, parameters, one.name) for one in routes]
            for request in rendered:  # nobody is asked for what would be refused whatever they say
                await self._permit(context, call, request, capability.effect)
            requests += rendered
        return tuple(requests)

    async def act_at(self, context: RunContext, call: ActionCall, to: Configured) -> ActionOutcome:
        """Carry out an action of ours at one integration, whatever the route says today; raises `InvalidCall`."""
        return await self._at(context, call, self._validated(call), to, [])

    async def _at(
        self,
        context: RunContext,
        call: ActionCall,
        asked: Validated,
        configured: Configured,
        events: Sequence[Event],
    ) -> ActionOutcome:
        """The action at one integration."""
        capability, parameters = asked
        request = canonical(call, capability, parameters, configured.name)
        shipment = Shipment(
            key=ledger_key(context, call, configured.name),
            run=context.run,
            request=request,
            parameters=parameters,
            effect=capability.effect,
            to=configured,
            timeout=call.timeout,
        )
        try:
            await self._check(context, call, request, capability.effect)
        except RefusedByPolicy as refusal:
            return await self._refused(context, call, events, refusal, request)
        try:
            return await self._allowed(context, call, capability, shipment, events)
        except Halted as halted:  # the ledger has recorded it
            outcome = failed(halted.kind, halted.message, configured)
            return outcome.model_copy(update={"halted": halted.message, "seen": call.seen})

    async def _allowed(
        self,
        context: RunContext,
        call: ActionCall,
        capability: AnyCapability,
        shipment: Shipment,
        events: Sequence[Event],
    ) -> ActionOutcome:
        """What the rails let pass, as far as the ledger does; raises `Halted` where a kill switch is thrown."""
        configured, request = shipment.to, shipment.request
        # what the site did before it went into shadow is taken back all the same; what a shadow run did is not there
        shadows = context.mode == "shadow" or (self._mode == "shadow" and UNDO not in call.path)
        shadow = capability.effect.mutates and shadows
        entry = self._entry(context, call, shipment, "shadow" if shadow else "live")
        verdict, asked_at = await self._intended(lambda: self._held(entry, shipment, capability), events)
        if verdict.verdict == "busy":
            return failed(FailureKind.CONFLICT, f"{request.target} is being released just now", configured)
        if verdict.parameters is not None:
            shipment = as_recorded(shipment, call, capability, verdict.parameters)
        shipment = replace(shipment, permit=partial(self._permit, context, call, shipment.request, capability.effect))
        if verdict.verdict == "replay":
            outcome = outcome_of(verdict, verdict.integration)
        elif shadow:
            outcome = await self._shadowed(shipment, capability, verdict)
        else:
            outcome = outcome_of(await self._sender.carry_out(shipment, verdict, asked_at), configured.name)
        # also where the answer is a recorded one: whoever recorded it may have died before the effect was seen
        if call.verified and outcome.status is StepStatus.SUCCEEDED:
            outcome = await self._verified(context, shipment, capability, outcome)
        return outcome.model_copy(update={"seen": verdict.seen})

    async def _held(self, entry: Entry, shipment: Shipment, capability: AnyCapability) -> Entry:
        """The intent; that of a reversible action as a hold on an effect, with the state that is found before it."""
        if capability.effect is not Effect.REVERSIBLE or entry.mode == "shadow" or UNDO in entry.path:
            return entry
        shared = shared_name(shipment, capability)
        ended = await self._ledger.ended(shared)
        try:
            prior = await self._sender.look(replace(shipment, timeout=min(shipment.timeout, GLANCE)), capability)
        except ActionFailed:
            prior = None  # the send will show whether it answers; what cannot be known is taken for not there
        return entry.model_copy(update={"shared": shared, "prior": prior, "ended": ended})

    async def _intended(self, look: Callable[[], Awaitable[Entry]], events: Sequence[Event]) -> tuple[Verdict, float]:
        """What the ledger says, and when it was asked; waits while the effect is being taken back, and looks anew then.

        Raises `Halted` where a kill switch is thrown.
        """
        waited = 0.0
        while True:
            entry = await look()
            asked_at = self._sender.clock()
            verdict = await self._ledger.intend(entry, events)
            if verdict.switch is not None:
                raise Halted(verdict.switch)
            if verdict.verdict != "busy" or waited > PATIENCE:
                return verdict, asked_at
            pause = min(AGAIN, max(verdict.wait, 0.02))
            await self._sender.sleep(pause)
            waited += pause

    async def _verified(
        self, context: RunContext, shipment: Shipment, capability: AnyCapability, outcome: ActionOutcome
    ) -> ActionOutcome:
        """The outcome once its effect is seen at the target; a failure where it is not, though the target said yes."""
        seen = await self._sender.see(shipment, capability, outcome.output or {})
        body = {"key": shipment.key, "seen": seen.seen, "why": seen.why, "milliseconds": seen.milliseconds}
        kind = "action.verified" if seen.seen else "action.unverified"
        await self._ledger.note([Event(type=kind, run=context.run, subject=shipment.request.target, body=body)])
        return outcome if seen.seen else failed(FailureKind.REJECTED, seen.why, shipment.to)

    def _validated(self, call: ActionCall) -> Validated:
        capability = self._capabilities.get(call.action)
        if capability is None:
            near = difflib.get_close_matches(call.action, self._capabilities, n=1)
            raise InvalidCall(f"no action is named {call.action}" + (f"; did you mean {near[0]}?" if near else ""))
        try:
            return Validated(capability, capability.takes.model_validate(call.parameters))
        except ValidationError as error:
            told = "; ".join(
                f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
                for one in error.errors(include_input=False, include_url=False, include_context=False)
            )
            raise InvalidCall(f"{call.action}: {told}") from None

    def _routes(self, capability: AnyCapability, call: ActionCall) -> list[Configured]:
        """Everybody on the route for what changes something, the first for what reads."""
        routes = self._site.route(capability.name)
        if not routes and not call.optional:
            raise InvalidCall(f"no integration is configured here for {capability.name}; add one to `integrations`")
        return routes if capability.effect.mutates or call.all_routes else routes[:1]

    async def _check(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        if effect.mutates:
            for rail in self._rails:
                await rail.check(context, call, request, effect)

    async def _permit(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        """Ask the rails that go by how the site is now; a refusal is on record before it is raised."""
        try:
            for rail in self._rails if effect.mutates else ():
                if rail.standing:
                    await rail.check(context, call, request, effect)
        except RefusedByPolicy as refusal:
            await self._ledger.note([refused(context, call, refusal, request)])
            raise

    def _entry(self, context: RunContext, call: ActionCall, shipment: Shipment, mode: str) -> Entry:
        request = shipment.request
        return Entry(
            key=shipment.key,
            run=context.run,
            playbook=context.playbook,
            digest=context.digest,
            event=context.event,
            step=call.step,
            path=call.path,
            capability=request.capability,
            effect=shipment.effect,
            integration=request.integration,
            target=request.target,
            parameters=request.parameters,
            parameters_digest=parameters_digest(request),
            mode=mode,
            approval=call.approval,
            expires=call.expires,
            attempt=call.attempt,
            send_within=self._sender.send_within,
            seen=call.seen,
        )

    async def _shadowed(self, shipment: Shipment, capability: AnyCapability, verdict: Verdict) -> ActionOutcome:
        output = capability.imagine(shipment.parameters).model_dump(mode="json")
        outcome = Outcome(state="shadowed", send=verdict.sends, how="shadow", result=output)
        await self._ledger.conclude(shipment.key, outcome)
        return outcome_of(outcome, shipment.to.name)

    async def _refused(
        self,
        context: RunContext,
        call: ActionCall,
        events: Sequence[Event],
        failure: ActionFailed,
        request: CanonicalRequest | None = None,
    ) -> ActionOutcome:
        await self._ledger.note([*events, refused(context, call, failure, request)])
        return failed(failure.kind, failure.message, None).model_copy(update={"seen": call.seen})


def shared_name(shipment: Shipment, capability: AnyCapability) -> str:
    """The name of an effect: two actions that have it are one effect with two holds."""
    return f"{shipment.to.name} {capability.name} {capability.effect_of(shipment.parameters)}"


def all_answers(outcomes: Sequence[ActionOutcome]) -> ActionOutcome:
    """What all integrations said, and which said nothing; a failure only where every one failed."""
    given = [one for one in outcomes if one.error is None and one.output is not None]
    silent = [one for one in outcomes if one.error is not None]
    if not given:
        return outcomes[0]
    refused = [
        {"integration": one.integration or "", "kind": one.error.kind, "message": one.error.message}
        for one in silent
        if one.error
    ]
    output = {"answers": [one.output for one in given], "failed": refused}
    return given[0].model_copy(update={"output": output, "integration": None})


def canonical(
    call: ActionCall, capability: AnyCapability, parameters: Parameters, integration: str
) -> CanonicalRequest:
    """The one form of this request: what a card shows, an approval is bound to, and is sent."""
    return CanonicalRequest(
        step=call.step,
        path=call.path,
        capability=capability.name,
        integration=integration,
        target=capability.target_of(parameters),
        parameters=parameters.model_dump(mode="json"),
        expires=call.expires,
        undo=capability.inverse,
    )


def as_recorded(
    shipment: Shipment, call: ActionCall, capability: AnyCapability, recorded: dict[str, object]
) -> Shipment:
    """The shipment with the parameters that its key was recorded with first."""
    parameters = capability.takes.model_validate(recorded)
    request = canonical(call, capability, parameters, shipment.request.integration)
    return replace(shipment, parameters=parameters, request=request)


def told(context: RunContext, trace: Trace) -> Event:
    """A trace of the interpreter as an event of the audit; `at` is the run's clock, not the database's.

    A task that is carried out again decides again: the same decision of the same step is one event.
    """
    decided = orjson.dumps([context.run, context.first_run_id, trace.type, trace.path, trace.step, trace.body])
    body = {"step": trace.step, "decided_at": trace.at.isoformat(), **trace.body}
    return Event(id=uuid.uuid5(DECIDED, decided.hex()), type=trace.type, run=context.run, body=body)


def refused(context: RunContext, call: ActionCall, failure: ActionFailed, request: CanonicalRequest | None) -> Event:
    """The record of what was not sent, and why; of a refusal also the facts that it goes by."""
    body = {
        "step": call.step,
        "capability": call.action,
        "parameters": request.parameters if request else call.parameters,
        "reason": failure.kind,
        "message": failure.message,
        **(failure.facts if isinstance(failure, RefusedByPolicy) else {}),
    }
    return Event(type="action.refused", run=context.run, subject=request.target if request else None, body=body)


def skipped(context: RunContext, call: ActionCall) -> Event:
    """The record of an optional action that nobody here can do."""
    body = {"step": call.step, "capability": call.action, "reason": "no integration is configured"}
    return Event(type="action.skipped", run=context.run, body=body)


def failed(kind: FailureKind, message: str, configured: Configured | None) -> ActionOutcome:
    """An outcome that is a failure."""
    error = StepError(kind=kind, message=message)
    return ActionOutcome(status=StepStatus.FAILED, error=error, integration=configured.name if configured else None)


def outcome_of(ending: Ending, integration: str | None) -> ActionOutcome:
    """What the run is told of an ending in the ledger, whether it ended just now or before a crash."""
    if ending.state in ("done", "undone", "left", "shadowed"):  # what is over by now did its work
        status = StepStatus.SHADOWED if ending.state == "shadowed" else StepStatus.SUCCEEDED
        return ActionOutcome(
            status=status, output=ending.result, integration=integration, milliseconds=ending.milliseconds
        )
    error = StepError(
        kind=FailureKind(ending.error_kind or FailureKind.UNKNOWN_OUTCOME),
        message=ending.error_message or ending.state or "",
        retry_after=ending.retry_after,
    )
    return ActionOutcome(
        status=StepStatus.FAILED, error=error, integration=integration, milliseconds=ending.milliseconds
    )

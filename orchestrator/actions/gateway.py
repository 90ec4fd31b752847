"""The gateway: the one path of every action, whatever the playbook and whatever the product.

route -> validate -> rails -> mode -> ledger: kill switch, policy, budgets and intent -> send -> reconcile ->
ledger: outcome -> result.
"""

from __future__ import annotations

import asyncio
import difflib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pydantic import ValidationError

from orchestrator.actions.breakers import LeftAlone
from orchestrator.actions.budgets import BudgetsOfActions, OverBudget
from orchestrator.actions.canonical import CanonicalRequest, ledger_key
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.demands import ApprovalWanted, DemandedApprovals
from orchestrator.actions.kill_switch import Halted
from orchestrator.actions.ledger import UNDO, Entry, Ledger, Outcome, Verdict
from orchestrator.actions.maintenance import Maintenance
from orchestrator.actions.modes import Modes
from orchestrator.actions.outcomes import NOT_NOW, all_answers, failed, not_now, outcome_of
from orchestrator.actions.pace import NotYet, Pace
from orchestrator.actions.rails import Rail
from orchestrator.actions.recording import refused, skipped, told
from orchestrator.actions.rendering import as_recorded, canonical, entry_of, shared_name
from orchestrator.actions.sending import Sender, Shipment
from orchestrator.actions.site import Configured, Site
from orchestrator.audit.events import Event
from orchestrator.contract import Effect, Parameters
from orchestrator.errors import ActionFailed, FailureKind, InvalidCall, RefusedByPolicy
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    RunContext,
    StepStatus,
    Trace,
)
from orchestrator.policy.in_force import Ruled

GLANCE = 5.0
"""seconds that a target has to show how it is, before anything is sent"""
AGAIN = 0.5
PATIENCE = 90.0
"""seconds to wait for an effect to be taken back, longer than that may take"""


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
        modes: Modes | None = None,
        demands: DemandedApprovals | None = None,
        budgets: BudgetsOfActions | None = None,
        pace: Pace | None = None,
        maintenance: Maintenance | None = None,
    ) -> None:
        self._maintenance = maintenance
        self._pace = pace
        self._budgets = budgets or BudgetsOfActions()
        self._demands = demands or DemandedApprovals(ledger)
        self._capabilities = capabilities
        self._site = site
        self._ledger = ledger
        self._sender = sender
        self._rails = rails
        self._modes = modes or Modes()

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
        try:
            await self._all_approved(context, call, asked, routes)
        except ApprovalWanted as missing:  # one that has to wait holds up the others: people see all of them
            return await self._wanted(call, events, missing)
        first, *rest = [
            self._at(context, call, asked, configured, events if place == 0 else [])
            for place, configured in enumerate(routes)
        ]
        outcomes = [await first]  # the traces of the run come before everything that follows from them
        outcomes += await asyncio.gather(*rest)
        if call.all_routes and not asked.capability.effect.mutates:
            return all_answers(outcomes)
        outcome = min(outcomes, key=lambda one: (not one.waits, one.status is not StepStatus.FAILED))
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
        except ApprovalWanted as missing:
            return await self._wanted(call, events, missing)
        except LeftAlone as refusal:
            return await self._refused(context, call, events, refusal, request)
        except NotYet as later:
            return await self._later(call, events, later, configured)
        except Halted as halted:  # the ledger has recorded it
            outcome = failed(halted.kind, halted.message, configured)
            return outcome.model_copy(update={"halted": halted.message, "seen": call.seen})
        except OverBudget as over:  # so it has this
            outcome = failed(over.kind, over.message, configured)
            return outcome.model_copy(update={"above": over.above, "seen": call.seen})

    async def _later(
        self, call: ActionCall, events: Sequence[Event], later: NotYet, configured: Configured
    ) -> ActionOutcome:
        """The run waits, as under a kill switch, and asks again."""
        await self._ledger.note(events)
        outcome = failed(later.kind, later.message, configured, later.retry_after)
        return outcome.model_copy(update={"halted": later.message, "seen": call.seen})

    async def _paced(self, shipment: Shipment, capability: AnyCapability) -> None:
        """Wait until it may go; what was sent before, and is answered from the record, takes none.

        Raises `NotYet` where its turn is far off, or its integration is worked on. What takes something back has asked.
        """
        undoing = UNDO in shipment.request.path
        worked_on = self._maintenance is not None and not undoing and await self._maintenance.concerns(shipment)
        rated = self._pace is not None and await self._pace.rated(shipment)
        if not (worked_on or rated) or await self._ledger.has_sent(shipment.key):
            return
        if self._maintenance is not None and worked_on:
            await self._maintenance.check(shipment)
        if self._pace is not None and rated:
            looks = capability.effect is Effect.REVERSIBLE and capability.state in shipment.to.product.implementations
            await self._pace.wait(shipment, 2 if looks else 1)

    async def _all_approved(
        self, context: RunContext, call: ActionCall, asked: Validated, routes: Sequence[Configured]
    ) -> None:
        """Raise `ApprovalWanted` where the policy demands an approval at any of these, and it was not given."""
        for one in routes if asked.capability.effect.mutates else ():
            request = canonical(call, *asked, one.name)
            ruled = await self._modes.of(context, request, asked.capability.effect)
            try:
                await self._approved(context, call, request, asked.capability, ruled)
            except ApprovalWanted:
                if await self._stands(context, call, request, asked.capability.effect):
                    raise

    async def _stands(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> bool:
        """Whether no standing rail refuses it: nobody is asked about what is refused whatever they say."""
        try:
            for rail in self._rails:
                if rail.standing:
                    await rail.check(context, call, request, effect)
        except RefusedByPolicy:
            return False
        return True

    async def _approved(
        self, context: RunContext, call: ActionCall, request: CanonicalRequest, capability: AnyCapability, ruled: Ruled
    ) -> None:
        """Raise `ApprovalWanted`; of what is not sent anyhow, or was before, nobody is asked."""
        if ruled.mode.mode != "live":
            return
        try:
            await self._demands.check(ruled.policy, context, request, capability, call.approval)
        except ApprovalWanted:
            if not await self._ledger.has_sent(ledger_key(context, call, request.integration)):
                raise

    async def _wanted(self, call: ActionCall, events: Sequence[Event], missing: ApprovalWanted) -> ActionOutcome:
        await self._ledger.note(events)  # that people are asked, and why, stands with the question
        outcome = failed(missing.kind, missing.message, None)
        return outcome.model_copy(update={"wanted": missing.wanted, "seen": call.seen})

    async def _allowed(
        self,
        context: RunContext,
        call: ActionCall,
        capability: AnyCapability,
        shipment: Shipment,
        events: Sequence[Event],
    ) -> ActionOutcome:
        """What the rails let pass, as far as the ledger does; raises `Halted` and `OverBudget`."""
        configured, request = shipment.to, shipment.request

        async def look(anew: bool) -> Entry:
            ruled = await self._modes.of(context, request, capability.effect, anew=anew)
            await self._approved(context, call, request, capability, ruled)
            takes = await self._budgets.of(ruled.policy, context, request, capability)
            return await self._held(
                entry_of(context, call, shipment, ruled, takes, self._sender.send_within), shipment, capability
            )

        if (await self._modes.of(context, request, capability.effect)).mode.mode == "live":
            await self._paced(shipment, capability)
        entry, verdict, asked_at = await self._intended(look, events)
        if verdict.verdict in NOT_NOW:
            if entry.canary:
                await self._ledger.first_seen(entry.key, seen=False)  # nobody waits for what was never sent
            return not_now(verdict, request.target, configured).model_copy(update={"seen": call.seen})
        if verdict.parameters is not None:
            shipment = as_recorded(shipment, call, capability, verdict.parameters)
        shipment = replace(shipment, permit=self._permitting(context, call, shipment, verdict))
        if verdict.verdict == "replay":
            outcome = outcome_of(verdict, verdict.integration)
        elif verdict.mode == "shadow":
            outcome = await self._shadowed(shipment, capability, verdict)
        else:
            outcome = outcome_of(await self._sender.carry_out(shipment, verdict, asked_at), configured.name)
        first = entry.canary and await self._ledger.is_first(entry.key)
        # also where the answer is a recorded one: whoever recorded it may have died before the effect was seen
        looked_at = call.verified or (first and capability.state in configured.product.implementations)
        if looked_at and outcome.status is StepStatus.SUCCEEDED:
            outcome = await self._verified(context, shipment, capability, outcome)
        if first:
            await self._ledger.first_seen(entry.key, seen=outcome.status is StepStatus.SUCCEEDED)
        return outcome.model_copy(update={"seen": verdict.seen})

    async def _held(self, entry: Entry, shipment: Shipment, capability: AnyCapability) -> Entry:
        """The intent; that of a reversible action as a hold on an effect, with the state that is found before it.

        Raises `LeftAlone` where its target may not be looked at: an intent that was recorded without that look would
        take back later what was there before us.
        """
        if capability.effect is not Effect.REVERSIBLE or entry.mode == "shadow" or UNDO in entry.path:
            return entry
        shared = shared_name(shipment, capability)
        ended = await self._ledger.ended(shared)
        try:
            glance = replace(shipment, timeout=min(shipment.timeout, GLANCE), glance=shipment.timeout > GLANCE)
            prior = await self._sender.look(glance, capability)
        except LeftAlone:
            if not await self._ledger.has_sent(entry.key):
                raise
            prior = None  # it stands on record how it was
        except ActionFailed:
            prior = None  # the send will show whether it answers; what cannot be known is taken for not there
        return entry.model_copy(update={"shared": shared, "prior": prior, "ended": ended})

    async def _intended(
        self, look: Callable[[bool], Awaitable[Entry]], events: Sequence[Event]
    ) -> tuple[Entry, Verdict, float]:
        """The intent, what the ledger says to it, and when that was asked. Waits while the effect is being taken back.

        It looks anew then, and where the policy is another one by now than the intent was made under.

        Raises `Halted` where a kill switch is thrown, and `OverBudget`.
        """
        waited, anew = 0.0, False
        while True:
            entry = await look(anew)
            asked_at = self._sender.clock()
            verdict = await self._ledger.intend(entry, events)
            if verdict.switch is not None:
                raise Halted(verdict.switch)
            if verdict.verdict == "over" and verdict.budget is not None:
                raise OverBudget(verdict.budget)
            anew = verdict.verdict == "stale"
            if verdict.verdict not in ("busy", "stale") or waited > PATIENCE:
                return entry, verdict, asked_at
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

    def _permitting(
        self, context: RunContext, call: ActionCall, shipment: Shipment, verdict: Verdict
    ) -> Callable[[], Awaitable[None]]:
        """What is asked directly before each send: the standing rails, and before a further one whether it is live yet.

        The first one is in the mode that the ledger has recorded with the intent.
        """
        sends = itertools.count(0 if verdict.verdict == "send" else 1)

        async def permit() -> None:
            await self._permit(context, call, shipment.request, shipment.effect)
            if next(sends):
                await self._still_live(context, call, shipment.request, shipment.effect)

        return permit

    async def _still_live(
        self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect
    ) -> None:
        ruled = await self._modes.of(context, request, effect)
        if ruled.mode.mode == "shadow":
            refusal = RefusedByPolicy(f"step {call.step}: in shadow by now, by {ruled.mode.why}")
            await self._ledger.note([refused(context, call, refusal, request)])
            raise refusal

    async def shadowed(self, context: RunContext, requests: Sequence[CanonicalRequest]) -> tuple[str, ...]:
        """For each of these what keeps it from being sent as the policy is now; empty where nothing does."""
        found = [await self._modes.of(context, one, self._capabilities[one.capability].effect) for one in requests]
        return tuple(one.mode.why for one in found)

    def as_asked(self, entry: Entry) -> CanonicalRequest:
        """What an intent that waits would send, as a card shows it."""
        capability = self._capabilities[entry.capability]
        return CanonicalRequest(
            step=entry.step, path=entry.path, capability=entry.capability, integration=entry.integration,
            target=entry.target, parameters=entry.parameters, expires=entry.expires, undo=capability.inverse,
        )  # fmt: skip

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
        outcome = failed(failure.kind, failure.message, None, failure.retry_after)
        return outcome.model_copy(update={"seen": call.seen})

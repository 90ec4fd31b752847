"""What runs did is taken back when nobody holds it any more: to the state that was found, and never over somebody else.

Every reversible action is a hold on an effect. Holds end with their time, by an `undo` of the run, or by a person. When
the last one ends, the inverse is sent through the gateway, unless the effect was there before us, or the target shows
that somebody has changed it since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import structlog

from orchestrator.actions.breakers import LONGEST_PAUSE, LeftAlone
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import UNDO, Effected, Ledger, TakeBack
from orchestrator.actions.maintenance import Maintenance
from orchestrator.actions.pace import NotYet
from orchestrator.actions.recording import told
from orchestrator.actions.rendering import canonical
from orchestrator.actions.sending import Sender, Shipment, shown_by
from orchestrator.actions.site import Configured, Site
from orchestrator.contract import Effect
from orchestrator.errors import ActionFailed, FailureKind
from orchestrator.language.host import ActionCall, ActionOutcome, RunContext, StepError, Trace, UndoCall, UndoOutcome
from orchestrator.language.paths import of_another_item

log = structlog.get_logger()
LEASE = 60.0
"""seconds that one attempt may take: meanwhile nobody asks for the effect anew"""
SECONDS = 10.0
"""the deadline of the inverse and of each look at the target"""
PAUSES = (5.0, 10.0, 20.0, 30.0)
"""seconds between attempts; the last one for ever, so that a target that is back has it undone within a minute"""
HALTED = 5.0
"""seconds until what a kill switch halts is tried again"""
PAGE_AT = 3
"""the attempt whose failure is told to people"""


class Undoing:
    """Takes back. Raises only `Unavailable` (the ledger is away: nothing was sent, try again later)."""

    def __init__(
        self,
        *,
        capabilities: Mapping[str, AnyCapability],
        site: Site,
        ledger: Ledger,
        sender: Sender,
        gateway: Gateway,
        maintenance: Maintenance | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.seconds = seconds
        self._capabilities = capabilities
        self._site = site
        self._ledger = ledger
        self._sender = sender
        self._gateway = gateway
        self._maintenance = maintenance

    async def undo(self, context: RunContext, call: UndoCall, traces: Sequence[Trace]) -> UndoOutcome:
        """Let go of what the run did with these steps, the last first; the first failure stops nothing.

        What a sub-playbook did that the run waited for, the run did with the step that called it.
        """
        await self._ledger.note([told(context, trace) for trace in traces])
        undone: list[str] = []
        failure: StepError | None = None
        for effect in await self._ledger.effects(context.run, call.steps):
            if of_another_item(call.path, effect.path):
                continue
            error = await self._let_go(context, call, effect)
            if error is None:
                undone.append(effect.step)
            failure = failure or error
        return UndoOutcome(undone=tuple(undone), error=failure)

    async def _let_go(self, context: RunContext, call: UndoCall, effect: Effected) -> StepError | None:
        if effect.state == "shadowed":
            return await self._would_have(context, call, effect)
        caller = {} if effect.run == context.run else {"caller": context.run}
        shared = await self._ledger.release(effect.key, {"by": call.step, **caller})
        return await self.end(shared, by=call.step) if shared else None

    async def _would_have(self, context: RunContext, call: UndoCall, effect: Effected) -> StepError | None:
        """The inverse of what was recorded and not sent is recorded, and not sent."""
        to = self._site.named(effect.integration)
        inverse = self._inverse(effect.capability, to)
        if inverse is None or to is None:
            return cannot(effect.integration, effect.capability)
        again = self._again(effect.capability, inverse, effect.parameters, call.step, (*call.path, UNDO, *effect.path))
        shadow = context.model_copy(update={"mode": "shadow"})
        return (await self._gateway.act_at(shadow, again, to)).error

    async def end(self, shared: str, *, by: str) -> StepError | None:
        """Take an effect back unless somebody holds it; the failure where it could not be."""
        found = await self._ledger.take_back(shared, LEASE)
        if found.verdict != "go":
            return None
        to = self._site.named(found.integration)
        inverse = self._inverse(found.capability, to)
        if inverse is None or to is None:
            return await self._stuck(shared, found, cannot(found.integration, found.capability))
        refusal = await self._sender.doors.standing(to)
        later = refusal or await self._worked_on(found, to)
        if later is not None:
            return await self._put_off(shared, later)
        try:
            how = await self._look(found, to)
        except LeftAlone as shut:
            return await self._put_off(shared, shut)
        except ActionFailed as failure:
            return await self._stuck(shared, found, StepError(kind=failure.kind, message=failure.message))
        if how is not None:
            await self._left(shared, found, how, by)
            return None
        outcome = await self._send(found, inverse, to, by)
        if outcome.halted:
            await self._ledger.put_off(shared, outcome.halted, HALTED)
            return outcome.error
        if outcome.error is not None:
            return await self._stuck(shared, found, outcome.error)
        await self._ledger.taken_back(shared, "undone", {"by": by, "how": inverse.name})
        return None

    async def _worked_on(self, found: TakeBack, to: Configured) -> NotYet | None:
        """Why it waits for the maintenance of its integration."""
        shipment = self._shipment(found, self._capabilities[found.capability], to)
        if self._maintenance is None or not await self._maintenance.concerns(shipment):
            return None
        try:
            await self._maintenance.check(replace(shipment, key=f"{UNDO} {found.key}"))
        except NotYet as later:
            return later
        return None

    async def _put_off(self, shared: str, refusal: LeftAlone | NotYet) -> StepError:
        """It waits until its integration may be called: no attempt was made, and it may be the probe itself."""
        pause = min(refusal.retry_after or LONGEST_PAUSE, LONGEST_PAUSE)
        await self._ledger.put_off(shared, refusal.message, pause)
        return StepError(kind=refusal.kind, message=refusal.message, retry_after=refusal.retry_after)

    async def _look(self, found: TakeBack, to: Configured) -> str | None:
        """Why there is nothing to take back; None where there is."""
        capability = self._capabilities[found.capability]
        wanted = shown_by(found.result)
        if wanted and found.prior is not None and wanted.items() <= found.prior.items():
            return "there before us"
        shown = await self._sender.look(self._shipment(found, capability, to), capability)
        if wanted and shown is not None and not wanted.items() <= shown.items():
            return "somebody has changed it since" if found.early else "the target has ended it"
        return None

    async def _left(self, shared: str, found: TakeBack, how: str, by: str) -> None:
        """Nothing is sent. What somebody changed before its time is for people to know."""
        changed = how == "somebody has changed it since"
        if changed:
            log.warning("containment.changed", target=found.target, integration=found.integration, run=found.run)
        ended: Literal["undone", "left"] = "undone" if how == "the target has ended it" else "left"
        await self._ledger.taken_back(shared, ended, {"by": by, "how": how, "page": changed})

    async def _send(self, found: TakeBack, inverse: AnyCapability, to: Configured, by: str) -> ActionOutcome:
        """The inverse, seen at the target where that can show it; each attempt is one entry of the ledger."""
        path = (*found.path, UNDO, found.key, str(found.attempts))
        again = self._again(found.capability, inverse, found.parameters, by, path)
        again = again.model_copy(
            update={"timeout": self.seconds, "verified": inverse.state in to.product.implementations}
        )
        context = RunContext(
            run=found.run, playbook=found.playbook, digest=found.digest, event=found.event, workflow_id="",
            first_run_id="",
        )  # fmt: skip
        return await self._gateway.act_at(context, again, to)

    async def _stuck(self, shared: str, found: TakeBack, error: StepError) -> StepError:
        """It is tried again later; people are told when it has failed some times."""
        pause = PAUSES[min(found.attempts, len(PAUSES)) - 1]
        page = found.attempts == PAGE_AT
        if page:
            log.error("containment.stuck", target=found.target, integration=found.integration, why=error.message)
        await self._ledger.not_taken_back(shared, error.message, pause, page=page)
        return error

    def _inverse(self, capability: str, to: Configured | None) -> AnyCapability | None:
        """What takes it back at this integration, where something does."""
        made = self._capabilities.get(capability)
        inverse = self._capabilities.get((made.inverse if made else None) or "")
        able = inverse is not None and to is not None and inverse.name in to.product.implementations
        return inverse if able else None

    def _again(
        self, capability: str, inverse: AnyCapability, parameters: dict[str, Any], step: str, path: tuple[str, ...]
    ) -> ActionCall:
        made = self._capabilities[capability]
        given = made.undo_parameters(made.takes.model_validate(parameters), inverse)
        return ActionCall(step=step, path=path, action=inverse.name, parameters=given, keep=True)

    def _shipment(self, found: TakeBack, capability: AnyCapability, to: Configured) -> Shipment:
        """What looking at the target needs to know."""
        parameters = capability.takes.model_validate(found.parameters)
        call = ActionCall(step=found.step, path=found.path, action=found.capability, parameters=found.parameters)
        request = canonical(call, capability, parameters, to.name)
        return Shipment(
            key=found.key, run=found.run, request=request, parameters=parameters, effect=Effect.REVERSIBLE, to=to,
            timeout=self.seconds,
        )  # fmt: skip


def cannot(integration: str, capability: str) -> StepError:
    """The failure where an integration is gone, or has no way back."""
    return StepError(kind=FailureKind.INVALID, message=f"{integration} cannot undo {capability}")

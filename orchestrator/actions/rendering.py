"""From what a run asks for to the one form in which it is recorded, shown and sent."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.actions.budgets import Takes
from orchestrator.actions.canonical import CanonicalRequest, parameters_digest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.ledger import Entry
from orchestrator.actions.sending import Shipment
from orchestrator.contract import Parameters
from orchestrator.language.host import ActionCall, RunContext
from orchestrator.policy.in_force import Ruled


def shared_name(shipment: Shipment, capability: AnyCapability) -> str:
    """The name of an effect: two actions that have it are one effect with two holds."""
    return f"{shipment.to.name} {capability.name} {capability.effect_of(shipment.parameters)}"


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


def entry_of(
    context: RunContext, call: ActionCall, shipment: Shipment, ruled: Ruled, takes: Takes, send_within: float
) -> Entry:
    """The intent, as the ledger is asked to record it."""
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
        mode=ruled.mode.mode,
        mode_why=ruled.mode.why,
        canary=ruled.mode.mode == "live" and bool(ruled.mode.canary),
        groups=takes.groups,
        budgets=takes.plain,
        policy=ruled.policy.digest,
        approval=call.approval,
        expires=call.expires,
        attempt=call.attempt,
        send_within=send_within,
        seen=call.seen,
    )

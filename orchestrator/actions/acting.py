"""What acts at a site's integrations and what takes it back, on one ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.actions.budgets import BudgetsOfActions
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.demands import DemandedApprovals
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import Ledger
from orchestrator.actions.maintenance import Maintenance
from orchestrator.actions.modes import Modes
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.pace import Pace
from orchestrator.actions.rails import ApprovalBinding, Irreversible, Rail
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import Site
from orchestrator.actions.undoing import Undoing
from orchestrator.language.reference import ReferenceData
from orchestrator.policy.in_force import PolicyInForce
from orchestrator.policy.section import Mode


@dataclass(frozen=True)
class Acting:
    """The two directions."""

    ledger: Ledger
    gateway: Gateway
    undoing: Undoing


def build_acting(
    capabilities: Mapping[str, AnyCapability],
    site: Site,
    ledger: Ledger,
    sender: Sender,
    *,
    never_touch: NeverTouch,
    policy: PolicyInForce | None = None,
    reference: Callable[[], ReferenceData] = ReferenceData,
    mode: Mode = "live",
    pace: Pace | None = None,
    maintenance: Maintenance | None = None,
) -> Acting:
    """The gateway with all its rails, and what undoes through it."""
    rails: list[Rail] = [never_touch, ApprovalBinding(ledger), Irreversible()]
    gateway = Gateway(
        capabilities=capabilities,
        site=site,
        ledger=ledger,
        sender=sender,
        rails=rails,
        modes=Modes(policy, mode),
        demands=DemandedApprovals(ledger, reference),
        budgets=BudgetsOfActions(reference),
        pace=pace,
        maintenance=maintenance,
    )
    undoing = Undoing(
        capabilities=capabilities, site=site, ledger=ledger, sender=sender, gateway=gateway, maintenance=maintenance
    )
    return Acting(ledger, gateway, undoing)

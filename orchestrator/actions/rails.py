"""Guard rails: what may refuse a request at the moment of sending; a new rail is one class, listed in `bootstrap`."""

from __future__ import annotations

from typing import Protocol

from orchestrator.actions.canonical import CanonicalRequest, digest_of
from orchestrator.actions.ledger import Ledger
from orchestrator.contract import Effect
from orchestrator.errors import RefusedByPolicy
from orchestrator.language.host import ActionCall, RunContext


class Rail(Protocol):
    """One reason to refuse. `check` raises `RefusedByPolicy` with words for people, or returns.

    A `standing` rail goes by how the site is now, whatever was approved: it is asked when a card is rendered, so that
    nobody is asked for what would be refused, and again directly before the bytes leave.
    """

    name: str
    standing: bool

    async def check(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        """Refuse, or let pass."""
        ...


class ApprovalBinding:
    """What was approved is what is sent: the request must be, to the letter, one that the approval shows."""

    name = "approval_binding"
    standing = False

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def check(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        """Refuse a covered step whose approval is missing, not given, another run's, or about another request."""
        if call.approval is None:
            return
        approved = await self._ledger.approved(call.approval)
        if approved is None or approved.state != "approved":
            raise RefusedByPolicy(f"step {call.step}: its approval was not given")
        if (approved.run, approved.first_run_id) != (context.run, context.first_run_id):
            raise RefusedByPolicy(f"step {call.step}: its approval belongs to another run")
        if digest_of([request]) not in {digest_of([CanonicalRequest(**one)]) for one in approved.request}:
            raise RefusedByPolicy(f"step {call.step}: the request is not the one that was approved")


class Irreversible:
    """What cannot be undone needs a person, or a playbook that says `unattended: true`."""

    name = "irreversible"
    standing = False

    async def check(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        """Refuse an irreversible request that nobody approved and no author took on himself."""
        if effect is Effect.IRREVERSIBLE and call.approval is None and not call.unattended:
            raise RefusedByPolicy(f"step {call.step}: {request.capability} cannot be undone and nobody approved it")

"""Whether the policy demands that people approve a request, and whether they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.ledger import UNDO, Ledger
from orchestrator.actions.modes import PERSON
from orchestrator.contract.durations import parse_duration
from orchestrator.errors import RefusedByPolicy
from orchestrator.language.host import RunContext, Wanted
from orchestrator.language.never_touch import NeverTouchList, names_in_parameters, touched
from orchestrator.language.reference import ReferenceData, ReferenceList
from orchestrator.policy.modes import Asked
from orchestrator.policy.policy import Policy


class ApprovalWanted(RefusedByPolicy):
    """People have to approve this first: nothing was sent, and the run asks them."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        super().__init__(wanted.line)


class DemandedApprovals:
    """Asks the policy. `lists` gives the site's lists as they are now and may read files; it is asked in a thread."""

    def __init__(self, ledger: Ledger, lists: Callable[[], ReferenceData] = ReferenceData) -> None:
        self._ledger = ledger
        self._lists = lists
        self._known: dict[str, tuple[ReferenceList, NeverTouchList]] = {}

    async def check(
        self,
        policy: Policy,
        context: RunContext,
        request: CanonicalRequest,
        capability: AnyCapability,
        given: str | None,
    ) -> None:
        """Raise `ApprovalWanted` where the policy demands an approval and `given` is not one that satisfies it.

        What a person does, and what takes back an effect, nobody is asked about.
        """
        if not policy.model.approvals or context.playbook == PERSON or UNDO in request.path:
            return
        if not capability.effect.mutates:
            return
        parameters = dict(capability.takes.model_validate(request.parameters))
        wanted = await self.wanted(policy, context.playbook, request, parameters)
        if wanted is not None and not await self._satisfied(wanted, given):
            raise ApprovalWanted(wanted)

    async def wanted(
        self, policy: Policy, playbook: str | None, request: CanonicalRequest, parameters: Mapping[str, Any]
    ) -> Wanted | None:
        """The approval that the policy demands for this request, which names these; none where it demands none."""
        asked = Asked(playbook, request.integration, request.capability)
        data = await asyncio.to_thread(self._lists)
        found = policy.demand(asked, lambda name: self._on_list(data, name, parameters))
        if found is None:
            return None
        demand, line = found
        return Wanted(
            line=str(line), key=demand.key, group=demand.by.group, count=demand.by.count,
            within=parse_duration(demand.within).total_seconds(), otherwise=demand.otherwise,
        )  # fmt: skip

    async def _satisfied(self, wanted: Wanted, given: str | None) -> bool:
        """An approval of the author's will do where any person's does; one that passed by itself never."""
        approved = await self._ledger.approved(given) if given else None
        if approved is None or approved.state != "approved" or approved.by is None:
            return False
        return approved.demanded == wanted.key or (wanted.group is None and wanted.count == 1)

    def _on_list(self, data: ReferenceData, name: str, parameters: Mapping[str, Any]) -> bool:
        """Whether the request names something on the list; a list that cannot be had may hold anything."""
        kept = data.lists.get(name)
        if kept is None:
            return True
        known = self._known.get(name)
        if known is None or known[0] is not kept:
            known = self._known[name] = (kept, NeverTouchList(f"lists.{name}", kept.type.value, kept.entries))
        return touched(names_in_parameters(parameters), [known[1]]) is not None

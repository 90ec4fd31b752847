"""Budgets at the moment of sending: which limits an action has to keep, and how far they are used.

Whether one is reached is asked by the ledger itself, in the statement that records an intent (`over_budget` in the
migrations), so that no two workers can both take the last place. Here is said what it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.ledger import UNDO, Reached
from orchestrator.actions.modes import PERSON
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import to_json
from orchestrator.errors import RefusedByPolicy
from orchestrator.language.host import Above, RunContext
from orchestrator.language.never_touch import NeverTouchList, is_guarded, names_in_parameters, touched
from orchestrator.language.reference import ReferenceData, ReferenceList
from orchestrator.policy.budgets import Allowed, Group, groups_named
from orchestrator.policy.modes import Asked
from orchestrator.policy.policy import Policy

USAGE = text("SELECT tocsin.budget_usage(CAST(:budgets AS jsonb), :target)")


class OverBudget(RefusedByPolicy):
    """A budget is reached: nothing was sent, and the run waits for what people say of all that waits there."""

    def __init__(self, reached: Reached) -> None:
        self.above = Above(
            why=f"over budget: {reached}", card=reached.card, group=reached.group, count=reached.count,
            within=reached.within, otherwise=reached.otherwise,
        )  # fmt: skip
        super().__init__(self.above.why)


class Takes(NamedTuple):
    """The groups that a target belongs to, none at all for what takes from no budget, and the limits to be kept."""

    groups: tuple[str, ...] | None = None
    limits: tuple[Allowed, ...] = ()

    @property
    def plain(self) -> tuple[dict[str, Any], ...]:
        """The limits as JSON."""
        return tuple(asdict(one) for one in self.limits)


class BudgetsOfActions:
    """Asks the policy. `lists` gives the site's lists as they are now and may read files; it is asked in a thread."""

    def __init__(self, lists: Callable[[], ReferenceData] = ReferenceData) -> None:
        self._lists = lists
        self._known: dict[str, tuple[ReferenceList, NeverTouchList]] = {}

    async def of(
        self, policy: Policy, context: RunContext, request: CanonicalRequest, capability: AnyCapability
    ) -> Takes:
        """What a request takes from: nothing where it acts upon no target, takes back, or is a person's own."""
        if not is_guarded(capability.effect) or UNDO in request.path or context.playbook == PERSON:
            return Takes()
        parameters = dict(capability.takes.model_validate(request.parameters))
        return await self.takes(policy, context, request, parameters)

    async def takes(
        self, policy: Policy, context: RunContext, request: CanonicalRequest, parameters: Mapping[str, Any]
    ) -> Takes:
        """What a request takes from that names these."""
        data = await asyncio.to_thread(self._lists)
        named = groups_named(policy.model.budgets, {**data.lists, **_broken(data)})
        groups = tuple(one for name in named if (one := self._group(data, name, parameters)) is not None)
        asked = Asked(context.playbook, request.integration, request.capability)
        return Takes(tuple(one.name for one in groups), policy.budgets(asked, context.run, groups))

    def _group(self, data: ReferenceData, name: str, parameters: Mapping[str, Any]) -> Group | None:
        """The group, where the target is in it; one that cannot be had, or has nobody in it, may be anybody's."""
        kept = data.lists.get(name)
        if kept is None or not kept.entries:
            return Group(name, None)
        known = self._known.get(name)
        if known is None or known[0] is not kept:
            known = self._known[name] = (kept, NeverTouchList(f"lists.{name}", kept.type.value, kept.entries))
        member = touched(names_in_parameters(parameters), [known[1]]) is not None
        return Group(name, len(kept.entries)) if member else None


def _broken(data: ReferenceData) -> dict[str, None]:
    """The lists that are there and cannot be read."""
    return {name.removeprefix("lists."): None for name in data.broken if name.startswith("lists.")}


async def usage(engine: AsyncEngine, limits: Sequence[Allowed], target: str = "") -> list[Reached]:
    """How far limits are used now, and whether this target has a place there already."""
    plain = to_json([asdict(one) for one in limits])
    async with single_statement(engine) as connection:
        found = (await connection.execute(USAGE, {"budgets": plain, "target": target})).scalar_one()
    return [Reached.model_validate(one) for one in found]

"""The guard rail that no playbook and no approval goes around: what must never be touched is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.ledger import UNDO
from orchestrator.contract import Effect
from orchestrator.errors import RefusedByPolicy
from orchestrator.language.host import ActionCall, RunContext
from orchestrator.language.never_touch import (
    NeverTouchList,
    Touch,
    is_guarded,
    names_in_parameters,
    own_lists,
    touched,
)


class NeverTouch:
    """Refuses what would touch something on a never-touch list of the site, or Tocsin's own infrastructure.

    `lists` gives the lists as they are now and may read files; it is asked in a thread. `own` are the hosts that Tocsin
    itself needs, by name or by address.
    """

    name = "never_touch"
    standing = True

    def __init__(
        self,
        capabilities: Mapping[str, AnyCapability],
        lists: Callable[[], Sequence[NeverTouchList]],
        own: Iterable[str] = (),
    ) -> None:
        self._capabilities = capabilities
        self._lists = lists
        self._own = own_lists(own)

    async def check(self, context: RunContext, call: ActionCall, request: CanonicalRequest, effect: Effect) -> None:
        """Refuse what touches something; an undo gives back, and is never refused."""
        if not is_guarded(effect) or UNDO in call.path:
            return
        parameters = self._capabilities[request.capability].takes.model_validate(request.parameters)
        found = await self.touched(dict(parameters))
        if found is not None:
            raise RefusedByPolicy(f"step {call.step}: {found}", facts=facts_of(found))

    async def touched(self, parameters: Mapping[str, object]) -> Touch | None:
        """What these parameters, by their names, would touch that must not be; the lists are as they are now."""
        names = tuple(names_in_parameters(parameters))
        return touched(names, [*self._own, *await asyncio.to_thread(self._lists)]) if names else None


def facts_of(found: Touch) -> dict[str, object]:
    """What the audit keeps of a refusal, for machines."""
    return {
        "rail": NeverTouch.name,
        "named": found.named.text,
        "list": found.list,
        "entry": found.entry,
        "trouble": found.trouble or None,
    }

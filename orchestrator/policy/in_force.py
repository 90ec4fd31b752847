"""The one door through which rails and commands get the policy in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol

import structlog

from orchestrator.errors import Unavailable
from orchestrator.policy.modes import Asked, Decided
from orchestrator.policy.policy import DEFAULT, Policy, read_policy
from orchestrator.policy.store import PolicyStore

log = structlog.get_logger()
FRESH = 1.0
"""seconds for which a look counts. What is sent is held to the policy of its moment all the same: see `intend`"""


class Ruled(NamedTuple):
    """A mode, and the policy that says so."""

    policy: Policy
    mode: Decided


class PolicyInForce(Protocol):
    """The policy in force. Raises `Unavailable` where nobody can say which one is."""

    async def now(self, *, anew: bool = False) -> Policy:
        """The policy, as it was a moment ago at the latest; `anew` where it is known to be another by now."""
        ...

    async def ruled(self, asked: Asked, *, anew: bool = False) -> Ruled:
        """The mode of what is asked, a playbook's age taken into account."""
        ...


class Fixed:
    """One policy for ever: the defaults where none is named."""

    def __init__(self, policy: Policy = DEFAULT) -> None:
        self._policy = policy

    async def now(self, *, anew: bool = False) -> Policy:
        """See `PolicyInForce.now`."""
        return self._policy

    async def ruled(self, asked: Asked, *, anew: bool = False) -> Ruled:
        """See `PolicyInForce.ruled`."""
        return Ruled(self._policy, self._policy.mode(asked))


class Recorded:
    """The policy that Postgres has; the defaults where it has none.

    A policy that another release has written, and this one cannot read, is as if nobody could say which one is in
    force: what would change something waits.
    """

    def __init__(
        self, store: PolicyStore, clock: Callable[[], float] = time.monotonic, default: Policy = DEFAULT
    ) -> None:
        self._store = store
        self._clock = clock
        self._policy = self._default = default
        self._looked: float | None = None
        self._looking = asyncio.Lock()
        self._begun: dict[str, float] = {}

    async def now(self, *, anew: bool = False) -> Policy:
        """See `PolicyInForce.now`."""
        if anew or self._outdated():
            async with self._looking:  # of many who ask at once one looks
                if anew or self._outdated():
                    looked = self._clock()
                    if await self._store.digest() != self._policy.digest:
                        self._policy = await self._read()
                    self._looked = looked
        return self._policy

    def _outdated(self) -> bool:
        return self._looked is None or self._clock() - self._looked > FRESH

    async def ruled(self, asked: Asked, *, anew: bool = False) -> Ruled:
        """See `PolicyInForce.ruled`."""
        policy = await self.now(anew=anew)
        if asked.playbook is not None and policy.goes_by_age(asked.playbook):
            asked = replace(asked, age=await self._age(asked.playbook))
        return Ruled(policy, policy.mode(asked))

    async def _age(self, playbook: str) -> float | None:
        """How long ago it came into force first: that never changes, and is asked once."""
        if playbook not in self._begun:
            age = await self._store.age(playbook)
            if age is None:
                return None
            self._begun[playbook] = self._clock() - age
        return self._clock() - self._begun[playbook]

    async def _read(self) -> Policy:
        found = await self._store.now()
        if found is None:
            return self._default
        parsed = read_policy(found.content, found.file)
        if parsed.policy is None:
            log.error("policy.not_read", error=str(parsed.findings[0]), digest=found.digest)
            raise Unavailable(f"the policy in force cannot be read by this release: {parsed.findings[0]}")
        return parsed.policy

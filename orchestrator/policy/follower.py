"""Follows the policy's file: what is good comes into force; what is not leaves the last good one, and is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from orchestrator.errors import Finding, Place
from orchestrator.policy.file import PolicyFile, find_policy, policy_path
from orchestrator.policy.section import Known
from orchestrator.policy.store import PolicyStore

log = structlog.get_logger()
GONE = "the file is gone, and the policy that it held stays in force"
HOW_TO = "put it back; to have the defaults again, write a policy that has a `title` alone"


class PolicyFollower:
    """Looks at the file; `known` says what a policy can name here, and is asked in a thread."""

    def __init__(self, playbooks: Path, store: PolicyStore, known: Callable[[], Known]) -> None:
        self._playbooks = playbooks
        self._store = store
        self._known = known
        self._seen: PolicyFile | None = None
        self._taken: PolicyFile | None = None
        self._serves = False

    async def look(self) -> bool:
        """Record what became of the file where it has changed and nobody is writing it.

        False where nothing should begin yet: the file is broken and no good one was ever in force, or this process has
        only begun to look. Raises `Unavailable`.
        """
        found = await asyncio.to_thread(find_policy, self._playbooks)
        settled, self._seen = found == self._seen, found
        if settled and found != self._taken:
            self._serves = await self._take(found)
            self._taken = found
        return self._serves

    async def _take(self, found: PolicyFile) -> bool:
        if found.text is None and not found.findings:
            return await self._absent()
        parsed = found.parsed(await asyncio.to_thread(self._known))
        if parsed.policy is None:
            return await self._refuse(parsed.errors)
        if await self._store.put(parsed.policy):
            log.info("policy.in_force", file=found.path, digest=parsed.policy.digest)
        return True

    async def _absent(self) -> bool:
        """A site may have no policy. One that had one goes on with it: a folder that is not mounted looks like this."""
        if await self._store.digest() is None:
            log.info("policy.default", file=str(policy_path(self._playbooks)), why="there is no such file")
            return True
        return await self._refuse([Finding(Place(str(policy_path(self._playbooks)), 1), "gone", GONE, HOW_TO)])

    async def _refuse(self, findings: list[Finding]) -> bool:
        stays = await self._store.refuse(findings)
        kept = "the last good one stays in force" if stays else "none ever was good, so no alert is read"
        log.error("policy.refused", errors=len(findings), first=str(findings[0]), kept=kept)
        return stays

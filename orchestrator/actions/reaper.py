"""The reaper: what nobody holds any more is taken back, from the ledger alone, whatever became of the runs."""

from __future__ import annotations

import asyncio

import structlog

from orchestrator.actions.ledger import Ledger
from orchestrator.actions.undoing import Undoing
from orchestrator.errors import Unavailable

log = structlog.get_logger()
AT_ONCE = 8
"""effects that are taken back side by side: one target that hangs holds up no other"""


class Reaper:
    """A duty of the keeper. It waits for no target: what it began goes on beside the other duties."""

    name = "reaper"

    def __init__(self, ledger: Ledger, undoing: Undoing) -> None:
        self._ledger = ledger
        self._undoing = undoing
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def once(self) -> int:
        """Begin to take back what is due."""
        self._under_way = {shared: task for shared, task in self._under_way.items() if not task.done()}
        free = AT_ONCE - len(self._under_way)
        if free <= 0:
            return 0
        due = [one for one in await self._ledger.due(AT_ONCE * 2) if one not in self._under_way][:free]
        for shared in due:
            self._under_way[shared] = asyncio.create_task(self._end(shared))
        return len(due)

    async def settled(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _end(self, shared: str) -> None:
        try:
            await self._undoing.end(shared, by="expiry")
        except Unavailable as error:
            log.warning("reaper.waiting", error=str(error))
        except Exception:  # the duty goes on with the others; the lease lets this one be tried again
            log.exception("reaper.broke", effect=shared)

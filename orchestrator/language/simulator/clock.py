"""An event loop that skips the time: a test of days takes milliseconds, and everything happens in its true order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from orchestrator.errors import TocsinError

T = TypeVar("T")
FINEST = 1e-6
"""seconds; timers of one moment, reckoned in different ways, ring together"""
PRECISION = 1e-15
"""of a number of seconds: after centuries, what is finer than this would never come"""
MOST_AT_ONCE = 86_400.0
"""seconds that a loop of asyncio waits in one piece"""


class NothingMoves(TocsinError):
    """All that is left waits for something that never comes."""


class _Skipping(selectors.SelectSelector):
    """Nothing ever comes from outside, so waiting for it is only time that passes."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """No events; where the loop has nothing to do until then, that moment is now."""
        if timeout is None:
            raise NothingMoves("everything waits for something that never comes")
        self._skip(max(timeout, 0.0))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while anything is ready, and jumps to the next timer when nothing is."""

    _clock_resolution: float
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        self._passed = 0.0
        super().__init__(_Skipping(self._skip))
        self._clock_resolution = FINEST

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._passed

    def _skip(self, seconds: float) -> None:
        self._passed += seconds
        if seconds >= MOST_AT_ONCE and self._scheduled:
            self._passed = max(self._passed, self._scheduled[0].when())
        self._clock_resolution = max(FINEST, self._passed * PRECISION)


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, with all its waiting skipped; raises `NothingMoves` where it would wait for ever."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        _abandon(loop)
        loop.close()


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Let go of what still waits."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        with suppress(NothingMoves):
            loop.run_until_complete(asyncio.wait(left))

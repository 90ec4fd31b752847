"""Servers that tests start beside the local stack: ended with the block, and with us however we end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator.local.part import Launch
from orchestrator.local.processes import end_of, start_guarded


@asynccontextmanager
async def a_server(launch: Launch, folder: Path, ready: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
    """The server, run in the folder, once it is ready; fails with the end of its log where it ends before that."""
    guarded = start_guarded(launch, folder)
    try:
        while not await ready():
            assert guarded.server.process(), end_of(folder / "log")
            await asyncio.sleep(0.05)
        yield
    finally:
        await guarded.end()

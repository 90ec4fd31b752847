"""A browser, and what a run needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from tests.browser.chromium import Browser, chromium
from tests.workflow.bench import Bench


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A Chromium of this test's own."""
    async with chromium(tmp_path) as browser:
        yield browser


@pytest.fixture
def bench(temporal: Client, engine: AsyncEngine, task_queue: str) -> Bench:
    """Everything that a run needs but the worker."""
    return Bench(temporal, engine, task_queue)

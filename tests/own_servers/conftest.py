"""What the tests of a user's own servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.local.lab import Lab
from tests.own_servers.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that servers and clients trust."""
    return Authority(tmp_path_factory.mktemp("own") / "authority", "Test authority")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The target of the site's actions."""
    async with Lab(tmp_path / "lab") as lab:
        yield lab

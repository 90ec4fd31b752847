"""A site with an empty folder on a fresh database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.versions.site import Site


@pytest.fixture
def site(engine: AsyncEngine, tmp_path: Path) -> Site:
    return Site(tmp_path / "playbooks", engine)

"""What tests of intake share."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import Settings
from tests.alerts.desk import Desk


@pytest.fixture
def desk(settings: Settings, stack: Endpoints, engine: AsyncEngine) -> Desk:
    """An intake's surroundings, for one test."""
    return Desk(settings, stack, engine)

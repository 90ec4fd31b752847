"""A target in this process, and the ledger on the real Postgres."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.actions.ledger import PostgresLedger
from tests.actions.bench_target import Target


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return scan()


@pytest.fixture
def ledger(engine: AsyncEngine) -> PostgresLedger:
    return PostgresLedger(engine)


@pytest.fixture
def target() -> Target:
    return Target()

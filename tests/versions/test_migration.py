"""What the release before has registered stays known."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import make_engine
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.prepare import migrate, migrations_folder
from orchestrator.versions.history import listed

_numbers = itertools.count(1)


@pytest.fixture
async def empty(stack: Endpoints) -> AsyncIterator[AsyncEngine]:
    """A database without a schema."""
    name = f"empty_{next(_numbers)}"
    admin = make_engine(stack.database).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    engine = make_engine(make_url(stack.database).set(database=name).render_as_string(hide_password=False))
    yield engine
    await engine.dispose()
    async with admin.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await admin.dispose()


def _to_the_release_before(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")


async def test_versions_of_the_release_before_stay_registered_under_their_names(empty: AsyncEngine) -> None:
    """Runs may be open on them. None is in force until an intake has looked at its folder."""
    document = '{"title": "Before"}'
    async with empty.begin() as connection:
        await connection.run_sync(_to_the_release_before)
        await connection.execute(
            text("INSERT INTO tocsin.playbook_version VALUES ('sha256:1', 'contain', CAST(:document AS jsonb), 'x')"),
            {"document": document},
        )
    await migrate(empty.url.render_as_string(hide_password=False))
    (one,) = await listed(empty)
    assert (one.name, one.title, one.digest, one.state) == ("contain", "Before", "sha256:1", "not in force")

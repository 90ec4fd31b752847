"""The way to Postgres: one engine a process; failures that waiting may mend become `Unavailable`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import Unavailable

# classes 08 (connection), 53 (resources), 57 (operator intervention), 40 (rolled back): it may be well again later
_PASSING = ("08", "53", "57", "40")


def make_engine(url: str, *, pool: int = 10) -> AsyncEngine:
    """An engine for this address; nothing is connected yet. `postgresql://` is taken to mean asyncpg."""
    address = make_url(url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+asyncpg")
    return create_async_engine(
        address,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
        connect_args={"timeout": 5, "command_timeout": 30},
    )


@contextmanager
def reaching_postgres() -> Iterator[None]:
    """Raise `Unavailable` for what will pass (server away, restarting, overloaded); let the rest through as it is."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout, asyncpg.InterfaceError, InterfaceError) as error:
        raise Unavailable(f"Postgres cannot be reached: {type(error).__name__}") from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if error.connection_invalidated or state.startswith(_PASSING):
            raise Unavailable(f"Postgres cannot serve now (SQLSTATE {state or 'none'})") from error
        raise


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection in one transaction, committed at the end; failures as in `reaching_postgres`."""
    with reaching_postgres():
        async with engine.begin() as connection:
            yield connection


@asynccontextmanager
async def single_statement(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection on which each statement is a transaction of its own: one round trip."""
    with reaching_postgres():
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")


def storable(text: str | None) -> str | None:
    """Text that Postgres takes: a NUL becomes the symbol for NUL (U+2400)."""
    return None if text is None else text.replace("\0", "\u2400")

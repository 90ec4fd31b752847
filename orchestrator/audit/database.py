"""The way to Postgres: one engine a process; failures that waiting may mend become `Unavailable`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import Refused, SettingsError, Unavailable

# classes 08 (connection), 53 (resources), 57 (operator intervention), 40 (rolled back): it may be well again later
_PASSING = ("08", "53", "57", "40")
_NO_TABLES = ("42P01", "3F000")


def make_engine(url: str, *, pool: int = 10) -> AsyncEngine:
    """An engine for this address; nothing is connected yet.

    What libpq knows may stand behind `?` in it: sslmode, sslrootcert. Raises `SettingsError` where it is no address of
    Postgres, and later where Postgres does not let us in.
    """
    address = _address(url)
    _miss_no_file(address)
    where = f"{address.host or 'localhost'}:{address.port or 5432}/{address.database or ''}"
    dsn = address.render_as_string(hide_password=False)
    return create_async_engine(
        address.set(drivername="postgresql+asyncpg", query={}),
        async_creator=lambda: _connect(dsn, where),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
    )


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        address = URL.create("none")
    if address.drivername not in ("postgresql", "postgresql+asyncpg", "postgres"):
        raise SettingsError(  # the text may be a password in the wrong place, so it is not repeated
            "database.url: not an address of Postgres; it looks like postgresql://user:password@host:5432/name, with "
            "what is not a letter or digit in the password as %XX"
        )
    return address.set(drivername="postgresql")


def _miss_no_file(address: URL) -> None:
    """Name a file that is not there: the client would say that some file is not."""
    for name in ("sslrootcert", "sslcert", "sslkey"):
        file = address.query.get(name)
        if isinstance(file, str) and not Path(file).is_file():
            raise SettingsError(f"database.url: {name} names {file}, and there is no such file")


async def _connect(dsn: str, where: str) -> asyncpg.Connection:
    """A connection; says where it failed, and whether trying again is sensible."""
    try:
        return await asyncpg.connect(dsn=dsn, timeout=5, command_timeout=30)
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        fault = _fault(error, certified="sslcert=" in dsn)
        if fault:
            raise Refused(f"database.url: Postgres at {where} {fault}") from None
        how = "cannot serve now" if isinstance(error, asyncpg.PostgresError) else "cannot be reached"
        raise Unavailable(f"Postgres at {where} {how}: {error or type(error).__name__}") from error


def _fault(error: Exception, *, certified: bool) -> str | None:
    """What is wrong with the address or with what it names; None for what passes by itself."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"is not whom sslrootcert vouches for: {error}"
        case ssl.SSLError():
            return f"cannot be shown our certificate; sslcert and sslkey do not fit: {error}"
        case asyncpg.ConnectionDoesNotExistError() if certified:
            return "closes the connection; it may not take sslcert"
        case ConnectionError() if "rejected SSL" in str(error):
            return f"has no TLS, and sslmode asks for it: {error}"
        case asyncpg.CantChangeRuntimeParamError():
            return f"does not know this parameter: {error}; they are those of libpq, such as sslmode"
        case asyncpg.ClientConfigurationError():
            return f"cannot be asked so: {error}"
        case asyncpg.PostgresError() if not (error.sqlstate or "").startswith(_PASSING):
            return f"does not let us in: {error}"
    return None


async def greet(engine: AsyncEngine) -> bool:
    """Whether Postgres answers; raises `SettingsError` with what is wrong where it does not take us."""
    try:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT 1"))
    except Refused:
        raise
    except Unavailable:
        return False
    return True


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
        if state in _NO_TABLES:
            raise SettingsError("database.url: Tocsin's tables are not there; `tocsin up` makes them") from error
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
    """Text that Postgres takes: a NUL becomes the symbol for NUL (U+2400), half a surrogate pair becomes U+FFFD."""
    if text is None:
        return None
    return text.replace("\0", "\u2400").encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""The way to a Postgres of one's own: over TLS, as an ordinary role, and clear about what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from orchestrator.audit.database import make_engine, single_statement
from orchestrator.audit.events import Event, record
from orchestrator.audit.sequencer import Sequencer
from orchestrator.errors import SettingsError, TocsinError, Unavailable
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.prepare import migrate

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


async def ask(url: str, question: str = "SELECT 1") -> object:
    engine = make_engine(url)
    try:
        async with single_statement(engine) as connection:
            return (await connection.execute(text(question))).scalar_one()
    finally:
        await engine.dispose()


def changed(url: str, **parts: object) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (lambda url: changed(url, password="wrong"), SettingsError, "does not let us in: password"),
        (lambda url: changed(url, database="nowhere"), SettingsError, "does not let us in: database"),
        (lambda url: changed(url, port=1), Unavailable, "127.0.0.1:1/"),
        (lambda url: changed(url, query={"sslmode": "require"}), Unavailable, "rejected SSL upgrade"),
        (lambda url: changed(url, query={"sslmode": "on"}), SettingsError, "sslmode"),
        (lambda url: changed(url, drivername="mysql"), SettingsError, "looks like postgresql://"),
        (lambda url: make_url(url).password, SettingsError, "looks like postgresql://"),
    ],
)
async def test_what_is_wrong_with_an_address_is_said_without_the_password(
    database: str, change: Callable[[str], str], kind: type[TocsinError], says: str
) -> None:
    """Settings that no waiting mends, and a server that is away, are told apart."""
    with pytest.raises(kind, match=says) as refused:
        await ask(change(database))
    assert str(make_url(database).password) not in str(refused.value)


async def test_an_ordinary_role_and_any_password_will_do(stack: Endpoints, engine_of_superuser: URL) -> None:
    """Who owns the database makes the schema and works in it; no right beyond that is needed."""
    url = engine_of_superuser.set(username="plain", password="p@ss:w/rd#? +%", database="plain_site")
    site = url.render_as_string(hide_password=False)
    await migrate(site)
    await migrate(site)
    engine = make_engine(site)
    async with engine.begin() as connection:
        await record(connection, [Event(type="tried", run="r")])
    assert await Sequencer(engine).once() == 1
    await engine.dispose()
    assert await ask(site, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


@pytest.fixture
async def engine_of_superuser(stack: Endpoints) -> AsyncIterator[URL]:
    """The server's address; a role and a database of its own are there for the length of the test."""
    admin = make_engine(stack.database).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text("CREATE ROLE plain LOGIN PASSWORD 'p@ss:w/rd#? +%'"))
        await connection.execute(text("CREATE DATABASE plain_site OWNER plain"))
    yield make_url(stack.database)
    async with admin.connect() as connection:
        await connection.execute(text("DROP DATABASE plain_site WITH (FORCE)"))
        await connection.execute(text("DROP ROLE plain"))
    await admin.dispose()


async def test_over_tls_the_server_has_to_be_the_right_one(database: str, tmp_path: Path) -> None:
    """With the authority that signed its certificate we are in; with another we are not, and told why."""
    for name in ("right", "wrong"):
        make_certificate(tmp_path, name)
    async with in_front_of(database, tmp_path / "right.pem", tmp_path / "right.key") as port:
        query = {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "right.pem")}
        assert await ask(changed(database, host="localhost", port=port, query=query)) == 1
        query["sslrootcert"] = str(tmp_path / "wrong.pem")
        with pytest.raises(SettingsError, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(changed(database, host="localhost", port=port, query=query))
        query["sslrootcert"] = str(tmp_path / "missing.pem")
        with pytest.raises(SettingsError, match=r"missing\.pem"):
            await ask(changed(database, host="localhost", port=port, query=query))


def make_certificate(folder: Path, name: str) -> None:
    """A certificate for localhost that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / f"{name}.key", "-out",
            folder / f"{name}.pem",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


@asynccontextmanager
async def in_front_of(database: str, certificate: Path, key: Path) -> AsyncIterator[int]:
    """The real Postgres behind TLS: its wheel is built without, so this ends it as a pooler in front would."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    behind = make_url(database)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
            postgres, to_postgres = await asyncio.open_connection(behind.host, behind.port)
            await asyncio.gather(pass_on(reader, to_postgres), pass_on(postgres, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()

"""A PostgreSQL of another release than the local stack's, which takes nobody without TLS and a password."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from orchestrator.local import ports
from orchestrator.local.part import Launch
from orchestrator.local.postgres import as_somebody
from orchestrator.settings import child_environment
from tests.own_servers.certificates import Authority
from tests.servers import a_server

PASSWORD = "correct horse @/:?"
RULES = """
local all postgres trust
hostssl all tocsin 127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 cert
"""


@dataclass(frozen=True)
class SecuredPostgres:
    """Where it listens, and the folder of its socket, which is the administrator's way in."""

    port: int
    folder: Path
    authority: Authority

    async def add_database(self, name: str, owner: str) -> None:
        """An empty database."""
        admin = await self._admin()
        await admin.execute(f"CREATE DATABASE {name} OWNER {owner}")
        await admin.close()

    async def add_user(self, name: str) -> None:
        """A user who has no rights but to sign in, with `PASSWORD` or a certificate of that name."""
        admin = await self._admin()
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        await admin.close()

    async def _admin(self) -> asyncpg.Connection:
        return await asyncpg.connect(host=str(self.folder), port=self.port, user="postgres", database="postgres")


@asynccontextmanager
async def secured_postgres(folder: Path, authority: Authority) -> AsyncIterator[SecuredPostgres]:
    """Debian's PostgreSQL, for as long as the block runs."""
    programs = _programs()
    folder.mkdir()
    data, pair = folder / "data", authority.issue_for_loopback("postgres")
    await asyncio.to_thread(_initialise, programs, data)
    (data / "pg_hba.conf").write_text(RULES)
    (port,) = ports.choose(["postgres"], {}, {}, any_port=True).values()
    options = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "ssl": "on",
        "ssl_cert_file": pair.certificate, "ssl_key_file": pair.key, "ssl_ca_file": authority.certificate,
    }  # fmt: skip
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    launch = Launch(
        [*as_somebody(), str(programs / "postgres"), "-D", str(data), *given],
        child_environment(LC_ALL="C"), signal.SIGINT,
    )  # fmt: skip
    server = SecuredPostgres(port, folder, authority)
    async with a_server(launch, folder, lambda: _answers(server)):
        yield server


def _initialise(programs: Path, data: Path) -> None:
    command = [*as_somebody(), str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--no-sync"]
    subprocess.run(command, env=child_environment(LC_ALL="C"), check=True, capture_output=True, timeout=60)


def _programs() -> Path:
    """The folder of the newest PostgreSQL that Debian installed; the local stack's own has no TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("not installed here: postgresql (.ci/packages.sh installs it)")
    return found[-1].parent


async def _answers(server: SecuredPostgres) -> bool:
    try:
        await (await server._admin()).close()
    except (OSError, asyncpg.PostgresError):
        return False
    return True

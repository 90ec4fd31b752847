"""The real servers that tests talk to, started once a session; each test has a database and topics of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from orchestrator.audit.database import make_engine
from orchestrator.contract import Secret
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.prepare import make_topics, prepare
from orchestrator.local.stack import running_stack
from orchestrator.settings import (
    DatabaseSettings,
    KafkaSettings,
    KeeperSettings,
    Settings,
    TemporalSettings,
    Topics,
)
from orchestrator.workflow.client import connect

ROOT = Path(__file__).parent.parent
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts what runs in the background so, and then Ctrl-C would do nothing to what tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)
_numbers = itertools.count(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded with `record_property`: numbers that show that they hit something."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid.partition('::')[2]}: {name}: {value}")


@pytest.fixture(scope="session", autouse=True)
def passing_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that goes with us, in memory where there is much of it: making databases there takes a tenth.

    However we end, servers that tests left running, as `tocsin up` does, end too.
    """
    folder = Path(tempfile.mkdtemp(prefix="tocsin-", dir=MEMORY if _roomy(MEMORY) else None))
    watch = [sys.executable, "-m", "tests.left_behind", str(tmp_path_factory.getbasetemp()), str(folder)]
    with subprocess.Popen(watch, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True):
        yield folder


def _roomy(folder: Path) -> bool:
    """Whether servers may fill it: some container runtimes give it 64 MB."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 8 << 30


@pytest.fixture(scope="session")
async def stack(passing_folder: Path) -> AsyncIterator[Endpoints]:
    """Postgres, Temporal and Kafka, on free ports, gone at the end."""
    async with running_stack(Settings(), folder=passing_folder) as endpoints:
        await prepare(Settings(), endpoints)
        yield endpoints


@pytest.fixture(scope="session")
async def _template(stack: Endpoints) -> str:
    """A migrated database that is copied for each test; nothing of it has to outlive a power cut."""
    engine = make_engine(stack.database).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("ALTER SYSTEM SET fsync = off"))
        await connection.execute(text("SELECT pg_reload_conf()"))
        await connection.execute(text("CREATE DATABASE clean TEMPLATE tocsin"))
    await engine.dispose()
    return "clean"


@asynccontextmanager
async def fresh_database(stack: Endpoints, template: str) -> AsyncIterator[str]:
    """A database with today's schema for as long as the block runs; its address."""
    name = f"test_{next(_numbers)}"
    admin = make_engine(stack.database).execution_options(isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield make_url(stack.database).set(database=name).render_as_string(hide_password=False)
    async with admin.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await admin.dispose()


@pytest.fixture
async def database(stack: Endpoints, _template: str) -> AsyncIterator[str]:
    """The address of a fresh database with today's schema."""
    async with fresh_database(stack, _template) as address:
        yield address


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the fresh database."""
    engine = make_engine(database)
    yield engine
    await engine.dispose()


@pytest.fixture
def task_queue() -> str:
    """A task queue that no other test uses."""
    return new_task_queue()


def new_task_queue() -> str:
    """A name that nobody else uses."""
    return f"queue-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def settings(stack: Endpoints, database: str, task_queue: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings that point at the servers, with a database, a task queue and topics of their own."""
    with settings_for(stack, database, task_queue, tmp_path) as made:
        yield made


@contextmanager
def settings_for(stack: Endpoints, database: str, task_queue: str, folder: Path) -> Iterator[Settings]:
    """See `settings`; the topics live for as long as the block runs."""
    mine = f"t{os.getpid()}-{next(_numbers)}"
    topics = Topics(alerts=f"{mine}.alerts", audit=f"{mine}.audit", dead_letters=f"{mine}.dead-letters")
    made = Settings(
        home=folder / "home",
        playbooks=ROOT / "playbooks",
        kafka=KafkaSettings(bootstrap=stack.kafka, topics=topics),
        temporal=TemporalSettings(address=stack.temporal, ui=stack.temporal_ui, task_queue=task_queue),
        database=DatabaseSettings(url=Secret(database)),
        keeper=KeeperSettings(poll_seconds=0.05),
    )
    make_topics(made, stack.kafka)
    yield made
    AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0}).delete_topics(list(topics.model_dump().values()))


@pytest.fixture
async def temporal(settings: Settings, stack: Endpoints) -> Client:
    """A client of the real Temporal."""
    return await connect(settings.temporal, stack.temporal)


@pytest.fixture
def no_maven(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without Maven, on which the broker's jars were never fetched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if unshare := shutil.which("unshare"):  # PostgreSQL does not run as root without it
        (programs / "unshare").symlink_to(unshare)
    return {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache")}

"""The local stack: up, used, down; two at once; and nothing left behind, however it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from orchestrator.cli.stack import rows
from orchestrator.contract import Secret
from orchestrator.errors import StackError
from orchestrator.local import stack as local_stack
from orchestrator.local.endpoints import Endpoints, current_endpoints, read_state
from orchestrator.local.folders import FolderTaken, empty_folder, locked
from orchestrator.local.kafka import builtin_test_broker, have_jars
from orchestrator.local.part import Launch, Ports
from orchestrator.local.ports import any_free
from orchestrator.local.prepare import prepare
from orchestrator.local.processes import GUARD, run_guarded
from orchestrator.local.processes import Started as KnownProcess
from orchestrator.local.stack import down, missing_parts, up
from orchestrator.settings import (
    DatabaseSettings,
    KafkaSettings,
    LocalSettings,
    Settings,
    TemporalSettings,
    child_environment,
)
from tests.command import Started, tocsin
from tests.left_behind import known_to

RUNS = """
import asyncio, sys
from orchestrator.local.stack import running_stack
from orchestrator.settings import load_settings
async def main():
    async with running_stack(load_settings()) as endpoints:
        print("up", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def sql(database: str, statement: str) -> object:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_survive_down_and_up_and_a_second_up_starts_nothing(tmp_path: Path) -> None:
    """The servers outlive the command that started them, and are known again by pid and birth; in any folder."""
    tmp_path = tmp_path / "jürgen's, a%20b #1"
    settings = Settings(home=tmp_path)
    endpoints = await up(settings)
    try:
        await prepare(settings, endpoints)
        await sql(endpoints.database, "CREATE TABLE kept AS SELECT 42 AS answer")
        before = read_state(tmp_path).parts
        assert await up(settings) == endpoints
        assert read_state(tmp_path).parts == before
        assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0

        assert sorted(await down(settings)) == ["kafka", "postgres", "temporal"]
        assert all(started.process() is None for started in before.values())
        with pytest.raises(StackError, match="tocsin up"):
            current_endpoints(settings)

        again = await up(settings)
        assert await sql(again.database, "SELECT answer FROM kept") == 42
    finally:
        await down(settings)
    assert await down(settings) == []


async def test_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    """Somebody else listens on the usual port: Postgres comes up on another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = only("postgres", tmp_path, local=LocalSettings(postgres_port=port))
        try:
            endpoints = await up(settings)
            assert f":{port}/" not in endpoints.database
            assert await sql(endpoints.database, "SELECT 1") == 1
        finally:
            await down(settings)


def only(part: str, home: Path, **more: object) -> Settings:
    """Settings by which only one part is started here; the others are said to be elsewhere."""
    own: dict[str, object] = {
        "kafka": KafkaSettings(bootstrap="127.0.0.1:1"),
        "temporal": TemporalSettings(address="127.0.0.1:1"),
        "postgres": DatabaseSettings(url=Secret("postgresql://nobody@127.0.0.1:1/none")),
    }
    own["database"] = own.pop("postgres")
    own.pop("database" if part == "postgres" else part)
    return Settings.model_validate({"home": home, **own, **more})


def test_what_the_settings_name_is_not_started() -> None:
    """`up` starts only what is missing."""
    assert [part.name for part in missing_parts(only("temporal", Path()))] == ["temporal"]
    assert [part.name for part in missing_parts(Settings())] == ["kafka", "temporal", "postgres"]


ELSEWHERE = {"TOCSIN_KAFKA__BOOTSTRAP": "127.0.0.1:1", "TOCSIN_TEMPORAL__ADDRESS": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("how", "own", "processes"),
    [(signal.SIGINT, ELSEWHERE, 2), (signal.SIGTERM, ELSEWHERE, 2), (signal.SIGKILL, {}, 6)],
)
def test_nothing_is_left_behind_however_the_process_ends(
    how: signal.Signals, own: dict[str, str], processes: int
) -> None:
    """Ctrl-C, a plain end, and, with all of them, kill -9: the servers and their guards are gone soon after."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=child_environment(**own)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= processes
    os.kill(process.pid, how)
    process.wait(30)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


class Broken:
    """A part that cannot start."""

    name = "kafka"
    ports = ("kafka",)

    async def prepare(self, folder: Path, ports: Ports) -> Launch:
        return Launch(["/bin/sh", "-c", "echo the disk is on fire >&2; exit 3"], dict(os.environ))

    async def healthy(self, folder: Path, ports: Ports) -> bool:
        return False

    def address(self, folder: Path, ports: Ports) -> dict[str, str]:
        return {}


async def test_a_part_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    """With the end of its log; nothing of it stays."""
    starter = local_stack._Starter(Settings(home=tmp_path), read_state(tmp_path), lambda part, what: None)
    with pytest.raises(StackError, match="the disk is on fire"):
        await starter.start([Broken()])
    await starter.undo()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_up_that_is_cut_short_leaves_nothing_behind(how: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, a plain end, and kill -9 while some servers are up and others are not; the next `up` starts anew."""
    # under a guard, since it would come to its end and stay if these tests were cut short
    command = [
        sys.executable,
        str(GUARD),
        str(int(signal.SIGKILL)),
        sys.executable,
        "-m",
        "orchestrator.cli.main",
        "up",
    ]
    ours, guards = socket.socketpair()
    with ours, guards:
        guard = subprocess.Popen(
            command, stdin=guards.fileno(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env=child_environment(TOCSIN_HOME=str(tmp_path)),
        )  # fmt: skip
        pid = int(ours.makefile().readline())
        assert guard.stderr is not None
        assert any(b"temporal  ready" in line for line in guard.stderr)
        assert known_to(tmp_path)
        os.kill(pid, how)
        assert guard.wait(30) in (130, 256 - how)
    psutil.wait_procs(known_to(tmp_path), timeout=20)
    assert known_to(tmp_path) == []
    assert read_state(tmp_path).parts == {}


async def test_what_cannot_be_made_ready_does_not_stay(tmp_path: Path) -> None:
    """`up` all or nothing: servers without topics, schema and attributes are of no use."""

    async def refuse(settings: Settings, endpoints: Endpoints) -> None:
        raise StackError("no")

    settings = only("postgres", tmp_path)
    with pytest.raises(StackError, match="no"):
        await up(settings, prepare=refuse)
    assert known_to(tmp_path) == []


@pytest.mark.parametrize("part", ["kafka", "temporal", "postgres"])
async def test_two_stacks_that_start_at_once_each_have_servers_of_their_own(part: str, tmp_path: Path) -> None:
    """Both find the same port free; one gets it, and the other takes its answer for nobody's and moves on."""
    usual = LocalSettings(**{f"{part}_port": any_free()})
    sites = [only(part, tmp_path / name, local=usual) for name in ("one", "two")]
    try:
        await asyncio.gather(*(up(site) for site in sites))
        states = [read_state(site.home) for site in sites]
        assert len({state.ports[part] for state in states}) == 2
        assert all(state.parts[part].listens_on(state.ports[part]) for state in states)
    finally:
        ended = [await down(site) for site in sites]
    assert ended == [[part], [part]]


async def test_ephemeral_data_end_with_the_stack_and_lasting_ones_never_by_mistake(tmp_path: Path) -> None:
    """Also where some servers are the user's own; `down` remembers how `up` was asked."""
    lasting = only("postgres", tmp_path)
    ephemeral = only("postgres", tmp_path, local=LocalSettings(ephemeral=True))
    try:
        await sql((await up(lasting)).database, "CREATE TABLE kept AS SELECT 42 AS answer")
        with pytest.raises(StackError, match="tocsin down"):
            await up(ephemeral)
        await down(lasting)

        assert await sql((await up(ephemeral)).database, "SELECT to_regclass('kept')") is None
        assert await up(ephemeral) == await up(lasting)
    finally:
        await down(lasting)
    assert not (tmp_path / "postgres").exists()


def test_a_process_is_known_by_its_birth_on_a_clock_that_nobody_sets() -> None:
    """The time of day may be put right while the servers run: they are still ours, and `down` ends them."""
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        known = KnownProcess.of(process.pid)
        try:
            assert began - 1 < known.born < time.clock_gettime(time.CLOCK_BOOTTIME) + 1
            assert known.process() is not None
            assert known.model_copy(update={"born": known.born + 1}).process() is None
        finally:
            process.kill()
    assert known.process() is None


async def test_a_server_that_hangs_is_sick_and_can_be_ended(tmp_path: Path) -> None:
    """Stopped, it is alive and answers nobody; nobody waits for it for ever."""
    settings = only("temporal", tmp_path)
    await up(settings)
    try:
        os.kill(read_state(tmp_path).parts["temporal"].pid, signal.SIGSTOP)
        assert {row["part"]: row["state"] for row in await rows(settings)}["temporal"] == "sick"
    finally:
        assert await down(settings) == ["temporal"]
    assert known_to(tmp_path) == []


async def test_two_ups_of_one_folder_are_kept_apart(tmp_path: Path) -> None:
    """The second says so instead of starting everything twice."""
    with locked(tmp_path), pytest.raises(FolderTaken):
        await up(Settings(home=tmp_path))


def test_demos_of_one_checkout_have_folders_of_their_own(tmp_path: Path) -> None:
    """The second does not throw away what the first works with; the third takes the first's place, empty."""
    with empty_folder(tmp_path, "demo") as first:
        (first / "postgres").mkdir()
        (first / "stack.json").touch()
        with empty_folder(tmp_path, "demo") as second:
            assert first != second
            assert (first / "postgres").exists()
    with empty_folder(tmp_path, "demo") as third:
        assert third == first
        assert [one.name for one in third.iterdir()] == ["lock"]


async def test_a_folder_that_is_not_ours_is_a_clear_mistake() -> None:
    """With the setting that names another."""
    with pytest.raises(StackError, match="TOCSIN_HOME"):
        await up(Settings(home=Path("/proc/nobody")))


@pytest.mark.parametrize("wreck", [b"", b'{"parts": {"kaf', b"[]", b"\xff"])
async def test_a_state_that_cannot_be_read_is_a_clear_mistake(wreck: bytes, tmp_path: Path) -> None:
    """With the file, and what to do: servers that it named may still run."""
    (tmp_path / "stack.json").write_bytes(wreck)
    for command in (up, down):
        with pytest.raises(StackError, match=r"stack\.json .* remove the file"):
            await command(Settings(home=tmp_path))


async def test_preparing_again_changes_nothing(settings: Settings) -> None:
    """Topics, attributes and schema are there already."""
    endpoints = current_endpoints(settings)
    await prepare(settings, endpoints)
    await prepare(settings, endpoints)


def test_without_maven_up_says_what_to_do(tmp_path: Path, no_maven: dict[str, str]) -> None:
    """Install it, or name a broker: both are said, and nothing stays."""
    done = tocsin("up", environment=child_environment(TOCSIN_HOME=str(tmp_path / "home"), **no_maven))
    assert done.returncode == 2
    assert "apt-get install maven" in done.stderr
    assert "TOCSIN_KAFKA__BOOTSTRAP" in done.stderr
    assert known_to(tmp_path) == []


def test_maven_ends_with_the_up_that_started_it(tmp_path: Path, no_maven: dict[str, str]) -> None:
    """kill -9 while the jars are fetched: neither the fetching goes on, nor do halves of it stay for ever."""
    maven = tmp_path / "bin" / "mvn"
    maven.write_text(f"#!/bin/sh\n: > '{tmp_path}/fetches'\nexec {shutil.which('sleep')} 60\n")
    maven.chmod(0o755)
    environment = child_environment(TOCSIN_HOME=str(tmp_path / "home"), **no_maven)
    said = tmp_path / "said"
    process = Started(["up"], environment, tmp_path, out=said, err=said)
    try:
        while not (tmp_path / "fetches").exists():
            assert process.runs
            time.sleep(0.02)
    finally:
        process.kill()
    psutil.wait_procs(known_to(tmp_path), timeout=20)
    assert known_to(tmp_path) == []

    maven.unlink()
    maven.symlink_to("/bin/false")
    again = tocsin("up", environment=environment)
    assert "Maven could not fetch" in again.stderr
    assert list((tmp_path / "cache" / "tocsin" / "kafka").iterdir()) == []


def test_a_program_that_takes_too_long_is_ended_with_a_reason(tmp_path: Path) -> None:
    """Such as a Maven that waits for a network: what it said so far, and nothing of it stays."""
    command = ["/bin/sh", "-c", f"echo still trying >&2; exec {shutil.which('sleep')} 60"]
    with pytest.raises(StackError, match=r"`sh` was not done within 1 s:\nstill trying"):
        run_guarded(command, tmp_path, dict(os.environ), seconds=1)
    assert known_to(tmp_path) == []


def test_the_built_in_test_broker_takes_records() -> None:
    """What the demo falls back on where there is no Maven."""
    from confluent_kafka import Producer  # noqa: PLC0415

    with builtin_test_broker() as address:
        producer = Producer({"bootstrap.servers": address})
        producer.produce("topic", b"x")
        assert producer.flush(10) == 0


def test_the_jars_are_kept_for_the_next_time() -> None:
    """Fetched once for all clones of this user."""
    assert have_jars()


async def test_waiting_for_a_part_ends(tmp_path: Path) -> None:
    """A server that runs and never serves is given up after the time that the settings allow."""

    class Silent(Broken):
        """Runs, and never answers."""

        async def prepare(self, folder: Path, ports: Ports) -> Launch:
            return Launch(["/bin/sleep", "60"], dict(os.environ))

    settings = Settings(home=tmp_path, local=LocalSettings(start_timeout=0.5))
    starter = local_stack._Starter(settings, read_state(tmp_path), lambda part, what: None)
    began = time.monotonic()
    with pytest.raises(StackError, match=r"within 0\.5 s"):
        await starter.start([Silent()])
    await starter.undo()
    await asyncio.sleep(0)
    assert time.monotonic() - began < 20

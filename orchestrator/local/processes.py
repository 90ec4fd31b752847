"""Start, recognise and end the processes of the stack. Only what we started is ever ended: by id and birth time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

from orchestrator.errors import StackError
from orchestrator.local.part import Launch

GUARD = Path(__file__).parent / "guard.py"


class Started(BaseModel):
    """A process by which it is known again: ids are used anew, an id with its birth time is not.

    `born` is in seconds since the machine's start: the time of day may be set meanwhile.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    born: float
    stop: int = signal.SIGTERM

    @classmethod
    def of(cls, pid: int, stop: int = signal.SIGTERM) -> Self:
        """The process that has this id now."""
        try:
            return cls(pid=pid, born=_born(psutil.Process(pid)), stop=stop)
        except psutil.NoSuchProcess:
            return cls(pid=pid, born=-1, stop=stop)

    def process(self) -> psutil.Process | None:
        """The process, if it still is that one and not a zombie."""
        try:
            process = psutil.Process(self.pid)
            same = abs(_born(process) - self.born) < 0.005 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def memory(self) -> int:
        """Resident bytes, its children's included; 0 when it is gone."""
        process = self.process()
        if process is None:
            return 0
        try:
            family = [process, *process.children(recursive=True)]
            return sum(int(one.memory_info().rss) for one in family)
        except psutil.NoSuchProcess:
            return 0

    def listens_on(self, port: int) -> bool:
        """Whether it listens there: what answers on a port may be somebody else's server."""
        process = self.process()
        if process is None:
            return False
        try:
            mine = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True  # a system that does not show it: then its answer has to do
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in mine)


@dataclass(frozen=True)
class Guarded:
    """A server that ends with us, however we end, until it is released."""

    server: Started
    _guard: subprocess.Popen[bytes]
    _line: socket.socket

    def release(self) -> None:
        """Let the server stay when we are gone."""
        with contextlib.suppress(OSError):  # the guard is gone, and so is its server
            self._line.sendall(b".")
        self._close()

    async def end(self, *, patience: float = 10.0) -> None:
        """End the server, by force after `patience` seconds; returns when it is gone."""
        await end(self.server, patience=patience)
        self._close()

    def _close(self) -> None:
        self._line.close()
        self._guard.wait()


def start_guarded(launch: Launch, folder: Path) -> Guarded:
    """Start a server in a session of its own, under a guard that ends it when we are gone; its log is in the folder."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    ours, guards = socket.socketpair()
    with guards, log.open("ab") as sink:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(int(launch.stop)), *launch.command],
            env=launch.environment, stdin=guards.fileno(), stdout=sink, stderr=sink, start_new_session=True, cwd=folder,
        )  # fmt: skip
    with ours.makefile() as said:
        pid = said.readline().strip()
    # a server that could not even be started is known by its guard, which has ended and logged why
    return Guarded(Started.of(int(pid) if pid else guard.pid, launch.stop), guard, ours)


def run_guarded(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder to its end, and take what it says; it ends early with us, however we end.

    Raises `StackError` where it is not done in time; then it is ended.
    """
    ours, guards = socket.socketpair()
    with ours, guards, subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(int(signal.SIGTERM)), *command],
        stdin=guards.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment, text=True,
    ) as guard:  # fmt: skip
        try:
            said, complained = guard.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            ours.close()  # its guard ends it
            guard.wait()
            end = "\n".join(((late.output or b"") + (late.stderr or b"")).decode(errors="replace").splitlines()[-10:])
            raise StackError(f"`{Path(command[0]).name}` was not done within {seconds:g} s:\n{end}") from None
    return subprocess.CompletedProcess(command, guard.returncode, said, complained)


def _born(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()


async def end(started: Started, *, patience: float = 10.0) -> None:
    """Ask the process to end, and insist after `patience` seconds; returns when it is gone."""
    process = started.process()
    if process is None:
        return
    try:
        family = [process, *process.children(recursive=True)]
        process.send_signal(started.stop)
    except psutil.NoSuchProcess:
        return
    if await _gone(started, patience):
        return
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    await _gone(started, 5.0)


async def _gone(started: Started, seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while started.process() is not None:
        _reap(started.pid)
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _reap(pid: int) -> None:
    """Take the exit code of a child of ours, so that it does not stay behind as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def end_of(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for people who need to know why."""
    if not log.exists():
        return "(it wrote no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:]) or "(its log is empty)"

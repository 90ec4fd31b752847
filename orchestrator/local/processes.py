"""Start, recognise and end the processes of the stack. Only what we started is ever ended: by id and birth time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from orchestrator.local.part import Launch

GUARD = Path(__file__).parent / "guard.py"


class Started(BaseModel):
    """A process by which it is known again: ids are used anew, an id with its birth time is not."""

    model_config = ConfigDict(frozen=True)

    pid: int
    born: float
    stop: int = signal.SIGTERM

    def process(self) -> psutil.Process | None:
        """The process, if it still is that one and not a zombie."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.born) < 0.5 and process.status() != psutil.STATUS_ZOMBIE
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


def start_detached(launch: Launch, log: Path) -> Started:
    """Start a server that outlives us."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            launch.command, env=launch.environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    return _known(process.pid, launch.stop)


def start_guarded(launch: Launch, log: Path) -> tuple[Started, subprocess.Popen[bytes]]:
    """Start a server that ends with us. The process given is its guard, whose input has to stay open."""
    with log.open("ab") as sink:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(int(launch.stop)), *launch.command],
            env=launch.environment, stdin=subprocess.PIPE, stdout=sink, stderr=sink, start_new_session=True, cwd="/",
        )  # fmt: skip
    return _known(guard.pid, signal.SIGTERM), guard


def _known(pid: int, stop: int) -> Started:
    return Started(pid=pid, born=psutil.Process(pid).create_time(), stop=stop)


async def end(started: Started, *, patience: float = 10.0) -> None:
    """Ask the process to end, and insist after `patience` seconds; returns when it is gone."""
    process = started.process()
    if process is None:
        return
    family = [process, *process.children(recursive=True)]
    process.send_signal(started.stop)
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

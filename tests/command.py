"""The command in a process of its own, without the seconds that reading its modules takes: they are read once.

A server that has read them forks for each command (`multiprocessing`'s fork server, which ends with us). What a
terminal or a start that is cut short needs is started as people start it: see `tests/terminal.py`, `tests/local`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.all_commands"])


class Started:
    """The command from its start on: what it says is added to files, and it takes every signal."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, out: Path, err: Path,
        given: Path = Path(os.devnull),
    ) -> None:  # fmt: skip
        files = [str(file) for file in (given, out, err)]
        self._arguments = arguments
        self._process = _SERVER.Process(target=_run, args=(arguments, dict(environment), str(folder), *files))
        self._process.start()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.exitcode is None

    def send(self, signal: int) -> None:
        """Send it a signal."""
        assert self.runs
        assert self._process.pid
        os.kill(self._process.pid, signal)

    def end(self, seconds: float | None = None) -> int:
        """Its exit code, once it has ended; killed by a signal it is that, below zero.

        Raises `subprocess.TimeoutExpired`; it is killed then.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self._arguments, seconds or 0)
        return self._process.exitcode

    def kill(self) -> None:
        """kill -9, where it still runs."""
        self._process.kill()
        self._process.join()


def tocsin(
    *arguments: str, environment: Mapping[str, str], folder: Path = ROOT, stdin: str = "", seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    """What the command does and says."""
    with tempfile.TemporaryDirectory() as scratch:
        given, out, err = (Path(scratch) / name for name in ("in", "out", "err"))
        given.write_text(stdin)
        started = Started(arguments, environment, folder, given=given, out=out, err=err)
        try:
            code = started.end(seconds)
        except subprocess.TimeoutExpired as expired:
            expired.output, expired.stderr = out.read_text(), err.read_text()
            raise
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: str, given: str, out: str, err: str) -> None:
    """In the forked process: what a new one would have around it."""
    from orchestrator.cli.main import main  # noqa: PLC0415 - read by the server already

    added = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, name, flags in ((0, given, os.O_RDONLY), (1, out, added), (2, err, added)):
        os.dup2(os.open(name, flags, 0o600), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the server's own stands at no file
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tocsin", *arguments]
    main()

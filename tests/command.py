"""The command in a process of its own, without the seconds that reading its modules takes: they are read once.

A server that has read them forks for each command (`multiprocessing`'s fork server, which ends with us). What takes a
real start, such as signals or servers, is started as people start it: see `tests/faults/processes.py`.
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


def tocsin(
    *arguments: str, environment: Mapping[str, str], folder: Path = ROOT, stdin: str = "", seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    """What the command does and says."""
    with tempfile.TemporaryDirectory() as scratch:
        given, out, err = (Path(scratch) / name for name in ("in", "out", "err"))
        given.write_text(stdin)
        process = _SERVER.Process(
            target=_run, args=(arguments, dict(environment), str(folder), str(given), str(out), str(err))
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, seconds, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: str, given: str, out: str, err: str) -> None:
    """In the forked process: what a new one would have around it."""
    from orchestrator.cli.main import main  # noqa: PLC0415 - read by the server already

    for number, name, flags in (
        (0, given, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT), (2, err, os.O_WRONLY | os.O_CREAT),
    ):  # fmt: skip
        os.dup2(os.open(name, flags, 0o600), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the server's own stands at no file
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["tocsin", *arguments]
    main()

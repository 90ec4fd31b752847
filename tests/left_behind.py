"""Which processes a test left running; run as a program, it ends them when whoever started it is gone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def known_to(folder: Path) -> list[psutil.Process]:
    """The processes whose command names this folder, or that work in it."""
    return list(_known_to(str(folder)))


def _known_to(folder: str) -> Iterator[psutil.Process]:
    for one in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if (
                one.pid != os.getpid()
                and one.status() != psutil.STATUS_ZOMBIE
                and (folder in " ".join(one.cmdline()) or folder in one.cwd())
            ):
                yield one


def clear_up(kept: Path, passing: Path) -> None:
    """End what is still there when standard input ends: with us, however we end, kill -9 included.

    One folder is kept, to be looked at; the other one goes.
    """
    sys.stdin.buffer.read()
    for one in (*known_to(kept), *known_to(passing)):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    shutil.rmtree(passing, ignore_errors=True)


if __name__ == "__main__":
    clear_up(*map(Path, sys.argv[1:]))

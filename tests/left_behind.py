"""Which processes a test left running; run as a program, it ends them when whoever started it is gone."""

from __future__ import annotations

import os
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


def end_all_known_to(folder: Path) -> None:
    """What is still there when standard input ends: with us, however we end, kill -9 included."""
    sys.stdin.buffer.read()
    for one in known_to(folder):
        with suppress(psutil.NoSuchProcess):
            one.kill()


if __name__ == "__main__":
    end_all_known_to(Path(sys.argv[1]))

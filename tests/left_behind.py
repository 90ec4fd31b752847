"""Which processes a test left running."""

from __future__ import annotations

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
            if one.status() != psutil.STATUS_ZOMBIE and (folder in " ".join(one.cmdline()) or folder in one.cwd()):
                yield one

"""The state folder: one process at a time changes what is in it."""

from __future__ import annotations

import fcntl
import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from orchestrator.errors import StackError

LOCK = "lock"


class FolderTaken(StackError):
    """Another process has the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have the folder, made where it is missing, for the length of the block; raises `FolderTaken`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise StackError(f"{folder}: {error.strerror}; name a folder that you may write to: TOCSIN_HOME=...") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderTaken(f"another `tocsin up`, `down` or `demo` is at work in {folder}") from None
        yield


@contextmanager
def empty_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder of this name, emptied, or `name-2`, ... where others are at work; ours for the length of the block."""
    with ExitStack() as stack:
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with suppress(FolderTaken):
                stack.enter_context(locked(folder))
                break
        _empty(folder)
        yield folder


def _empty(folder: Path) -> None:
    """Remove everything but the lock: without it another process would take the folder for free."""
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.name != LOCK:
            one.unlink()

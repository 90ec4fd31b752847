"""The files of the playbooks' folder: read whole, and taken for written only once they stand still."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import FilesRefused, Finding, Place

LARGEST = 4 * 1024 * 1024
"""bytes of a file that are read: more than the language takes, so that the checker is the one to refuse it"""
SUFFIXES = (".yaml", ".yml")
COARSEST_CLOCK = 3.0
"""seconds: within this time two changes of a file may bear the same time"""


@dataclass(frozen=True)
class File:
    """A playbook's file as it was read: its text, or why there is none."""

    path: str
    text: str = ""
    problem: str = ""


Files = Mapping[str, File]
"""The files by the names of their playbooks."""
_Mark = tuple[int, int, int, int]


class Folder:
    """A folder of playbooks, of which only the files that may have changed are read again."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._known: dict[str, tuple[_Mark, File]] = {}

    def read(self) -> Files:
        """Every `*.yaml` and `*.yml` directly in the folder; raises `FilesRefused` where it holds none.

        A folder without a playbook looks like a volume that is not mounted, and nobody means to end every playbook at
        once.
        """
        files: dict[str, File] = {}
        known: dict[str, tuple[_Mark, File]] = {}
        for path in _paths(self._path):
            read = self._one(path, known)
            if read is None:
                continue
            name = _text(path.stem)
            if name in files:
                problem = f"there are two files for {name}: {files[name].path} and {read.path}; keep one of them"
                read = File(files[name].path, problem=problem)
            files[name] = read
        self._known = known
        if not files:
            raise FilesRefused([Finding(Place(str(self._path), 1), "no_playbooks", _why_none(self._path))])
        return files

    def _one(self, path: Path, known: dict[str, tuple[_Mark, File]]) -> File | None:
        """The file, kept in `known` where the next look can tell by its mark whether it has changed."""
        mark = _mark(path, self._clock())
        before = self._known.get(path.name)
        read = before[1] if before and mark is not None and before[0] == mark else _read(path)
        if read is not None and mark is not None and not read.problem:  # a problem may pass without a trace
            known[path.name] = (mark, read)
        return read


def _paths(folder: Path) -> list[Path]:
    """The playbooks' files, in one order; what begins with a dot is an editor's own."""
    try:
        found = [path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(found)


def _mark(path: Path, now: float) -> _Mark | None:
    """What changes whenever the file does; None where the clock of the file system is too coarse to say so yet."""
    try:
        state = path.stat()
    except OSError:
        return None
    changed = max(state.st_mtime, state.st_ctime)
    if abs(now - changed) < COARSEST_CLOCK:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _read(path: Path) -> File | None:
    """The file; None where it went away in this moment."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            return File(_text(path), problem="cannot be read: it is not a file")
        with path.open("rb") as file:
            return File(_text(path), text=file.read(LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        return File(_text(path), problem=f"cannot be read: {error}")


def _text(path: Path | str) -> str:
    """A file's name is bytes to the system, and may be no text at all."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _why_none(folder: Path) -> str:
    return "the folder holds no playbook" if folder.is_dir() else "no such folder of playbooks"


class Settling:
    """Tells what is written from what is being written: a file cut off in the middle may well be a good playbook.

    All files together have to be the same in two looks, since one change is often several files. When some never come
    to rest, the others count after a while all the same.
    """

    PATIENCE = 10
    """looks"""

    def __init__(self) -> None:
        self._last: Files | None = None
        self._settled: Files | None = None
        self._restless = 0

    def look(self, seen: Files) -> Files | None:
        """What may be taken for written by now; None until anything may."""
        last, self._last = self._last, seen
        if last is None:
            return None
        self._restless = 0 if seen == last else self._restless + 1
        if self._restless == 0:
            self._settled = seen
        elif self._restless >= self.PATIENCE:
            self._settled = _at_rest(seen, last, self._settled or {})
        return self._settled


def _at_rest(seen: Files, last: Files, before: Files) -> Files:
    """The files that are the same in both looks; of the others, what they were before they became restless."""
    names = seen.keys() | last.keys()
    still = {name for name in names if seen.get(name) == last.get(name)}
    return {
        name: seen[name] if name in still else before[name] for name in sorted(names) if name in still or name in before
    }

"""The files of the playbooks' folder: read whole, and taken for written only once they stand still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import FilesRefused, Finding, Place

LARGEST = 4 * 1024 * 1024
"""bytes of a file that are read: more than the language takes, so that the checker is the one to refuse it"""


@dataclass(frozen=True)
class File:
    """A playbook's file as it was read: its text, or why there is none."""

    path: str
    text: str = ""
    problem: str = ""


Files = Mapping[str, File]
"""The files by the names of their playbooks."""


def read_folder(folder: Path) -> Files:
    """Every `*.yaml` and `*.yml` directly in the folder; raises `FilesRefused` where it holds none.

    A folder without a playbook looks like a volume that is not mounted, and nobody means to end every playbook at once.
    """
    files: dict[str, File] = {}
    for path in _paths(folder):
        # a file's name is bytes to the system, and may be no text at all
        name = path.stem.encode("utf-8", "backslashreplace").decode()
        if name in files:
            problem = f"there are two files for {name}: {files[name].path} and {path}; keep one of them"
            files[name] = File(files[name].path, problem=problem)
        elif read := _read(path):
            files[name] = read
    if not files:
        raise FilesRefused([Finding(Place(str(folder), 1), "no_playbooks", _why_none(folder))])
    return files


def _paths(folder: Path) -> Iterator[Path]:
    """The playbooks' files, in one order; what begins with a dot is an editor's own."""
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        if not path.name.startswith("."):
            yield path


def _read(path: Path) -> File | None:
    """The file; None where it went away in this moment."""
    name = str(path).encode("utf-8", "backslashreplace").decode()
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            return File(name, problem="cannot be read: it is not a file")
        with path.open("rb") as file:
            return File(name, text=file.read(LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return None
        return File(name, problem=f"cannot be read: {error}")


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

"""What the checker makes of the files, each read anew only when it has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import Finding, Place
from orchestrator.language.loader import Loaded, Read, read_text
from orchestrator.language.program import Playbook
from orchestrator.versions.folder import File, Files

CheckAll = Callable[[Sequence[Read]], Loaded]
"""What the checker makes of files that may call one another."""


@dataclass(frozen=True)
class Verdict:
    """What a file is: a version, known by its digest, or broken, with the errors that keep it from running."""

    digest: str | None = None
    errors: tuple[Finding, ...] = ()
    playbook: Playbook | None = field(default=None, compare=False)


class FolderCheck:
    """Checks files. It may take seconds, so it is called in a thread of its own."""

    def __init__(self, check_all: CheckAll) -> None:
        self._check_all = check_all
        self._read: dict[str, tuple[File, Read]] = {}
        self._verdicts: dict[str, Verdict] = {}

    def check(self, files: Files) -> dict[str, Verdict]:
        """The verdict on every file. Only those are checked again that have changed, or call one that has."""
        before = self._read
        self._read = {name: self._known(name, file) for name, file in files.items() if not file.problem}
        names = before.keys() | self._read.keys()
        changed = {name for name in names if before.get(name) != self._read.get(name)}
        anew = self._callers(changed)
        loaded = self._check_all([self._read[name][1] for name in self._called(anew)])
        self._verdicts = {
            name: _verdict(name, file, loaded) if name in anew or file.problem else self._verdicts[name]
            for name, file in files.items()
        }
        return self._verdicts

    def _known(self, name: str, file: File) -> tuple[File, Read]:
        known = self._read.get(name)
        return known if known and known[0] == file else (file, read_text(file.text, file.path, name))

    def _callers(self, changed: set[str]) -> set[str]:
        """These, and all that call one of them, however far away."""
        found = set(changed)
        while more := {name for name, (_, read) in self._read.items() if name not in found and read.calls & found}:
            found |= more
        return found

    def _called(self, anew: set[str]) -> list[str]:
        """Those of these that are there, and all that they call, in the order of their names."""
        found, waiting = set[str](), [name for name in anew if name in self._read]
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._read:
                found.add(name)
                waiting += self._read[name][1].calls
        return sorted(found)


def _verdict(name: str, file: File, loaded: Loaded) -> Verdict:
    if file.problem:
        return Verdict(errors=(Finding(Place(file.path, 1), "unreadable", file.problem),))
    playbook = loaded.playbooks.get(name)
    if playbook is None:
        return Verdict(errors=tuple(one for one in loaded.errors if one.place.file == file.path))
    return Verdict(digest=playbook.digest, playbook=playbook)

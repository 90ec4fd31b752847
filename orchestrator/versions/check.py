"""What the checker makes of the files, each read anew only when it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from orchestrator.errors import Finding, Place
from orchestrator.language.loader import Loaded, Read, read_text
from orchestrator.language.program import Playbook
from orchestrator.versions.folder import File, Files

log = structlog.get_logger()
CheckAll = Callable[[Sequence[Read]], Loaded]
"""What the checker makes of files that may call one another."""


@dataclass(frozen=True)
class Verdict:
    """What a file is: a version, known by its digest, or broken, with the errors that keep it from running."""

    digest: str | None = None
    errors: tuple[Finding, ...] = ()
    playbook: Playbook | None = field(default=None, compare=False)


class FolderCheck:
    """Checks files. It may take seconds, so it is called in a thread of its own.

    `beside` gives what else decides whether a file is right, the types of the site's lists for instance.
    """

    def __init__(self, check_all: CheckAll, *, beside: Callable[[], object] = lambda: None) -> None:
        self._check_all = check_all
        self._beside = beside
        self._seen: object = None
        self._read: dict[str, tuple[File, Read]] = {}
        self._verdicts: dict[str, Verdict] = {}

    def outdated(self) -> bool:
        """Whether something beside the files has changed, so that the same files have to be checked again."""
        return self._beside() != self._seen

    def check(self, files: Files) -> dict[str, Verdict]:
        """The verdict on every file. Only those are checked again that have changed, or call one that has."""
        seen = self._beside()
        read = {name: self._known(name, file) for name, file in files.items() if not file.problem}
        names = self._read.keys() | read.keys()
        changed = {name for name in names if seen != self._seen or self._read.get(name) != read.get(name)}
        anew = _callers(changed, read)
        loaded = self._check_all([read[name][1] for name in _called(anew, read)])
        self._verdicts = {
            name: _verdict(name, file, loaded) if name in anew or file.problem else self._verdicts[name]
            for name, file in files.items()
        }
        self._read, self._seen = read, seen
        return self._verdicts

    def _known(self, name: str, file: File) -> tuple[File, Read]:
        known = self._read.get(name)
        return known if known and known[0] == file else (file, _read(name, file))


def _read(name: str, file: File) -> Read:
    try:
        return read_text(file.text, file.path, name)
    except Exception as error:  # one file, whatever is in it, must never keep the others from serving
        log.exception("playbook.not_read", playbook=name)
        message = f"reading this file failed: {type(error).__name__}"
        return Read(name, file.path, None, None, [Finding(Place(file.path, 1), "reader", message)])


def _callers(changed: set[str], read: Mapping[str, tuple[File, Read]]) -> set[str]:
    """These, and all that call one of them, however far away."""
    found = set(changed)
    while more := {name for name, (_, one) in read.items() if name not in found and one.calls & found}:
        found |= more
    return found


def _called(anew: set[str], read: Mapping[str, tuple[File, Read]]) -> list[str]:
    """Those of these that are there, and all that they call, in the order of their names."""
    found, waiting = set[str](), [name for name in anew if name in read]
    while waiting:
        name = waiting.pop()
        if name not in found and name in read:
            found.add(name)
            waiting += read[name][1].calls
    return sorted(found)


def _verdict(name: str, file: File, loaded: Loaded) -> Verdict:
    if file.problem:
        return Verdict(errors=(Finding(Place(file.path, 1), "unreadable", file.problem),))
    playbook = loaded.playbooks.get(name)
    if playbook is None:
        return Verdict(errors=tuple(one for one in loaded.errors if one.place.file == file.path))
    return Verdict(digest=playbook.digest, playbook=playbook)

"""What the checker makes of the files, each read anew only when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from orchestrator.errors import Finding, FindingLevel, Place
from orchestrator.language.program import Playbook
from orchestrator.versions.folder import File, Files

log = structlog.get_logger()

ReadPlaybook = Callable[[str, str, str], tuple[Playbook | None, list[Finding]]]
"""Called with text, file and name: the playbook, unless there are errors among the findings."""


@dataclass(frozen=True)
class Verdict:
    """What a file is: a version, known by its digest, or broken, with the errors that keep it from running."""

    digest: str | None = None
    errors: tuple[Finding, ...] = ()
    playbook: Playbook | None = field(default=None, compare=False)


class FolderCheck:
    """Checks files. It may take seconds, so it is called in a thread of its own."""

    def __init__(self, read: ReadPlaybook) -> None:
        self._read = read
        self._known: dict[str, tuple[File, Verdict]] = {}

    def check(self, files: Files) -> dict[str, Verdict]:
        """The verdict on every file."""
        self._known = {name: self._one(name, file) for name, file in files.items()}
        return {name: verdict for name, (_, verdict) in self._known.items()}

    def _one(self, name: str, file: File) -> tuple[File, Verdict]:
        known = self._known.get(name)
        return known if known and known[0] == file else (file, self._verdict(name, file))

    def _verdict(self, name: str, file: File) -> Verdict:
        if file.problem:
            return Verdict(errors=(Finding(Place(file.path, 1), "unreadable", file.problem),))
        try:
            playbook, found = self._read(file.text, file.path, name)
        except Exception as error:  # one file, whatever is in it, must never keep the others from serving
            log.exception("playbook.not_checked", playbook=name)
            message = f"the checker itself failed on this file: {type(error).__name__}"
            return Verdict(errors=(Finding(Place(file.path, 1), "checker", message),))
        if playbook is None:
            return Verdict(errors=tuple(one for one in found if one.level is FindingLevel.ERROR))
        return Verdict(digest=playbook.digest, playbook=playbook)

"""Read playbooks from files: every mistake of every file at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from orchestrator.contract import Capability
from orchestrator.errors import ExpressionError, FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.checking import Checker, Library
from orchestrator.language.explaining import TOP, explained
from orchestrator.language.expressions.kinds import Type
from orchestrator.language.model import MOST_DEPTH, PlaybookDocument, PlaybookStep, located
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ReferenceData
from orchestrator.language.yaml_reader import Document, read_yaml

log = structlog.get_logger()
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
Capabilities = Mapping[str, Capability[Any, Any]]


@dataclass(frozen=True)
class Loaded:
    """The playbooks without errors, by name; what was found in all files, warnings too; and the files as read."""

    playbooks: dict[str, Playbook]
    findings: tuple[Finding, ...]
    documents: Mapping[str, Document] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a playbook from running."""
        return [finding for finding in self.findings if finding.level is FindingLevel.ERROR]


@dataclass(frozen=True, eq=False)
class Read:
    """A file as read: its model, unless it is none."""

    name: str
    file: str
    document: Document | None
    model: PlaybookDocument | None
    findings: list[Finding]

    @cached_property
    def calls(self) -> frozenset[str]:
        """The names of the playbooks that it calls."""
        return frozenset(step.playbook for _, step in _calls(self))


def load_playbooks(folder: Path, capabilities: Capabilities, site: ReferenceData | None = None) -> Loaded:
    """Every `*.yaml` and `*.yml` directly in the folder; raises `FilesRefused` where there is no such folder.

    `site` has its lists and calendars; without it any name of one is taken.
    """
    if not folder.is_dir():
        raise FilesRefused([Finding(Place(str(folder), 1), "no_folder", "no such folder of playbooks")])
    return check_all([read_file(path) for path in files_of(folder)], capabilities, site, folder / "samples")


def files_of(folder: Path) -> list[Path]:
    """The files of playbooks in a folder, in the order of their names."""
    return sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))


def load_playbook(
    path: Path, capabilities: Capabilities, site: ReferenceData | None = None
) -> tuple[Playbook | None, list[Finding]]:
    """One file: the playbook, unless there are errors among the findings. What it calls is read beside it."""
    read = read_file(path)
    others = [] if not _calls(read) else [read_file(one) for one in files_of(path.parent) if one.name != path.name]
    loaded = check_all([read, *others], capabilities, site, path.parent / "samples")
    return loaded.playbooks.get(read.name), [one for one in loaded.findings if one.place.file == str(path)]


def read_playbook(
    text: str, file: str, name: str, capabilities: Capabilities, site: ReferenceData | None = None
) -> tuple[Playbook | None, list[Finding]]:
    """The same from text."""
    loaded = check_all([read_text(text, file, name)], capabilities, site)
    return loaded.playbooks.get(name), list(loaded.findings)


def read_file(path: Path) -> Read:
    """The model of a file, or why it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return _refused(path.stem, str(path), [Finding(Place(str(path), 1), "unreadable", f"cannot be read: {error}")])
    return read_text(text, str(path), path.stem)


def read_text(text: str, file: str, name: str) -> Read:
    """The model of a text, or why it is none."""
    if not NAME.fullmatch(name):
        message = f"{name!r} cannot be a playbook's name: small letters, digits, - and _, at most 63"
        return _refused(name, file, [Finding(Place(file, 1), "name", message, "rename the file")])
    try:
        document = read_yaml(text, file)
    except FilesRefused as refused:
        return _refused(name, file, refused.findings)
    if not isinstance(document.data, dict):
        return _refused(name, file, [Finding(Place(file, 1), "shape", TOP)])
    try:
        return Read(name, file, document, PlaybookDocument.model_validate(document.data), [])
    except ValidationError as error:
        return Read(name, file, document, None, list(explained(error, document)))


def _refused(name: str, file: str, findings: list[Finding]) -> Read:
    return Read(name, file, None, None, findings)


def check_all(
    reads: Iterable[Read],
    capabilities: Capabilities,
    site: ReferenceData | None = None,
    samples: Path | None = None,
) -> Loaded:
    """Check all files, those that are called before those that call them.

    `samples` is the folder of the recorded alerts that their tests name; without it any name is taken.
    """
    checking = _Checking(list(reads), capabilities, site, samples)
    for read in checking.reads:
        checking.check(read, ())
    return Loaded(checking.playbooks, tuple(checking.found()), checking.documents())


class _Checking:
    """One pass over a set of files."""

    def __init__(
        self, reads: list[Read], capabilities: Capabilities, site: ReferenceData | None, samples: Path | None
    ) -> None:
        self.reads = reads
        self.playbooks: dict[str, Playbook] = {}
        self._capabilities = capabilities
        self._site = site
        self._samples = samples
        self._by_name = {read.name: read for read in reversed(reads)}
        self._models = {name: read.model for name, read in self._by_name.items() if read.model is not None}
        self._broken = frozenset(self._by_name) - self._models.keys()
        self._outputs: dict[str, Mapping[str, Type]] = {}
        self._found: dict[str, list[Finding]] = {}
        self._depth: dict[str, int] = {}

    @cached_property
    def _sample_names(self) -> frozenset[str]:
        """The files below the folder of samples, as tests name them."""
        folder = self._samples or Path()
        return frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def found(self) -> Iterator[Finding]:
        """All findings, file by file."""
        for read in self.reads:
            yield from self._found.get(read.file, ())

    def documents(self) -> dict[str, Document]:
        """The files by the names of their playbooks."""
        return {read.name: read.document for read in self.reads if read.document is not None}

    def check(self, read: Read, callers: tuple[str, ...]) -> None:
        """One file, after those that it calls."""
        if read.file in self._found:
            return
        found = self._found[read.file] = list(read.findings)
        if self._by_name[read.name] is not read:
            found.append(
                Finding(Place(read.file, 1), "name", f"there are two playbooks named {read.name}", "rename one")
            )
            return
        if read.model is None or read.document is None:
            return
        for path, step in _calls(read):
            found += self._called(read, path, step.playbook, (*callers, read.name))
        samples = None if self._samples is None else lambda: self._sample_names
        library = Library(self._models, self._outputs, self._site, self._broken, samples)
        try:
            findings, outputs = Checker(read.document, read.model, self._capabilities, library).check()
        except Exception as error:  # one file, whatever is in it, must never keep the others from serving
            log.exception("playbook.not_checked", playbook=read.name)
            message = f"the checker itself failed on this file: {type(error).__name__}"
            found.append(Finding(Place(read.file, 1), "checker", message, "tell the makers of Tocsin"))
            return
        found += findings
        self._outputs[read.name] = outputs
        if not any(finding.level is FindingLevel.ERROR for finding in found):
            self._add(read, found)

    def _called(
        self, read: Read, path: tuple[str | int, ...], name: str, callers: tuple[str, ...]
    ) -> Iterator[Finding]:
        """Check what a step calls; say where that is the caller itself, or too deep, or has errors."""
        assert read.document is not None  # noqa: S101 - asked by the caller
        place = read.document.place((*path, "playbook"))
        called = self._by_name.get(name)
        if called is None:
            return  # the checker says more about a name that is unknown
        if name in callers:
            circle = " -> ".join((*callers[callers.index(name) :], name))
            yield Finding(place, "recursion", f"playbooks call one another in a circle: {circle}", "use `repeat`")
            return
        self.check(called, callers)
        self._depth[read.name] = max(self._depth.get(read.name, 0), self._depth.get(name, 0) + 1)
        if self._depth[read.name] > MOST_DEPTH:
            yield Finding(place, "recursion", f"sub-playbooks are called more than {MOST_DEPTH} deep", "flatten them")
        elif name not in self.playbooks:
            yield Finding(place, "unknown_playbook", f"`{name}` has errors of its own", f"mend {called.file} first")

    def _add(self, read: Read, found: list[Finding]) -> None:
        assert read.document is not None  # noqa: S101 - asked by the caller
        try:
            uses = {step.playbook: self.playbooks[step.playbook] for _, step in _calls(read)}
            self.playbooks[read.name] = Playbook(read.name, read.document.data, uses)
        except (ExpressionError, KeyError) as error:  # the checker has seen all; this is the last line of defence
            found.append(Finding(Place(read.file, 1), "expression", str(error)))


def _calls(read: Read) -> list[tuple[tuple[str | int, ...], PlaybookStep]]:
    """The steps that call others."""
    if read.model is None:
        return []
    steps = (*located(read.model.steps, ("steps",)), *located(read.model.on_failure, ("on_failure",)))
    return [(path, step) for path, step in steps if isinstance(step, PlaybookStep)]

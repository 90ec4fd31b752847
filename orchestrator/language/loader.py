"""Read playbooks from files: every mistake of every file at once, each with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from orchestrator.contract import Capability
from orchestrator.errors import ExpressionError, FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.checker import Checker
from orchestrator.language.model import LATER, PlaybookDocument
from orchestrator.language.program import Playbook
from orchestrator.language.yaml_reader import Document, read_yaml

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
Capabilities = Mapping[str, Capability[Any, Any]]


@dataclass(frozen=True)
class Loaded:
    """The playbooks without errors, by name, and what was found in all files, warnings too."""

    playbooks: dict[str, Playbook]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a playbook from running."""
        return [finding for finding in self.findings if finding.level is FindingLevel.ERROR]


def load_playbooks(folder: Path, capabilities: Capabilities) -> Loaded:
    """Every `*.yaml` and `*.yml` directly in the folder; raises `FilesRefused` where there is no such folder."""
    if not folder.is_dir():
        raise FilesRefused([Finding(Place(str(folder), 1), "no_folder", "no such folder of playbooks")])
    playbooks: dict[str, Playbook] = {}
    findings: list[Finding] = []
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        playbook, found = load_playbook(path, capabilities)
        findings += found
        if playbook is not None and playbook.name in playbooks:
            findings.append(Finding(Place(str(path), 1), "name", f"there are two playbooks named {playbook.name}"))
        elif playbook is not None:
            playbooks[playbook.name] = playbook
    return Loaded(playbooks, tuple(findings))


def load_playbook(path: Path, capabilities: Capabilities) -> tuple[Playbook | None, list[Finding]]:
    """One file: the playbook, unless there are errors among the findings."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, [Finding(Place(str(path), 1), "unreadable", f"cannot be read: {error}")]
    return read_playbook(text, str(path), path.stem, capabilities)


def read_playbook(text: str, file: str, name: str, capabilities: Capabilities) -> tuple[Playbook | None, list[Finding]]:
    """The same from text."""
    if not NAME.fullmatch(name):
        message = f"{name!r} cannot be a playbook's name: small letters, digits, - and _, at most 63"
        return None, [Finding(Place(file, 1), "name", message, "rename the file")]
    try:
        document = read_yaml(text, file)
    except FilesRefused as refused:
        return None, refused.findings
    if not isinstance(document.data, dict):
        return None, [Finding(Place(file, 1), "shape", "a playbook is a mapping with title, trigger and steps")]
    try:
        model = PlaybookDocument.model_validate(document.data)
    except ValidationError as error:
        return None, list(_explained(error, document))
    findings = Checker(document, model, capabilities).check()
    if any(finding.level is FindingLevel.ERROR for finding in findings):
        return None, findings
    try:
        return Playbook(name, document.data), findings
    except ExpressionError as error:  # the checker has seen every expression; this is the last line of defence
        return None, [*findings, Finding(Place(file, 1), "expression", str(error))]


def _explained(error: ValidationError, document: Document) -> Iterator[Finding]:
    """The model's complaints in the author's words."""
    seen: set[tuple[Any, ...]] = set()
    for one in error.errors(include_url=False):
        path, model = _path(one["loc"], document.data)
        if (path, one["type"]) in seen:
            continue
        seen.add((path, one["type"]))
        last = str(path[-1]) if path else ""
        place = document.place((*path, "@key")) if one["type"] == "extra_forbidden" else document.place(path)
        if one["type"] == "extra_forbidden":
            yield _unknown_key(last, place, path, document, model)
        elif one["type"] == "missing":
            yield _missing_key(last, document.place(path[:-1]))
        else:
            message = one["msg"].removeprefix("Value error, ")
            yield Finding(place, "value", f"`{last}`: {message}")


def _unknown_key(
    key: str, place: Place, path: tuple[str | int, ...], document: Document, model: type[BaseModel]
) -> Finding:
    if key in LATER:
        return Finding(place, "not_yet", f"`{key}` is part of the language, but this version does not run it yet")
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(key, known, n=1)
    return Finding(
        place,
        "unknown_key",
        f"no key `{key}` here",
        f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}",
    )


def _missing_key(key: str, place: Place) -> Finding:
    if key == "action":
        return Finding(place, "step_kind", "a step has one of the keys action, approval, parallel, do")
    return Finding(place, "missing_key", f"`{key}` is missing")


def _path(loc: tuple[int | str, ...], data: Any) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """The place in the document that a complaint is about, without the names of the model's own alternatives."""
    path: list[str | int] = []
    model: type[BaseModel] = PlaybookDocument
    here = data
    for position, part in enumerate(loc):
        if _holds(here, part):
            here = here[part]
        elif position != len(loc) - 1 or isinstance(part, int) or ":" in part or "[" in part:
            model = _models(model).get(str(part), model)
            continue
        path.append(part)
        model = _models(model).get(str(part), model)
    return tuple(path), model


def _holds(here: Any, part: int | str) -> bool:
    if isinstance(here, list):
        return isinstance(part, int) and part < len(here)
    return isinstance(here, dict) and part in here


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The models inside a model, by field name and by the tag of an alternative."""
    found: dict[str, type[BaseModel]] = {}

    def look(name: str, annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.setdefault(name, annotation)
            if name.startswith("step:"):
                found[name] = annotation
        for inner in get_args(annotation):
            look(getattr(inner, "tag", name) if not isinstance(inner, type) else name, inner)
            metadata = getattr(inner, "__metadata__", ())
            for tag in (one.tag for one in metadata if hasattr(one, "tag")):
                found[tag] = get_args(inner)[0]

    for name, field in model.model_fields.items():
        look(field.alias or name, field.annotation)
    found |= {tag: one for tag, one in _STEP_MODELS.items() if "steps" in model.model_fields or tag not in found}
    return found


def _step_models() -> dict[str, type[BaseModel]]:
    from orchestrator.language import model  # noqa: PLC0415 - the names are asked for by their kind

    return {f"step:{kind}": getattr(model, f"{kind.capitalize()}Step") for kind in model.KINDS}


_STEP_MODELS = _step_models()

"""The model's complaints about a document, in the author's words: place, cause, and the likely fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from orchestrator.errors import Finding, Place
from orchestrator.language.model import STEPS, PlaybookDocument, StepKeys
from orchestrator.language.wording import called, said, worded
from orchestrator.language.yaml_reader import Document, Path

LISTS_OF_STEPS = frozenset({"steps", "parallel", "do", "then", "else", "default", "on_error", "on_failure"})
TOP = "a playbook is a mapping with title, trigger and steps"


def explained(error: ValidationError, document: Document) -> Iterator[Finding]:
    """Each mistake once, at its own place."""
    told: set[tuple[Path, bool]] = set()
    for one in _nearest(error, document):
        path, model, complaint = one
        unknown = complaint["type"] == "extra_forbidden"
        if (path, unknown) in told:
            continue
        told.add((path, unknown))
        yield _finding(path, model, complaint, document)


def _nearest(error: ValidationError, document: Document) -> list[tuple[Path, type[BaseModel], Any]]:
    """The complaints with their places; of the alternatives of one value, the one that its author meant comes first."""
    found = [(*_path(one["loc"], document.data), one) for one in error.errors(include_url=False)]
    return sorted(found, key=lambda one: not _is_meant(_value(document.data, one[0]), one[2]["type"]))


def _is_meant(value: Any, kind: str) -> bool:
    """Whether a complaint is about the form that the author chose: text, a list, or a mapping."""
    forms: dict[type[Any], tuple[str, ...]] = {
        str: ("list_type", "tuple_type", "dict_type", "model_type", "model_attributes_type"),
        list: ("string_type", "literal_error", "dict_type", "value_error"),
        dict: ("string_type", "literal_error", "list_type", "tuple_type", "value_error"),
    }
    return kind not in forms.get(type(value), ())


def _value(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _finding(path: Path, model: type[BaseModel], complaint: Any, document: Document) -> Finding:
    last, kind = str(path[-1]) if path else "", complaint["type"]
    if kind == "extra_forbidden":
        return _unknown_key(last, document.place((*path, "@key")), path, model, document)
    if kind == "missing":
        return _missing_key(last, path[:-1], document)
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return _not_a_mapping(path, document)
    message, hint = worded(called(path), complaint)
    return Finding(document.place(path), "shape" if kind in ("tuple_type", "list_type") else "value", message, hint)


def _unknown_key(key: str, place: Place, path: Path, model: type[BaseModel], document: Document) -> Finding:
    known = [field.alias or name for name, field in model.model_fields.items()]
    if issubclass(model, StepKeys):
        return _unknown_step_key(key, place, path, model, known, document)
    beside = [field.alias or name for name, field in StepKeys.model_fields.items()]
    if key in beside and len(path) > 1:
        message = f"`{key}` stands beside `{path[-2]}`, not inside"
        return Finding(place, "unknown_key", message, "move it out, to the step's own keys")
    return Finding(place, "unknown_key", f"no key `{key}` here", _did_you_mean(key, known))


def _unknown_step_key(
    key: str, place: Place, path: Path, model: type[StepKeys], known: list[str], document: Document
) -> Finding:
    if key in STEPS:
        message = f"`{model.KIND}` and `{key}` stand in one step"
        return Finding(place, "step_kind", message, "a step does one thing: make two steps of it")
    step = _value(document.data, path[:-1])
    if model.KIND == "action" and isinstance(step, dict) and "action" not in step:
        near = difflib.get_close_matches(key, STEPS, n=1)
        if near:
            return Finding(place, "step_kind", f"no step is a `{key}`", f"did you mean `{near[0]}`?")
    owners = [kind for kind, one in STEPS.items() if key in _own_keys(one)]
    if owners and not difflib.get_close_matches(key, known, n=1, cutoff=0.8):
        message = f"`{key}` is not for `{model.KIND}` steps, but for {', '.join(f'`{one}`' for one in owners)}"
        return Finding(place, "unknown_key", message, "remove it")
    return Finding(place, "unknown_key", f"no key `{key}` here", _did_you_mean(key, known))


def _own_keys(model: type[StepKeys]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()} - set(StepKeys.model_fields)


def _did_you_mean(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"


def _missing_key(key: str, path: Path, document: Document) -> Finding:
    place = document.place(path)
    step = _value(document.data, path)
    if key == "action" and isinstance(step, dict):
        message = f"a step has one of the keys {', '.join(STEPS)}"
        near = [close[0] for word in step if (close := difflib.get_close_matches(str(word), STEPS, n=1))]
        return Finding(place, "step_kind", message, f"did you mean `{near[0]}`?" if near else "say what it does")
    return Finding(place, "missing_key", f"`{key}` is missing", "add it")


def _not_a_mapping(path: Path, document: Document) -> Finding:
    value, place = _value(document.data, path), document.place(path)
    if not path:
        return Finding(place, "shape", TOP)
    is_step = isinstance(path[-1], int) and len(path) > 1 and path[-2] in LISTS_OF_STEPS
    if is_step and isinstance(value, list):
        return Finding(
            place, "shape", "a list of steps stands where one step is wanted", "write `- do:` before the list"
        )
    if is_step:
        return Finding(place, "shape", f"a step is a mapping, and this is {value!r}", "as `- action: ticket.open`")
    return Finding(place, "shape", f"{called(path)} is a mapping, and this is {said(value)}")


def _path(loc: tuple[int | str, ...], data: Any) -> tuple[Path, type[BaseModel]]:
    """The place in the document that a complaint is about, and the model there, without pydantic's own words."""
    path: list[str | int] = []
    model: type[BaseModel] = PlaybookDocument
    here = data
    for position, part in enumerate(loc):
        if isinstance(part, str) and part.startswith("step:"):
            model = STEPS[part.removeprefix("step:")]
        elif _holds(here, part):
            here = here[part]
            path.append(part)
            model = _inside(model, part)
        elif position == len(loc) - 1 and isinstance(part, str) and "[" not in part and isinstance(here, dict):
            path.append(part)
    return tuple(path), model


def _holds(here: Any, part: int | str) -> bool:
    if isinstance(here, list):
        return isinstance(part, int) and part < len(here)
    return isinstance(here, dict) and part in here


def _inside(model: type[BaseModel], part: str | int) -> type[BaseModel]:
    """The model of the value at a key; the model itself for entries of lists and keys of free mappings."""
    for name, field in model.model_fields.items():
        if part == (field.alias or name):
            return next(_models(field.annotation), model)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not issubclass(annotation, StepKeys):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models(inner)

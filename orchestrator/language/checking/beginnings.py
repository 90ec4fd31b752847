"""What a test begins with: an alert as its model has it, inputs and answers as their fields say, a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orchestrator.alerts.alert import Alert
from orchestrator.language.checking.actions import annotated, literal
from orchestrator.language.checking.checker import did_you_mean
from orchestrator.language.typed import Spec
from orchestrator.language.wording import called, said
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker

ALWAYS = frozenset({"id", "key", "time", "severity", "title", "product"})
"""what the alert of a test has although nobody says so"""


def alert(check: Checker, path: Path, given: Mapping[str, Any]) -> None:
    """The alert of a test; one with `from` takes what it does not say from the sample."""
    own = {name: value for name, value in given.items() if name != "from"}
    sample = given.get("from")
    if sample is not None:
        _sample(check, (*path, "from"), sample)
    _object(check, path, Alert, own, whole=sample is None)


def _sample(check: Checker, path: Path, name: Any) -> None:
    known = check.library.samples
    if not isinstance(name, str):
        check.say(path, "test", f"`from` is the name of a file below samples/, and this is {said(name)}")
    elif known is not None and name not in known():
        check.say(path, "test", f"there is no sample `{name}`", did_you_mean(name, known()))


def _object(check: Checker, path: Path, model: type[BaseModel], given: Mapping[str, Any], *, whole: bool) -> None:
    for name, value in given.items():
        info = model.model_fields.get(name)
        if info is None:
            hint = did_you_mean(name, ["from", *model.model_fields] if model is Alert else model.model_fields)
            check.say((*path, name, "@key"), "test", f"{called(path)} has no field `{name}`", hint)
            continue
        inner = _model_of(info)
        if inner is not None and isinstance(value, Mapping):
            _object(check, (*path, name), inner, value, whole=whole and name != "product")
        else:
            literal(check, (*path, name), value, annotated(info), "test")
    for name, info in model.model_fields.items():
        if whole and info.is_required() and name not in given and not (model is Alert and name in ALWAYS):
            check.say(path, "test", f"{called(path)} needs `{name}`", "add it")


def _model_of(info: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is an object."""
    for one in (info.annotation, *get_args(info.annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def fields(check: Checker, path: Path, specs: Mapping[str, Spec], given: Mapping[str, Any], unknown: str) -> None:
    """Values as their specs want them, all that is wrong each at its own place."""
    for name, value in given.items():
        spec = specs.get(name)
        if spec is None:
            check.say((*path, name, "@key"), "test", f"{unknown} `{name}`", did_you_mean(name, specs))
        elif value is not None or spec.is_required:
            _value(check, (*path, name), spec, value)
    missing(check, path, specs, given)


def missing(check: Checker, path: Path, specs: Mapping[str, Spec], given: Iterable[str]) -> None:
    """What has to be given, and is not."""
    for name, spec in specs.items():
        if spec.is_required and name not in given:
            check.say(path, "test", f"{called(path)} needs `{name}`", "add it, or give it a `default:`")


def _value(check: Checker, path: Path, spec: Spec, value: Any) -> None:
    try:
        spec.validated(value)
    except ValueError as error:
        check.say(path, "test", f"{called(path)}: {error}")


def moment(check: Checker, path: Path, text: str) -> None:
    """A time in ISO 8601."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        check.say(path, "test", f"`{path[-1]}`: {text!r} is no time", "write it as 2026-05-06T10:00:00Z")

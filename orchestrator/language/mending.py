"""A playbook as its author meant it, where few mistakes keep it from being read: so that the rest is checked too."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.language.explaining import LISTS_OF_STEPS, complaints, value_at
from orchestrator.language.model import STEPS, PlaybookDocument, StepKeys
from orchestrator.language.yaml_reader import Document, Path

HARMLESS = frozenset({
    "title", "why", "attack", "owner", "mode", "priority", "concurrency", "name", "timeout", "retry", "verify",
    "remind", "escalate", "within", "count", "every", "missed",
})  # fmt: skip
"""keys on which nothing else in a playbook depends"""
HARMLESS_IN_TESTS = frozenset({
    "at", "given", "answers", "joins", "lists", "calendars", "ends", "calls", "not_called", "undone", "outputs",
    "asked",
})  # fmt: skip
FLAGS = frozenset({"join", "optional", "detach", "fail_fast", "undo_on_failure", "all_routes"})
"""keys that may be left out where what stands right behind them is wrong"""
STAND_INS: Mapping[str, Any] = {"for": "1h", "keep": True, "unattended": True, "times": 1, "stop": "failure"}
"""what stands there instead of a wrong value, so that nothing more is said of it"""
STAND_IN = "as it was meant"
STEP: Mapping[str, Any] = {"wait": {"for": "1s"}}
"""a step that does nothing, for a list of steps that has none and for what is no step at all"""


def mended(error: ValidationError, document: Document) -> PlaybookDocument | None:
    """The model of a document with misspelt keys taken for the nearest right ones, and harmless wrong values left out.

    None where more than that is wrong: then too much of what could be said of the rest would not be true.
    """
    data = copy.deepcopy(document.data)
    for path, model, complaint in complaints(error, document):
        if complaint["type"] == "extra_forbidden":
            _rename(data, path, model)
        elif not (_stand_in(data, path) or complaint["type"] in ("missing", "too_short") or _leave_out(data, path)):
            return None
    data.setdefault("title", STAND_IN)
    try:
        return PlaybookDocument.model_validate(data)
    except ValidationError:
        return None


def _rename(data: Any, path: Path, model: type[BaseModel]) -> None:
    """A key that nothing has as the nearest that there is; gone where there is none."""
    holder, key = value_at(data, path[:-1]), path[-1]
    if not isinstance(holder, dict) or key not in holder:
        return
    known = [field.alias or name for name, field in model.model_fields.items()]
    known += STEPS if issubclass(model, StepKeys) else []
    value = holder.pop(key)
    near = difflib.get_close_matches(str(key), known, n=1)
    if near and near[0] not in holder:
        holder[near[0]] = value


def _stand_in(data: Any, path: Path) -> bool:
    """Put what does no harm where a wrong value or an empty list of steps stands; whether that mends it."""
    at = len(path) - (2 if len(path) > 1 and path[-2] in STAND_INS else 1)
    key, holder = path[at] if path else "", value_at(data, path[:at])
    if isinstance(holder, list) and isinstance(key, int) and path[at - 1] in LISTS_OF_STEPS:
        return _is_no_step(holder, key)
    if not isinstance(holder, dict) or path[0] == "tests":
        return False
    if key in STAND_INS:
        holder[key] = STAND_INS[str(key)]
    elif key in LISTS_OF_STEPS and holder.get(key) in ([], [STEP]):
        holder[key] = [dict(STEP)]
    elif key == "on_error" and isinstance(holder.get(key), str):
        holder[key] = "continue"
    elif key in FLAGS:
        holder.pop(key, None)
    else:
        return False
    return True


def _is_no_step(steps: list[Any], place: int) -> bool:
    """Whether no step at all stands there: one that does nothing takes its place, so that the rest keep theirs."""
    if place < len(steps) and not isinstance(steps[place], dict):
        steps[place] = dict(STEP)
    return place < len(steps) and steps[place] == STEP


def _leave_out(data: Any, path: Path) -> bool:
    """Take out the harmless key that a wrong value stands below, if there is one."""
    harmless = HARMLESS_IN_TESTS if path[:1] == ("tests",) else HARMLESS
    place = next((at for at, part in enumerate(path) if part in harmless), None)
    if place is None:
        return False
    holder = value_at(data, path[:place])
    if isinstance(holder, dict):
        holder.pop(path[place], None)
    return True

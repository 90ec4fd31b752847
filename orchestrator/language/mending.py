"""A playbook as its author meant it, where few mistakes keep it from being read: so that the rest is checked too."""

from __future__ import annotations

import copy
import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.language.explaining import complaints, value_at
from orchestrator.language.model import STEPS, PlaybookDocument, StepKeys
from orchestrator.language.yaml_reader import Document, Path

HARMLESS = frozenset({
    "title", "why", "attack", "owner", "mode", "priority", "concurrency", "name", "timeout", "retry", "verify",
    "remind", "escalate", "within", "count", "every", "missed",
})  # fmt: skip
"""keys on which nothing else in a playbook depends"""
HARMLESS_IN_TESTS = frozenset({"at", "given", "answers", "joins", "lists", "calendars"})
STAND_IN = "as it was meant"


def mended(error: ValidationError, document: Document) -> PlaybookDocument | None:
    """The model of a document with misspelt keys taken for the nearest right ones, and harmless wrong values left out.

    None where more than that is wrong: then too much of what could be said of the rest would not be true.
    """
    data = copy.deepcopy(document.data)
    for path, model, complaint in complaints(error, document):
        if complaint["type"] == "extra_forbidden":
            _rename(data, path, model)
        elif complaint["type"] not in ("missing", "too_short") and not _leave_out(data, path):
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

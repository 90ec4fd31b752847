"""What a model complains about, in the words of an author: what is wanted, what stands there, and the likely fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.language.yaml_reader import Path

WANTED: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model": "a mapping",
    "datetime": "a time, as 2026-05-06T10:00:00Z",
    "time_delta": "a duration, as 90s or 30m",
    "date": "a day, as 2026-05-06",
}
"""What is wanted, by how the name of a complaint begins"""
BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
    "string_too_short": ("min_length", "a text of at least {} characters"),
}
LONGEST = 60
"""characters of a value in a message"""


def worded(what: str, complaint: Mapping[str, Any]) -> tuple[str, str]:
    """One complaint of pydantic about the value that people call `what`, and the likely fix."""
    kind, value, context = complaint["type"], complaint.get("input"), complaint.get("ctx") or {}
    if kind in ("enum", "literal_error"):
        words = words_of(context["expected"])
        return f"{what} is one of {', '.join(words)}, and this is {said(value)}", near(value, words)
    if kind in BOUNDS:
        word, wanted = BOUNDS[kind]
        return f"{what} is {wanted.format(context[word])}, and this is {said(value)}", ""
    if kind == "too_short":
        return f"{what} is empty, and needs an entry", ""
    if kind == "string_pattern_mismatch":
        return f"{what}: {said(value)} is not spelt as it must be ({context['pattern']})", ""
    if kind != "value_error" and (wanted := _wanted(kind)):
        return f"{what} is {wanted}, and this is {said(value)}", _remedy(wanted, value)
    return f"{what}: {complaint['msg'].removeprefix('Value error, ')}", ""


def called(path: Sequence[str | int]) -> str:
    """What people call the value at a path: by its key, or by its place in the list of that key."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "this")
    return f"entry {path[-1] + 1} of `{name}`" if path and isinstance(path[-1], int) else f"`{name}`"


def _wanted(kind: str) -> str:
    return next((words for name, words in WANTED.items() if kind.startswith(name)), "")


def words_of(expected: str) -> list[str]:
    """The words that a complaint about a choice lists."""
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def near(word: Any, known: Iterable[str]) -> str:
    """The nearest right word."""
    found = difflib.get_close_matches(str(word), list(known), n=1)
    return f"did you mean `{found[0]}`?" if found else ""


def _remedy(wanted: str, value: Any) -> str:
    if wanted == "text" and isinstance(value, int | float):
        return "put it in quotes if it is meant as text"
    if wanted == "a list":
        return "put `- ` before each of its entries"
    if wanted in ("a number", "a whole number") and isinstance(value, str) and value.strip().isdecimal():
        return "write it without quotes"
    return ""


def said(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\u2026"


def told(error: ValidationError, value: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    """What is wrong with a value that stands at a path: where in it, the complaint, and the likely fix."""
    seen = set()
    for complaint in error.errors(include_url=False):
        below = _below(value, complaint["loc"])
        here = (*path, *below)
        if here in seen:
            continue
        seen.add(here)
        if complaint["type"] == "missing":
            yield here, f"{called(here)} needs `{complaint['loc'][-1]}`", "add it"
        elif complaint["type"] == "extra_forbidden":
            yield (*here, "@key"), f"{called(here[:-1])} has no `{here[-1]}`", ""
        else:
            message, hint = worded(called(here), complaint)
            yield here, message, hint


def _below(value: Any, loc: Sequence[str | int]) -> Path:
    """The part of a complaint's place that is in the value, without pydantic's own words."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(value, Mapping) and part in value:  # noqa: SIM114 - two kinds of value
            value = value[part]
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        path.append(part)
    return tuple(path)

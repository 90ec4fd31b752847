"""What values mean to an expression: fields, absence, truth, comparison, and the form in which they leave."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import orjson
from pydantic import BaseModel

from orchestrator.contract.values import NormalisedText, Severity
from orchestrator.errors import ExpressionError, ValueAbsent


class Absent:
    """The value of a field that is not there. It knows which one, for the message."""

    __slots__ = ("path",)

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


def field(value: Any, name: Any, path: str) -> Any:
    """The field or item `name` of a value; `Absent` where it has none, an error where it never could have one."""
    if isinstance(value, BaseModel):
        return _model_field(value, name, path)
    if isinstance(value, Mapping):
        return value.get(name, None) if name in value else Absent(path)
    if isinstance(value, list | tuple):
        if isinstance(name, int) and not isinstance(name, bool):
            return value[name] if -len(value) <= name < len(value) else Absent(path)
        raise ExpressionError(f"{path}: a list has places, not fields; take one with [0] or `| first`")
    if value is None or isinstance(value, Absent):
        return Absent(path)
    raise ExpressionError(f"{path}: {kind_of(value)} has no field {name!r}")


def _model_field(model: BaseModel, name: Any, path: str) -> Any:
    if name in type(model).model_fields:
        return getattr(model, name)
    near = difflib.get_close_matches(str(name), type(model).model_fields, n=1)
    raise ExpressionError(f"{path}: no such field", hint=f"did you mean {near[0]}?" if near else "")


def is_absent(value: Any) -> bool:
    """Whether there is nothing: no field, or none in it."""
    return value is None or isinstance(value, Absent)


def present(value: Any) -> Any:
    """The value; raises `ValueAbsent` where there is none."""
    if isinstance(value, Absent):
        raise ValueAbsent(f"{value.path or 'the value'} is absent", hint="guard it, or give it a `default(...)`")
    return value


def truth(value: Any) -> bool:
    """What a value means as a condition: absent, none, zero, false and empty are false."""
    return bool(value) if not isinstance(value, BaseModel | Enum) else True


def kind_of(value: Any) -> str:
    """What a value is, in the words of the documentation."""
    for kinds, name in _KINDS:
        if isinstance(value, kinds):
            return name
    return "a value"


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "a truth value"),
    (Severity, "a severity"),
    (int | float, "a number"),
    (str, "text"),
    (list | tuple, "a list"),
    (Mapping | BaseModel, "an object"),
    (datetime, "a time"),
    (timedelta, "a duration"),
    ((Absent, type(None)), "nothing"),
)


def equal(left: Any, right: Any) -> bool:
    """Equality without conversions: typed text compares in its one spelling, "10" is not 10."""
    if isinstance(left, Severity) or isinstance(right, Severity):
        return _severity(left) is _severity(right)
    if isinstance(left, NormalisedText) or isinstance(right, NormalisedText):
        return _same_text(left, right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, str) and isinstance(right, str):
        return str(left) == str(right)
    return type(left) is type(right) and bool(left == right)


def _same_text(left: Any, right: Any) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)):
        return False
    kind = type(left) if isinstance(left, NormalisedText) else type(right)
    if not issubclass(kind, NormalisedText):
        return False
    try:
        return str(kind.parse(str(left))) == str(kind.parse(str(right)))
    except ValueError:
        return False


def _severity(value: Any) -> Severity:
    if isinstance(value, Severity):
        return value
    if isinstance(value, str):
        try:
            return Severity.parse(value)
        except ValueError as error:
            raise ExpressionError(str(error)) from None
    raise ExpressionError(f"a severity cannot be compared with {kind_of(value)}")


_ORDERED: tuple[Any, ...] = (int | float, str, datetime, timedelta)


def less(left: Any, right: Any) -> bool:
    """Order, for what has one: numbers, texts, severities, times, durations."""
    if isinstance(left, Severity) or isinstance(right, Severity):
        return _severity(left) < _severity(right)
    if not isinstance(left, bool) and not isinstance(right, bool):
        for kinds in _ORDERED:
            if isinstance(left, kinds) and isinstance(right, kinds):
                return bool(left < right)
    raise ExpressionError(f"{kind_of(left)} and {kind_of(right)} have no order", hint="there are no conversions")


def listed_or_raise(value: Any) -> list[Any]:
    """A list as it is; raises for anything else."""
    if isinstance(value, list | tuple):
        return list(value)
    raise ExpressionError(f"expected a list, found {kind_of(value)}")


def contains(container: Any, item: Any) -> bool:
    """`in`: an item of a list, a part of a text, a field of an object."""
    if isinstance(container, str) and isinstance(item, str):
        return str(item) in str(container)
    if isinstance(container, list | tuple):
        return any(equal(one, item) for one in container)
    if isinstance(container, Mapping):
        return item in container
    raise ExpressionError(f"nothing can be in {kind_of(container)}")


def plain(value: Any) -> Any:
    """The value as JSON knows it: models as objects without what is none, typed text as text, times in ISO 8601."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def text_of(value: Any) -> str:
    """A value as it stands in text."""
    if isinstance(value, str):
        return str(value)
    if is_absent(value):
        present(value if value is not None else Absent())
    if isinstance(value, bool):
        return "true" if value else "false"
    simple = plain(value)
    return simple if isinstance(simple, str) else orjson.dumps(simple).decode()

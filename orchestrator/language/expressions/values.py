"""What values mean to an expression: fields, absence, truth, and the form in which they leave."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel

from orchestrator.contract.values import Severity
from orchestrator.errors import LimitExceeded, ValueAbsent, WrongType
from orchestrator.language.expressions.limits import BUILT, DATA_DEPTH, NUMBER, TEXT


class Absent:
    """The value of a field that is not there. It knows which one, for the message."""

    __slots__ = ("path",)

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


def field(value: Any, name: Any, path: str, *, known_shape: bool = True) -> Any:
    """The field or item `name` of a value; `Absent` where it has none, an error where it never could have one.

    With `known_shape=False` (below `alert.raw`, say) a text or list where an object was expected is absence too.
    """
    if isinstance(value, BaseModel):
        return _model_field(value, name, path)
    if is_absent(value) or is_absent(name):
        return Absent(path)
    if isinstance(value, Mapping) and isinstance(name, str):
        return value[name] if name in value else Absent(path)
    if isinstance(value, list | tuple) and isinstance(name, int) and not isinstance(name, bool):
        return value[name] if -len(value) <= name < len(value) else Absent(path)
    if not known_shape:
        return Absent(path)
    if isinstance(value, list | tuple):
        raise WrongType(f"{path}: a list has places, not fields; take one with [0] or `| first`")
    if isinstance(value, Mapping):
        raise WrongType(f"{path}: the name of a field is text, found {kind_of(name)}")
    raise WrongType(f"{path}: {kind_of(value)} has no field {shortened(name)}")


def _names_of(cls: type[Any]) -> frozenset[str]:
    return frozenset(cls.model_fields) if issubclass(cls, BaseModel) else frozenset()


names_of: Callable[..., frozenset[str]] = lru_cache(maxsize=4_096)(_names_of)
"""The fields that values of a class have: those of a model, none of anything else."""


def _model_field(model: BaseModel, name: Any, path: str) -> Any:
    fields = names_of(type(model))
    if isinstance(name, str) and name in fields:
        return getattr(model, name)
    if is_absent(name):
        return Absent(path)
    near = difflib.get_close_matches(str(name)[:80], type(model).model_fields, n=1)
    raise WrongType(f"{path}: no such field", hint=f"did you mean {near[0]}?" if near else "")


def is_absent(value: Any) -> bool:
    """Whether there is nothing: no field, or none in it."""
    return value is None or isinstance(value, Absent)


def missing(value: Any, otherwise: str = "the value") -> ValueAbsent:
    """The error that says what is absent; `otherwise` names it where the value does not know its path."""
    path = value.path if isinstance(value, Absent) else ""
    return ValueAbsent(f"{path or otherwise} is absent", hint="guard it, or give it a `default(...)`")


def truth(value: Any) -> bool:
    """What a value means as a condition: absent, none, zero, false and empty are false."""
    return bool(value) if not isinstance(value, BaseModel | Enum) else True


def shortened(value: Any) -> str:
    """A value as a message shows it: what an alert holds never makes a message long."""
    text = repr(str(value)[:60])
    return text if len(str(value)) <= 60 else f"{text}\u2026"


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


def listed_or_raise(value: Any) -> list[Any]:
    """A list as it is; raises for anything else."""
    if isinstance(value, list | tuple):
        return list(value)
    raise WrongType(f"expected a list, found {kind_of(value)}")


def measured(value: Any, most: int = BUILT) -> Any:
    """The value, once it is known to have at most this many characters and items when written out.

    One list may stand in another many times over, so what is small in memory can be huge as text.
    """
    if isinstance(value, str | bool) and len(str(value)) <= most:
        return value
    waiting, size = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        size += 1 + (len(one) if isinstance(one, str) else 0)
        if isinstance(one, BaseModel):
            one = {name: getattr(one, name) for name in type(one).model_fields}
        if isinstance(one, Mapping):
            size += sum(len(name) for name in one if isinstance(name, str))
            waiting += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list | tuple):
            if size + len(waiting) + len(one) > most:
                raise LimitExceeded(f"makes a value of more than {most} characters and items")
            waiting += [(inner, depth + 1) for inner in one]
        else:
            _writable(one)
        if size > most:
            raise LimitExceeded(f"makes a value of more than {most} characters and items")
        if depth > DATA_DEPTH:
            raise LimitExceeded(f"makes a value that is nested more than {DATA_DEPTH} deep")
    return value


def _writable(value: Any) -> None:
    """Raise for a number that JSON cannot carry: only a value from outside can be one."""
    if isinstance(value, int) and not -NUMBER <= value < 2 * NUMBER:
        raise LimitExceeded("holds a number of more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise LimitExceeded("holds a number that is infinite, or none at all")


def plain(value: Any) -> Any:
    """The value as JSON knows it: models as objects without what is none, typed text as text, times in ISO 8601."""
    return _plain(measured(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return None if isinstance(value, Absent) else value


def text_of(value: Any) -> str:
    """A value as it stands in text."""
    if isinstance(value, str):
        return str(value)
    if is_absent(value):
        raise missing(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    simple = _plain(measured(value, TEXT))
    return simple if isinstance(simple, str) else _dumped(simple)


def json_of(value: Any) -> str:
    """A value as JSON text."""
    return _dumped(_plain(measured(value, TEXT)))


def _dumped(simple: Any) -> str:
    try:
        return orjson.dumps(simple).decode()
    except TypeError as error:  # half a surrogate pair, or a value that only Python has
        raise WrongType("this value cannot be written as text") from error

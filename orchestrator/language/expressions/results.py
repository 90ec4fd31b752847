"""What operators make of types: sums, signs, and what is left of a type where it was true or false."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum
from itertools import product
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from orchestrator.language.expressions.kinds import (
    NUMBER,
    TEXT,
    UNKNOWN,
    Const,
    Kind,
    ListOf,
    MapOf,
    Model,
    Nothing,
    Scalar,
    Type,
    Unknown,
    as_type,
    is_number,
    is_of,
    is_text,
    list_of,
    said,
    union,
)
from orchestrator.language.expressions.relations import CONVERSIONS, Mismatch

_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "FloorDiv": "//", "Mod": "%"}


def worked(operator: str, left: Type, right: Type) -> Type | Mismatch:
    """The type of two values with an operator between them, by the name of its node; why there is none."""
    results = []
    for a, b in product(left.there.kinds, right.there.kinds):
        unknown = isinstance(a, Unknown) or isinstance(b, Unknown)
        result = UNKNOWN if unknown else _worked(operator, a, b)
        if result is None:
            return Mismatch(f"`{_SIGNS[operator]}` cannot stand between {said(a)} and {said(b)}", CONVERSIONS)
        results.append(result)
    return union(results) if results else UNKNOWN


def _worked(operator: str, left: Kind, right: Kind) -> Type | None:
    if is_number(left) and is_number(right):
        whole = operator != "Div" and is_of(left, int) and is_of(right, int)
        return as_type(int if whole else float)
    if operator == "Add" and is_text(left) and is_text(right):
        return TEXT
    if operator == "Add" and isinstance(left, ListOf) and isinstance(right, ListOf):
        return list_of(left.item | right.item)
    return _moved(operator, left, right) if operator in ("Add", "Sub") else None


def _moved(operator: str, left: Kind, right: Kind) -> Type | None:
    """Times and durations: a time moves by a duration, two times have one between them."""
    if is_of(right, timedelta) and is_of(left, datetime, timedelta):
        return as_type(datetime if is_of(left, datetime) else timedelta)
    if operator == "Add":
        return as_type(datetime) if is_of(left, timedelta) and is_of(right, datetime) else None
    return as_type(timedelta) if is_of(left, datetime) and is_of(right, datetime) else None


def signed(inner: Type) -> Type | Mismatch:
    """The type of a value with a sign before it."""
    for kind in inner.there.kinds:
        if not isinstance(kind, Unknown) and not is_number(kind):
            return Mismatch(f"a sign stands before a number, found {said(kind)}", CONVERSIONS)
    whole = all(is_of(kind, int) for kind in inner.there.kinds)
    return as_type(int) if whole and not inner.unknown else NUMBER


def falsy(found: Type) -> Type:
    """What a value may be where it counts as false."""
    return Type(tuple(kind for kind in found.kinds if not _always_true(kind)))


def truthy(found: Type) -> Type:
    """What a value may be where it counts as true, and an absence that ends it all."""
    return Type(tuple(kind for kind in found.kinds if not _always_false(kind)))


def _always_true(kind: Kind) -> bool:
    if isinstance(kind, Const):
        return bool(kind.value)
    return isinstance(kind, Model) or is_of(kind, Enum, datetime)


def _always_false(kind: Kind) -> bool:
    if isinstance(kind, Nothing):
        return kind.how != "raised"
    return isinstance(kind, Const) and not kind.value


def unwritable(found: Type) -> Mismatch | None:
    """Why a value cannot be written as text."""
    for kind in found.there.kinds:
        if isinstance(kind, ListOf | MapOf):
            inner = unwritable(kind.item if isinstance(kind, ListOf) else kind.value)
            if inner is not None:
                return inner
        elif isinstance(kind, Scalar) and not issubclass(kind.cls, _WRITABLE):
            return Mismatch(f"{said(kind)} cannot be written as text")
    return None


_WRITABLE: tuple[type[Any], ...] = (
    str, bool, int, float, Enum, datetime, timedelta, date, time, UUID, BaseModel,
)  # fmt: skip
"""what text is made of; a secret, for one, is not among them"""


def countable(found: Type) -> str:
    """`a number` or `text`, where that is all that a value can be: neither means much as a condition."""
    kinds = found.there.kinds
    if kinds and all(is_number(kind) for kind in kinds):
        return "a number"
    return "text" if kinds and all(is_text(kind) and kind.cls is str for kind in kinds) else ""

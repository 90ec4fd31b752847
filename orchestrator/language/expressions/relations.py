"""What can stand between two types: equality, order, `in`, and a value in the place of a parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from orchestrator.contract.values import FileHash, IpAddress, MailAddress, Network, NormalisedText, Severity
from orchestrator.language.expressions.kinds import (
    Const,
    Kind,
    ListOf,
    MapOf,
    Model,
    Record,
    Scalar,
    Type,
    Unknown,
    as_type,
    is_number,
    is_of,
    is_text,
    near,
    said,
    words_of,
)

UNNAMED = "this"
"""what a message calls a value that has no path"""
CONVERSIONS = "there are no conversions"


@dataclass(frozen=True)
class Mismatch:
    """Why two types do not go together. `fails` says that trying raises; otherwise the answer is always no.

    Where a literal is the reason, `literal` is it as written, with what is asked of it: `'hgh'`, `above 900`.
    """

    reason: str
    hint: str = ""
    fails: bool = True
    literal: str = ""

    def about(self, subject: str) -> str:
        """The whole sentence."""
        if self.literal:
            return f"{subject} can never be {self.literal}: {self.reason}"
        return f"{subject}: {self.reason}" if subject != UNNAMED else self.reason


def equality(left: Type, right: Type) -> Mismatch | None:
    """Why two values cannot be asked whether they are equal, or never are."""
    return _together(_equal_kinds, left, right)


def ordering(op: str, left: Type, right: Type) -> Mismatch | None:
    """Why two values have no order, or never this one."""
    return _together(lambda a, b: _ordered_kinds(op, a, b), left, right)


def membership(item: Type, container: Type) -> Mismatch | None:
    """Why `in` cannot be asked of these, or never holds."""
    return _together(_in_kinds, item, container)


def _together(relate: Callable[[Kind, Kind], Mismatch | None], left: Type, right: Type) -> Mismatch | None:
    """The mismatch of two types: that of any pair that fails, or of all pairs where none can hold."""
    known = [one for one in product(left.there.kinds, right.there.kinds) if not _unknown(*one)]
    found = [relate(a, b) for a, b in known]
    for one in found:
        if one is not None and one.fails:
            return one
    return found[0] if found and all(found) and not (left.unknown or right.unknown) else None


def _unknown(*kinds: Kind) -> bool:
    return any(isinstance(kind, Unknown) for kind in kinds)


def _never(reason: str, hint: str = "", *, literal: str = "") -> Mismatch:
    return Mismatch(reason, hint, fails=False, literal=literal)


def _equal_kinds(left: Kind, right: Kind) -> Mismatch | None:
    if is_of(left, Severity) or is_of(right, Severity):
        return _severities(left, right)
    if is_text(left) and is_text(right):
        return _same_text(left, right)
    if is_number(left) and is_number(right):
        return _same_number(left, right)
    if isinstance(left, ListOf) and isinstance(right, ListOf):
        return _inner(equality(left.item, right.item))
    if isinstance(left, MapOf | Record) and isinstance(right, MapOf | Record):
        return _same_objects(left, right)
    same = any(is_of(left, cls) and is_of(right, cls) for cls in (bool, datetime, timedelta))
    return None if same or (isinstance(left, Model) and left == right) else _different(left, right)


def _different(left: Kind, right: Kind) -> Mismatch:
    literal, other = (left, right) if isinstance(left, Const) else (right, left)
    if isinstance(literal, Const):
        return _never(f"it is {said(other)}", CONVERSIONS, literal=said(literal))
    return _never(f"{said(left)} is never equal to {said(right)}", CONVERSIONS)


def _inner(mismatch: Mismatch | None) -> Mismatch | None:
    """Of what lies inside: two empty lists are equal, whatever their items could be."""
    return mismatch if mismatch is not None and mismatch.fails else None


def _same_objects(left: MapOf | Record, right: MapOf | Record) -> Mismatch | None:
    mismatches = (_inner(equality(a, b)) for a, b in _values(left, right))
    return next((found for found in mismatches if found is not None), None)


def _values(left: MapOf | Record, right: MapOf | Record) -> Iterator[tuple[Type, Type]]:
    """The pairs of values that are compared where two objects are."""
    names = [set(one.fields) for one in (left, right) if isinstance(one, Record)]
    if not names:
        yield _value(left, ""), _value(right, "")
    for name in sorted(set.intersection(*names)) if names else ():
        yield _value(left, name), _value(right, name)


def _value(kind: MapOf | Record, name: str) -> Type:
    return kind.value if isinstance(kind, MapOf) else as_type(kind.fields[name])


def _severities(left: Kind, right: Kind) -> Mismatch | None:
    """A severity compares with a severity, or with text whose every word is one."""
    other = right if is_of(left, Severity) else left
    words = words_of(other)
    if is_of(other, Severity):
        return None
    if words is not None and is_text(other):
        wrong = [word for word in words if parsed(Severity, word)]
        return _no_severity(wrong[0]) if wrong else None
    hint = "`| severity` reads a text as one" if is_text(other) else CONVERSIONS
    return Mismatch(f"a severity cannot be compared with {said(other)}", hint)


def _no_severity(word: str) -> Mismatch:
    known = [one.value for one in Severity]
    return Mismatch(f"it is one of {', '.join(known)}", near(word, known), literal=repr(word))


def parsed(kind: Any, text: str) -> str:
    """The reason why a text is none of this kind; empty where it is one."""
    try:
        kind.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _same_text(left: Scalar | Const, right: Scalar | Const) -> Mismatch | None:
    for typed, other in ((left, right), (right, left)):
        if is_of(typed, NormalisedText):
            return _same_as_typed(typed, other)
    mine, theirs = words_of(left), words_of(right)
    if mine is not None and theirs is not None and not set(mine) & set(theirs):
        return _no_common_word(left, right)
    for rule, literal in ((left, right), (right, left)):
        if isinstance(rule, Scalar) and isinstance(literal, Const) and (reason := against(rule, literal)):
            return _never(reason, literal=said(literal))
    return None


def _no_common_word(left: Scalar | Const, right: Scalar | Const) -> Mismatch:
    choice, literal = (right, left) if isinstance(left, Const) else (left, right)
    if isinstance(choice, Const) or not isinstance(literal, Const):
        return _never(f"{said(left)} is never {said(right)}")
    words = list(words_of(choice) or ())
    return _never(f"it is one of {', '.join(words)}", near(literal.value, words), literal=said(literal))


def _same_as_typed(typed: Scalar | Const, other: Scalar | Const) -> Mismatch | None:
    if isinstance(other, Const):
        reason = parsed(typed.cls, other.value)
        return _never(reason, literal=said(other)) if reason else None
    if is_of(other, NormalisedText) and _strangers(typed.cls, other.cls):
        return _never(f"{said(typed)} is never {said(other)}", _network_hint(typed, other))
    return None


APART = (IpAddress, Network, FileHash, MailAddress)
"""kinds of text no value of which is also one of the others"""


def _strangers(left: type[Any], right: type[Any]) -> bool:
    return left is not right and left in APART and right in APART


def _network_hint(left: Scalar | Const, right: Scalar | Const) -> str:
    return "write `is in_network(...)`" if {left.cls, right.cls} == {IpAddress, Network} else ""


def _same_number(left: Scalar | Const, right: Scalar | Const) -> Mismatch | None:
    (low, high), (least, most) = range_of(left), range_of(right)
    if low <= most and least <= high:
        return None
    literal, other = (left, right) if isinstance(left, Const) else (right, left)
    return _never(f"it is {bounds(other)}", literal=bounds(literal))


def range_of(kind: Scalar | Const) -> tuple[float, float]:
    """Between which numbers a number surely is."""
    if isinstance(kind, Const):
        return kind.value, kind.value
    return -math.inf if kind.low is None else kind.low, math.inf if kind.high is None else kind.high


def bounds(kind: Scalar | Const) -> str:
    """A number in words, with what it lies between."""
    low, high = range_of(kind)
    if isinstance(kind, Const):
        return str(kind.value)
    if low == -math.inf:
        return said(kind) if high == math.inf else f"a number up to {high}"
    return f"a number from {low}" if high == math.inf else f"a number from {low} to {high}"


def against(rule: Scalar, literal: Const) -> str:
    """What a literal text has against the pattern of a field; empty where it fits."""
    fits = rule.pattern is None or re.search(rule.pattern, literal.value)
    return "" if fits else f"it looks like {rule.pattern}"


def _ordered_kinds(op: str, left: Kind, right: Kind) -> Mismatch | None:
    if is_of(left, Severity) or is_of(right, Severity):
        return _severities(left, right)
    if is_number(left) and is_number(right):
        return _ordered_numbers(op, left, right)
    if is_text(left) and is_text(right):
        return _ordered_texts(left, right)
    if any(is_of(left, cls) and is_of(right, cls) for cls in (datetime, timedelta)):
        return None
    return Mismatch(f"{said(left)} and {said(right)} have no order", CONVERSIONS)


_MIRRORED = {"lt": "gt", "lteq": "gteq", "gt": "lt", "gteq": "lteq"}
_SIGNS = {"lt": "below", "lteq": "at most", "gt": "above", "gteq": "at least"}


def _ordered_numbers(op: str, left: Scalar | Const, right: Scalar | Const) -> Mismatch | None:
    if isinstance(left, Const) and not isinstance(right, Const):
        left, right, op = right, left, _MIRRORED[op]
    (low, high), (least, most) = range_of(left), range_of(right)
    never = {"lt": low >= most, "lteq": low > most, "gt": high <= least, "gteq": high < least}[op]
    return _never(f"it is {bounds(left)}", literal=f"{_SIGNS[op]} {bounds(right)}") if never else None


def _ordered_texts(left: Scalar | Const, right: Scalar | Const) -> Mismatch | None:
    for kind in (left, right):
        if isinstance(kind, Scalar) and words_of(kind) is not None:
            return Mismatch("a choice of words has no order", "ask whether it is `in` a list of them")
    for typed, other in ((left, right), (right, left)):
        if is_of(typed, NormalisedText):
            return _ordered_typed(typed, other)
    return None


def _ordered_typed(typed: Scalar | Const, other: Scalar | Const) -> Mismatch | None:
    if other.cls is typed.cls or (isinstance(other, Const) and not parsed(typed.cls, other.value)):
        return None
    return Mismatch(f"{said(typed)} and {said(other)} have no order", _network_hint(typed, other))


def _in_kinds(item: Kind, container: Kind) -> Mismatch | None:
    if isinstance(container, ListOf):
        return equality(Type((item,)), container.item)
    if is_text(container) or isinstance(container, MapOf | Record):
        return None if is_text(item) else Mismatch(f"{said(item)} cannot be in {said(container)}", CONVERSIONS)
    hint = "ask for a field: `x.field is defined`" if isinstance(container, Model) else "`in` looks into a list"
    return Mismatch(f"nothing can be in {said(container)}", hint)

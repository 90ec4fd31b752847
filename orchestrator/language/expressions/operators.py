"""Comparisons and arithmetic: what stands between two values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions.compare import contains, equal, order, since
from orchestrator.language.expressions.frame import Closure, Frame
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.values import is_absent, kind_of

COMPARISONS: dict[str, Callable[[Meter, Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda meter, left, right: not equal(meter, left, right),
    "lt": lambda meter, left, right: order(meter, left, right) < 0,
    "gt": lambda meter, left, right: order(meter, left, right) > 0,
    "lteq": lambda meter, left, right: order(meter, left, right) <= 0,
    "gteq": lambda meter, left, right: order(meter, left, right) >= 0,
    "in": lambda meter, left, right: contains(meter, right, left),
    "notin": lambda meter, left, right: not contains(meter, right, left),
}


def comparison(first: Closure, rest: list[tuple[str, Closure, bool]]) -> Closure:
    """`a < b <= c`. Each of the rest is its operator, its right side, and whether the author wrote `none` there."""
    steps = [(_asked(name) if asks else _compared(COMPARISONS[name]), right_of) for name, right_of, asks in rest]
    if len(steps) == 1:
        holds, second = steps[0]
        return lambda frame: holds(frame, first(frame), second(frame))

    def compare(frame: Frame) -> bool:
        left = first(frame)
        for holds, right_of in steps:
            right = right_of(frame)
            if not holds(frame, left, right):
                return False
            left = right
        return True

    return compare


def _asked(name: str) -> Callable[[Frame, Any, Any], bool]:
    """`x == none` asks whether it is there."""
    return lambda frame, left, right: (is_absent(left) and is_absent(right)) is (name == "eq")


def _compared(holds: Callable[[Meter, Any, Any], bool]) -> Callable[[Frame, Any, Any], bool]:
    """Two values that are both there; nothing holds of what is not."""

    def compare(frame: Frame, left: Any, right: Any) -> bool:
        if is_absent(left) or is_absent(right):
            frame.absent(left if is_absent(left) else right, "one side of the comparison")
            return False
        return holds(frame.meter, left, right)

    return compare


def arithmetic(left: Closure, right: Closure, work: Callable[[Frame, Any, Any], Any]) -> Closure:
    """Two values worked into one; nothing where one of them is nothing."""

    def compute(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        if is_absent(a) or is_absent(b):
            return frame.absent(a if is_absent(a) else b, "a part of the sum")
        try:
            return work(frame, a, b)
        except (OverflowError, ZeroDivisionError):
            raise ExpressionError("the values do not allow this: overflow or a division by zero") from None

    return compute


def sign(inner: Closure, work: Callable[[Any], Any]) -> Closure:
    """A number with a sign before it."""

    def compute(frame: Frame) -> Any:
        value = inner(frame)
        if is_absent(value):
            return frame.absent(value, "what the sign stands before")
        if not _numbers(value):
            raise WrongType(f"a sign stands before a number, found {kind_of(value)}")
        return number(work(value))

    return compute


def plus(frame: Frame, a: Any, b: Any) -> Any:
    """Numbers, texts, lists, or a duration after a time or another duration."""
    if _numbers(a, b):
        return number(a + b)
    if isinstance(a, str) and isinstance(b, str):
        frame.meter.room_for(len(a) + len(b))
        return frame.meter.text(str(a) + str(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        frame.meter.step(len(a) + len(b))
        return frame.meter.items([*a, *b])
    if isinstance(a, datetime | timedelta) and isinstance(b, timedelta):
        return a + b
    if isinstance(a, timedelta) and isinstance(b, datetime):
        return b + a
    raise WrongType(f"{kind_of(a)} and {kind_of(b)} cannot be added", hint="there are no conversions")


def minus(frame: Frame, a: Any, b: Any) -> Any:
    """Numbers, two times (the duration between them), or a duration before a time or from another duration."""
    if _numbers(a, b):
        return number(a - b)
    if isinstance(a, datetime) and isinstance(b, datetime):
        return since(a, b)
    if isinstance(a, datetime | timedelta) and isinstance(b, timedelta):
        return a - b
    raise WrongType(f"{kind_of(b)} cannot be taken from {kind_of(a)}")


def of_numbers(name: str, work: Callable[[Any, Any], Any]) -> Callable[[Frame, Any, Any], Any]:
    """An operator that only numbers have: `*` would repeat a text, `%` would fill one in."""

    def compute(frame: Frame, a: Any, b: Any) -> Any:
        if not _numbers(a, b):
            raise WrongType(f"{name} takes numbers, found {kind_of(a)} and {kind_of(b)}")
        return number(work(a, b))

    return compute


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

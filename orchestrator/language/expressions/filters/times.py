"""Filters on numbers, times and durations."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.compare import equal, in_utc
from orchestrator.language.expressions.filters.given import a_count, a_number, text
from orchestrator.language.expressions.filters.registry import ALL, is_filter, is_test
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.values import is_absent, kind_of

_WHOLE = re.compile(r"-?[0-9]{1,19}")


@is_filter("round", arguments=1, least=0)
def round_(meter: Meter, value: Any, digits: int = 0) -> float:
    """To so many digits after the point: `3.14159 | round(2)`."""
    places = a_count(digits, most=15)
    rounded = round(number(a_number(value)), places)
    return number(int(rounded) if places == 0 else rounded)


@is_filter("abs")
def abs_(meter: Meter, value: Any) -> float:
    """Without its sign: `-3 | abs`."""
    return number(abs(a_number(value)))


@is_filter("int")
def int_(meter: Meter, value: Any) -> int:
    """A text of digits as a number, said on purpose: `alert.raw.count | int`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = text(meter, value).strip()
    if not _WHOLE.fullmatch(digits):
        raise ExpressionError("not a whole number")
    return int(number(int(digits)))


@is_filter("parse_time")
def parse_time(meter: Meter, value: Any) -> datetime:
    """A time in ISO 8601, UTC where it names no zone: `alert.raw.seen | parse_time`."""
    try:
        moment = datetime.fromisoformat(text(meter, value).strip())
    except ValueError:
        raise ExpressionError("not a time in ISO 8601") from None
    return in_utc(moment)


def _form(*forms: Any) -> None:
    """The letters that every platform knows, so that a form means the same everywhere."""
    for form in forms:
        if not isinstance(form, str) or len(form) > 64:
            raise ExpressionError("the form of a time is a text of at most 64 characters")
        rest = re.sub(r"%[aAbBdHIjmMpSyYfzZ%]", "", form)
        if "%" in rest:
            raise ExpressionError(f"the form of a time knows no {rest[rest.index('%') :][:2]!r}", hint="see strftime")


@is_filter("format_time", arguments=1, least=0, literals=ALL, check=_form)
def format_time(meter: Meter, value: Any, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """A time for people, in UTC: `alert.time | format_time("%H:%M")`."""
    if not isinstance(value, datetime):
        raise ExpressionError(f"expected a time, found {kind_of(value)}")
    return meter.text(in_utc(value).strftime(form))


def _unit(name: str, seconds: float) -> None:
    @is_filter(name)
    def in_unit(meter: Meter, value: Any) -> Any:
        """A number as a duration, a duration as a number."""
        if isinstance(value, timedelta):
            return value.total_seconds() / seconds
        try:
            return timedelta(seconds=a_number(value) * seconds)
        except OverflowError:
            raise ExpressionError("longer than any duration can be") from None

    in_unit.__doc__ = f"A number as {name}, or a duration in {name}: `now() - (3 | {name})`."


for _name, _seconds in (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0)):
    _unit(_name, _seconds)


@is_test("none", of_nothing=True)
def none(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.user is none`."""
    return is_absent(value)


@is_test("defined", of_nothing=True)
def defined(meter: Meter, value: Any) -> bool:
    """Whether there is a value: `alert.raw.dns is defined`."""
    return not is_absent(value)


@is_test("undefined", of_nothing=True)
def undefined(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.raw.dns is undefined`."""
    return is_absent(value)


@is_test("equalto", arguments=1)
def equalto(meter: Meter, value: Any, other: Any) -> bool:
    """Equality as `==` has it, for `selectattr` and its kin."""
    return equal(meter, value, other)


@is_test("number")
def isa_number(meter: Meter, value: Any) -> bool:
    """Whether it is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@is_test("text")
def is_text(meter: Meter, value: Any) -> bool:
    """Whether it is text."""
    return isinstance(value, str)


@is_test("list")
def is_list(meter: Meter, value: Any) -> bool:
    """Whether it is a list."""
    return isinstance(value, list | tuple)

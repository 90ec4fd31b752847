"""Filters on numbers, times and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.filters.registry import is_filter, is_test
from orchestrator.language.expressions.filters.texts import text
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.values import equal, is_absent, kind_of


@is_filter("round", arguments=1, least=0)
def round_(meter: Meter, value: Any, digits: int = 0) -> float:
    """To so many digits after the point: `3.14159 | round(2)`."""
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 15:
        raise ExpressionError("round takes 0 to 15 digits")
    rounded = round(_number(value), digits)
    return int(rounded) if digits == 0 else rounded


@is_filter("abs")
def abs_(meter: Meter, value: Any) -> float:
    """Without its sign: `-3 | abs`."""
    return number(abs(_number(value)))


@is_filter("int")
def int_(meter: Meter, value: Any) -> int:
    """A text of digits as a number, said on purpose: `alert.raw.count | int`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = text(meter, value).strip()
    if not digits.lstrip("-").isascii() or not digits.lstrip("-").isdigit() or len(digits) > 19:
        raise ExpressionError("not a whole number")
    return int(number(int(digits)))


@is_filter("parse_time")
def parse_time(meter: Meter, value: Any) -> datetime:
    """A time in ISO 8601, UTC where it names no zone: `alert.raw.seen | parse_time`."""
    try:
        moment = datetime.fromisoformat(text(meter, value).strip())
    except ValueError:
        raise ExpressionError("not a time in ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@is_filter("format_time", arguments=1, least=0, literal=True)
def format_time(meter: Meter, value: Any, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """A time for people, in UTC: `alert.time | format_time("%H:%M")`."""
    if not isinstance(value, datetime):
        raise ExpressionError(f"expected a time, found {kind_of(value)}")
    return meter.text(value.astimezone(UTC).strftime(form[:64]))


def _unit(name: str, seconds: float) -> None:
    @is_filter(name)
    def in_unit(meter: Meter, value: Any) -> Any:
        """A number as a duration, a duration as a number."""
        if isinstance(value, timedelta):
            return value.total_seconds() / seconds
        try:
            return timedelta(seconds=_number(value) * seconds)
        except OverflowError:
            raise ExpressionError("longer than any duration can be") from None

    in_unit.__doc__ = f"A number as {name}, or a duration in {name}: `now() - (3 | {name})`."


for _name, _seconds in (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0)):
    _unit(_name, _seconds)


@is_test("none")
def none(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.user is none`."""
    return is_absent(value)


@is_test("defined")
def defined(meter: Meter, value: Any) -> bool:
    """Whether there is a value: `alert.raw.dns is defined`."""
    return not is_absent(value)


@is_test("undefined")
def undefined(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.raw.dns is undefined`."""
    return is_absent(value)


@is_test("equalto", arguments=1)
def equalto(meter: Meter, value: Any, other: Any) -> bool:
    """Equality as `==` has it, for `selectattr` and its kin."""
    return equal(value, other)


@is_test("number")
def is_number(meter: Meter, value: Any) -> bool:
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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"expected a number, found {kind_of(value)}")
    return value

"""Filters and tests on times and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.calendars import Calendar, Weekday, zone
from orchestrator.language.expressions.compare import in_utc
from orchestrator.language.expressions.filters.given import Number, a_number, a_time, text
from orchestrator.language.expressions.filters.registry import ALL, is_filter, is_test
from orchestrator.language.expressions.kinds import Type, as_type, is_of
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.signatures import Use
from orchestrator.language.expressions.values import kind_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@is_filter("parse_time", takes=str, gives=datetime)
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


def _zone(*names: Any) -> None:
    for name in names:
        try:
            zone(name)
        except (TypeError, ValueError) as error:
            raise ExpressionError(str(error)) from None


def _form_and_zone(*given: Any) -> None:
    _form(*given[:1])
    _zone(*given[1:])


@is_filter(
    "format_time", takes=datetime, arguments=(str, str), least=0, gives=str, literals=ALL, check=_form_and_zone
)  # fmt: skip
def format_time(meter: Meter, value: Any, form: str = "%Y-%m-%d %H:%M:%S UTC", tz: str = "UTC") -> str:
    """A time for people, in UTC or another zone: `alert.time | format_time("%H:%M", "Europe/Berlin")`."""
    return meter.text(in_utc(a_time(value)).astimezone(zone(tz)).strftime(form))


@is_filter("weekday", takes=datetime, arguments=(str,), least=0, gives=Weekday, literals=ALL, check=_zone)
def weekday(meter: Meter, value: Any, tz: str = "UTC") -> Weekday:
    """The day of the week, in UTC or another zone: `now() | weekday("Europe/Berlin") in ["saturday", "sunday"]`."""
    return tuple(Weekday)[in_utc(a_time(value)).astimezone(zone(tz)).weekday()]


@is_filter("to_epoch", takes=datetime, gives=int)
def to_epoch(meter: Meter, value: Any) -> int:
    """Whole seconds since 1970: `alert.time | to_epoch`."""
    return int((in_utc(a_time(value)) - EPOCH) // timedelta(seconds=1))


@is_filter("from_epoch", takes=Number, gives=datetime)
def from_epoch(meter: Meter, value: Any) -> datetime:
    """The time so many seconds after 1970: `alert.raw.seen | from_epoch`."""
    try:
        return EPOCH + timedelta(seconds=number(a_number(value)))
    except OverflowError:
        raise ExpressionError("a time outside the years 1 to 9999") from None


@is_test("within", takes=datetime, arguments=(Calendar,))
def within(meter: Meter, value: Any, calendar: Any) -> bool:
    """Whether a time is inside the hours of a calendar: `alert.time is within(calendars.office)`."""
    if not isinstance(calendar, Calendar):
        raise WrongType(f"expected a calendar, found {kind_of(calendar)}")
    meter.step(1 + len(calendar.holidays) // 64)
    return calendar.contains(in_utc(a_time(value)))


def _other_way(use: Use) -> Type:
    """A duration gives a number, a number a duration."""
    durations = [is_of(kind, timedelta) for kind in use.value.kinds]
    if use.value.unknown or (any(durations) and not all(durations)):
        return as_type(float | timedelta)
    return as_type(float if all(durations) else timedelta)


def _unit(name: str, seconds: float) -> None:
    @is_filter(name, takes=Number | timedelta, gives=_other_way)
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

"""The five fields of a schedule, and the moments at which it comes: those at which Temporal's server starts runs.

Cron has many dialects. This is the part of it that the server takes, and what the server makes of it (a test asks it):
both days have to fit where both are said; a time that a change of the clock leaves out does not come that day, and one
that the clock shows twice comes once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

FIELDS = ("the minute", "the hour", "the day of the month", "the month", "the day of the week")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_WORDS: tuple[Mapping[str, int], ...] = (
    *({},) * 3,
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
LAST = date(2100, 1, 1)
"""where the server's calendar ends"""
CHANGES_FROM = date(2026, 1, 1)
CHANGES_FOR = timedelta(days=2 * 365)
"""where changes of the clock are looked for: the rules of a zone stay what they are for years"""


@dataclass(frozen=True)
class Cron:
    """A schedule: what each of its fields may be. Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @property
    def spelled(self) -> str:
        """The five fields as lists of what they may be: of ranges that end with Sunday the server loses the Sunday."""
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join(
            "*" if len(one) == size else ",".join(map(str, one))
            for one, size in zip(fields, (60, 24, 31, 12, 7), strict=True)
        )

    def on(self, day: date) -> bool:
        """Whether it comes on a day."""
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def coming(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """The moments after this one, by the zone's clock."""
        first = after.astimezone(zone).date()
        for number in range((LAST - first).days):
            day = first + timedelta(days=number)
            if self.on(day):
                yield from (one for one in self._of(day, zone) if not left_out(one) and one > after)

    def disturbed(self, zone: ZoneInfo) -> Iterator[datetime]:
        """The times on days of a change that the clock leaves out, or shows twice.

        Of a day that has no midnight, which the server leaves out whole where days of the week are asked for, that.
        """
        for day in days_of_change(zone):
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            if self.on(day) and len(self.weekdays) < 7 and left_out(midnight):
                yield midnight
            elif self.on(day):
                yield from (one for one in self._of(day, zone) if left_out(one) or shown_twice(one))

    def _of(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


@lru_cache(maxsize=64)
def days_of_change(zone: ZoneInfo) -> tuple[date, ...]:
    """The days on which the clock is put forward or back, of two years."""
    days = (CHANGES_FROM + timedelta(days=number) for number in range(CHANGES_FOR.days))
    return tuple(day for day in days if is_of_change(day, zone))


def is_of_change(day: date, zone: ZoneInfo) -> bool:
    """Whether the clock is put forward or back on a day."""
    return _offset(day, zone) != _offset(day + timedelta(days=1), zone)


def _offset(day: date, zone: ZoneInfo) -> timedelta | None:
    return datetime(day.year, day.month, day.day, tzinfo=zone).utcoffset()


def left_out(local: datetime) -> bool:
    """Whether the clock on the wall never shows this: it is put forward over it."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(tzinfo=None)


def shown_twice(local: datetime) -> bool:
    """Whether the clock on the wall shows this twice: it is put back over it."""
    return not left_out(local) and local.replace(fold=1).utcoffset() != local.replace(fold=0).utcoffset()


def parse_cron(text: str) -> Cron:
    """The schedule that five fields mean; raises `ValueError` that says which of them is none."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"a schedule has five fields, and this has {len(fields)}")
    minutes, hours, days, months, weekdays = (_field(place, one) for place, one in enumerate(fields))
    return Cron(minutes, hours, days, months, tuple(sorted({day % 7 for day in weekdays})))


def _field(place: int, text: str) -> tuple[int, ...]:
    return tuple(sorted({value for part in text.split(",") for value in _part(place, part)}))


def _part(place: int, text: str) -> range:
    span, _, step = text.partition("/")
    low, high = _RANGES[place]
    if span == "*":
        first, last = low, min(high, 6) if place == 4 else high
    else:
        start, dash, end = span.partition("-")
        first = _value(place, start)
        last = _value(place, end) if dash else high if "/" in text else first
    if first > last:
        raise ValueError(f"{FIELDS[place]} goes from {first} down to {last}")
    return range(first, last + 1, _step(place, step) if "/" in text else 1)


def _value(place: int, text: str) -> int:
    low, high = _RANGES[place]
    value = _WORDS[place].get(text.lower(), int(text) if text.isascii() and text.isdigit() else -1)
    if not low <= value <= high:
        raise ValueError(f"{FIELDS[place]} cannot be {text!r}" if text else f"something is missing in {FIELDS[place]}")
    return value


def _step(place: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{FIELDS[place]} cannot go in steps of {text!r}")
    return int(text)

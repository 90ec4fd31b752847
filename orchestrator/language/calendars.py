"""`Calendar`: the hours of a site, so that a condition can ask whether a moment is inside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class Weekday(StrEnum):
    """A day of the week, in the order of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_WEEK = tuple(Weekday)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The names of the time zones that the tzdata package knows."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of this name; raises `ValueError` for none.

    Always the tzdata package's: a machine's own zone files may be of another year, and then two workers would disagree.
    """
    if name not in zone_names():
        raise ValueError(f"{name!r} is not a time zone; write it as Europe/Berlin or UTC")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _zone_name(name: str) -> str:
    zone(name)
    return name


def _time_of_day(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time of day; write it as 08:30, and the end of the day as 24:00")
    return text


def _forward(span: tuple[str, str]) -> tuple[str, str]:
    if span[0] >= span[1]:
        raise ValueError(
            f"{span[0]} to {span[1]} goes over midnight; write the part until 24:00 and the one from 00:00"
        )
    return span


ZoneName = Annotated[str, AfterValidator(_zone_name)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
Span = Annotated[tuple[TimeOfDay, TimeOfDay], AfterValidator(_forward)]
"""From the first time until before the second, on one day."""


class Calendar(BaseModel):
    """When a site is open: spans for the days of the week in its own time zone, and the days when it is closed.

    A day without spans is closed, a holiday too, whatever day of the week it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tz: ZoneName
    hours: Annotated[Mapping[Weekday, tuple[Span, ...]], Field(max_length=7)]
    holidays: Annotated[tuple[date, ...], Field(max_length=1_000)] = ()

    def contains(self, moment: datetime) -> bool:
        """Whether a moment is inside; one that names no zone is UTC."""
        local = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone(self.tz))
        if local.date() in self.holidays:
            return False
        since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        spans = self.hours.get(_WEEK[local.weekday()], ())
        return any(_after_midnight(start) <= since_midnight < _after_midnight(end) for start, end in spans)

    def leaves(self, moment: datetime) -> datetime | None:
        """The first moment after this one that is outside, in UTC; none within the next week."""
        tz = zone(self.tz)
        today = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(tz).date()
        for day in (today + timedelta(days=ahead) for ahead in range(9)):
            midnight = datetime(day.year, day.month, day.day, tzinfo=tz)
            ends = [_after_midnight(end) for _, end in self.hours.get(_WEEK[day.weekday()], ())]
            for after in sorted({timedelta(0), *ends}):
                # wall time is added to, and which moment that is comes out only then: days have 23 and 25 hours too
                outside = (midnight + after).astimezone(UTC)
                if outside > moment and not self.contains(outside):
                    return outside
        return None


def _after_midnight(time_of_day: str) -> timedelta:
    hours, minutes = time_of_day.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))

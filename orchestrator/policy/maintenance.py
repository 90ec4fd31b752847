"""Maintenance windows: when an integration is worked on, and what waits meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from orchestrator.contract.durations import parse_duration
from orchestrator.errors import Finding
from orchestrator.language.calendars import Calendar
from orchestrator.language.yaml_reader import Document, Path
from orchestrator.policy.section import Known, Line, Section, unknown

CalendarOf = Callable[[str], Calendar | None]
"""Gives the site's calendar of this name; none where that cannot be had"""
LineOf = Callable[[Path, str], Line]
GoOrWait = Literal["go", "wait"]


class Window(Section):
    """One entry of `maintenance:`: from one moment to another, or week by week, or as a calendar of the site says.

    What changes something waits until the window ends, for `at_most` so long; `reads` and actions of `critical` alerts
    go or wait as it says.
    """

    integrations: Annotated[tuple[str, ...], Field(min_length=1)]
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None
    weekly: Calendar | None = None
    calendar: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    at_most: Annotated[timedelta, BeforeValidator(parse_duration)] = timedelta(hours=4)
    reads: GoOrWait = "go"
    critical: GoOrWait = "wait"

    model_config = Section.model_config | {"alias_generator": lambda name: name.rstrip("_")}

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` go together; one of them is missing")
        if self.from_ and self.to and self.from_ >= self.to:
            raise ValueError("`to` is not after `from`")
        if [self.from_, self.weekly, self.calendar].count(None) != 2:
            raise ValueError("say when: `from` and `to`, or `weekly`, or `calendar`, and one of these alone")
        return self

    def concerns(self, integration: str, *, mutates: bool, critical: bool) -> bool:
        """Whether such an action waits in it."""
        return (
            integration in self.integrations
            and (mutates or self.reads == "wait")
            and not (critical and self.critical == "go")
        )

    def until(self, moment: datetime, calendar_of: CalendarOf) -> datetime | None:
        """When it ends, at a moment in it; none where it is not in it. Without an end in sight, a week from then."""
        if self.from_ and self.to:
            return self.to if self.from_ <= moment < self.to else None
        calendar = self.weekly or calendar_of(self.calendar or "")
        if calendar is None or not calendar.contains(moment):
            return None
        if ends := calendar.leaves(moment):
            return ends
        return datetime.combine(moment.date() + timedelta(days=7), time(), UTC)


Windows = tuple[Window, ...]


class Inside(NamedTuple):
    """A window that an action has to wait in: until when, for how long at most, and by which line."""

    until: datetime
    at_most: timedelta
    line: Line


def holding(
    windows: Windows, integration: str, moment: datetime, calendar_of: CalendarOf, line: LineOf, *, mutates: bool,
    critical: bool,
) -> Inside | None:  # fmt: skip
    """The window that holds such an action now, the one that ends last where there are several."""
    found = []
    for place, one in enumerate(windows):
        until = (
            one.until(moment, calendar_of) if one.concerns(integration, mutates=mutates, critical=critical) else None
        )
        if until is not None:
            found.append(Inside(until, one.at_most, line(("maintenance", place), f"maintenance of {integration}")))
    return max(found, key=lambda one: one.until, default=None)


def check_windows(windows: Windows, document: Document, known: Known) -> Iterator[Finding]:
    """Names that nobody knows."""
    for place, one in enumerate(windows):
        for number, name in enumerate(one.integrations):
            path: Path = ("maintenance", place, "integrations", number)
            yield from unknown(document, path, "integration", name, known.integrations)
        if one.calendar is not None:
            yield from unknown(document, ("maintenance", place, "calendar"), "calendar", one.calendar, known.calendars)

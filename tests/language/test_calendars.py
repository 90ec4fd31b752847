"""Calendars: the hours of a site in its own time zone, and its holidays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.contract.values import FileRef
from orchestrator.language.calendars import Calendar, Weekday

OFFICE = Calendar.model_validate(
    {
        "tz": "Europe/Berlin",
        "hours": {
            **dict.fromkeys(["monday", "tuesday", "wednesday", "thursday"], (("08:00", "12:00"), ("13:00", "17:30"))),
            "saturday": [["00:00", "24:00"]],
        },
        "holidays": ["2026-05-14"],
    }
)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (datetime(2026, 5, 4, 6, 0, tzinfo=UTC), True),  # Monday, 08:00 in summer
        (datetime(2026, 5, 4, 5, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 5, 6, 30, tzinfo=UTC), False),  # the same hour in winter is 07:30
        (datetime(2026, 5, 4, 10, 0, tzinfo=UTC), False),  # noon: the end of a span is outside
        (datetime(2026, 5, 4, 15, 29, 59, tzinfo=UTC), True),
        (datetime(2026, 5, 8, 8, 0, tzinfo=UTC), False),  # Friday has no spans
        (datetime(2026, 5, 9, 21, 59, 59, 999_999, tzinfo=UTC), True),  # Saturday to its last moment
        (datetime(2026, 5, 9, 22, 0, tzinfo=UTC), False),  # Sunday already, in Berlin
        (datetime(2026, 5, 14, 8, 0, tzinfo=UTC), False),  # a Thursday, and a holiday
        (datetime(2026, 5, 4, 8, 0), True),  # noqa: DTZ001 - a time without a zone is UTC
        (datetime(2026, 5, 4, 23, 0, tzinfo=timezone(timedelta(hours=14))), True),
    ],
)
def test_a_moment_is_inside_by_the_clock_on_the_wall_of_the_site(moment: datetime, inside: bool) -> None:
    """Summer time, midnight and holidays are those of the calendar's own zone."""
    assert OFFICE.contains(moment) is inside


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tz": "Europe/Berln"}, "not a time zone"),
        ({"tz": "../../etc/passwd"}, "not a time zone"),
        ({"hours": {"mon": []}}, "monday"),
        ({"hours": {"monday": [["8:00", "17:00"]]}}, "write it as 08:30"),
        ({"hours": {"monday": [["22:00", "06:00"]]}}, "goes over midnight"),
        ({"holidays": ["14.5.2026"]}, "date"),
        ({"weekdays": []}, "weekdays"),
    ],
)
def test_a_calendar_that_means_nothing_is_refused_with_what_to_write(change: dict[str, Any], says: str) -> None:
    """A misspelt day would be a day that is closed, and nobody would know."""
    with pytest.raises(ValidationError, match=says):
        Calendar.model_validate({"tz": "UTC", "hours": {}, **change})


@pytest.mark.parametrize(
    ("moment", "leaves"),
    [
        (datetime(2026, 5, 4, 6, 0, tzinfo=UTC), datetime(2026, 5, 4, 10, 0, tzinfo=UTC)),  # until noon in summer
        (datetime(2026, 5, 4, 11, 0, tzinfo=UTC), datetime(2026, 5, 4, 15, 30, tzinfo=UTC)),
        (datetime(2026, 1, 5, 11, 59, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 1, 5, 11, 0, tzinfo=UTC)),
        (datetime(2026, 3, 28, 12, 0, tzinfo=UTC), datetime(2026, 3, 28, 23, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, 0, tzinfo=UTC), datetime(2026, 10, 24, 22, 0, tzinfo=UTC)),
    ],
)
def test_when_a_moment_in_it_is_over(moment: datetime, leaves: datetime) -> None:
    """The first moment that is outside, in summer and winter; the one before is still inside."""
    assert OFFICE.leaves(moment) == leaves
    assert OFFICE.contains(leaves - timedelta(seconds=1))
    assert not OFFICE.contains(leaves)


def test_a_night_of_two_spans_is_one_and_what_never_ends_has_no_end() -> None:
    """The part until 24:00 and the one from 00:00 go together; a holiday ends it."""
    night = {"tz": "Europe/Berlin", "hours": {"saturday": [["22:00", "24:00"]], "sunday": [["00:00", "04:00"]]}}
    # the clocks go back in this one: at 03:00 it is 02:00 again
    began = datetime(2026, 10, 24, 20, 30, tzinfo=UTC)
    assert Calendar.model_validate(night).leaves(began) == datetime(2026, 10, 25, 3, 0, tzinfo=UTC)
    shorter = Calendar.model_validate({**night, "holidays": ["2026-10-25"]})
    assert shorter.leaves(began) == datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    always = Calendar.model_validate({"tz": "UTC", "hours": {day: [["00:00", "24:00"]] for day in Weekday}})
    assert always.leaves(began) is None


def test_a_calendar_travels_as_json() -> None:
    """A run carries the calendars that it started with."""
    assert Calendar.model_validate_json(OFFICE.model_dump_json()) == OFFICE
    assert next(iter(Weekday)) == "monday"


def test_a_file_is_named_by_its_hash_and_carries_no_bytes() -> None:
    """It is passed on by reference; only what is said of it can be read."""
    file = FileRef.model_validate({"sha256": "A" * 64, "name": "invoice.docm", "size": 10})
    assert str(file) == "a" * 64
    assert file.kind == "file"
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        FileRef.model_validate({"sha256": "a" * 32})

"""What the site keeps, as a test has it: its own lists and calendars, some of them replaced for the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from orchestrator.language.calendars import Calendar
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList, names_in, restore
from orchestrator.language.reference_reader import CalendarDocument, calendar_of
from orchestrator.language.simulator.answers import TestMistake
from orchestrator.language.tested import Test


def site_of(playbook: Playbook, test: Test, data: ReferenceData | None) -> dict[str, Any]:
    """What expressions read as `lists` and `calendars` (see `snapshot_of`)."""
    return restore(snapshot_of(playbook, test, data))


def snapshot_of(playbook: Playbook, test: Test, data: ReferenceData | None) -> dict[str, Any]:
    """The lists and calendars as a run takes them along; raises where one is named that there is not.

    A list of the test that the site does not have is one of texts.
    """
    named = names_in(_paths(playbook))
    for name in (*(f"lists.{name}" for name in test.lists), *(f"calendars.{name}" for name in test.calendars)):
        if name not in named:
            raise TestMistake(f"{name} is not read by the playbook, which reads {', '.join(sorted(named)) or 'none'}")
    known = data or ReferenceData()
    texts = {name: ReferenceList(ListType.TEXT, ()) for name in test.lists if name not in known.lists}
    calendars = {name: _calendar(name, given) for name, given in test.calendars.items()}
    known = replace(known, lists={**known.lists, **texts}, calendars={**known.calendars, **calendars})
    return known.with_lists(test.lists).snapshot(named)


def _calendar(name: str, given: Any) -> Calendar:
    if not isinstance(given, dict):
        raise TestMistake(f"calendars: {name}: a calendar has `tz` and `hours`, and maybe `holidays`")
    try:
        return calendar_of(CalendarDocument.model_validate({"title": name, **given}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in (name, *first["loc"]))
        raise TestMistake(f"calendars: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def _paths(playbook: Playbook) -> Iterator[tuple[str, ...]]:
    """What the playbook and all that it calls name."""
    yield from playbook.paths()
    for sub in playbook.uses.values():
        yield from _paths(sub)

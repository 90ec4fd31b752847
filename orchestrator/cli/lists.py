"""`tocsin lists`: the site's lists and calendars as their files are now."""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime
from typing import Any

from orchestrator.cli.console import as_json, err, say, table
from orchestrator.errors import FindingLevel, TocsinError
from orchestrator.language.calendars import Calendar
from orchestrator.language.durations import format_duration
from orchestrator.language.reference import MOST_IN_A_RUN, ReferenceList
from orchestrator.language.reference_files import LoadedReference, ReferenceFile, load_reference
from orchestrator.settings import load_settings


def lists(name: str | None = None, *, json: bool = False) -> None:
    """Show the site's lists and calendars, or what one of them holds; exit code 1 where one is broken.

    Parameters
    ----------
    name
        A list or calendar, as `vpn`, `lists.vpn` or `calendars.office`; all of them where none is named.
    json
        One line of JSON.
    """
    playbooks = load_settings().playbooks
    loaded = load_reference(playbooks)
    files = loaded.files if name is None else (_named(loaded, name),)
    now = datetime.now(UTC)
    if json:
        rows = [_as_dict(file, now) for file in files]
        as_json(rows if name is None else rows[0] | _content(files[0]))
    elif name is not None:
        _show_one(files[0])
    elif files:
        table(("name", "type", "entries", "age", "state", "title"), (_row(file, now) for file in files))
    else:
        say(f"no lists and no calendars; a list is a file {playbooks}/lists/NAME.yaml")
    _complain(files)


def _complain(files: tuple[ReferenceFile, ...]) -> None:
    """What was found, on stderr, and the exit code."""
    for file in files:
        for finding in file.parsed.findings:
            err.print(str(finding), style="yellow" if finding.level is FindingLevel.WARNING else "red", markup=False)
    sys.exit(1 if any(file.problem for file in files) else 0)


def _named(loaded: LoadedReference, name: str) -> ReferenceFile:
    known = {file.name: file for file in loaded.files}
    for full in (name, f"lists.{name}", f"calendars.{name}"):
        if full in known:
            return known[full]
    short = [one.partition(".")[2] for one in known]
    near = difflib.get_close_matches(name, [*known, *short], n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
    raise TocsinError(f"no list or calendar is named {name}; {hint}")


def _row(file: ReferenceFile, now: datetime) -> tuple[object, ...]:
    told = _as_dict(file, now)
    entries = told["entries"]
    state = told["state"]
    if state == "good" and entries is not None and not told["fits_a_run"]:
        state = "good, for list.contains alone"
    if told["never_touch"]:
        state = "never touch" if told["state"] == "good" else f"{state}: nothing of its type is touched"
    size = f"{entries:,}" if entries is not None else ""
    return told["name"], told["type"], size, _short(told["age_seconds"]), state, told["title"]


def _as_dict(file: ReferenceFile, now: datetime) -> dict[str, Any]:
    value = file.parsed.value
    entries = len(value.entries) if isinstance(value, ReferenceList) else None
    return {
        "name": file.name,
        "title": file.parsed.title,
        "type": value.type.value if isinstance(value, ReferenceList) else "calendar" if value else None,
        "entries": entries,
        "changed": file.changed.isoformat() if file.changed else None,
        "age_seconds": round((now - file.changed).total_seconds()) if file.changed else None,
        "max_age_seconds": _max_age(value),
        "state": "broken" if file.problem else "stale" if file.stale(now) else "good",
        "fits_a_run": entries <= MOST_IN_A_RUN if entries is not None else value is not None,
        "writable": isinstance(value, ReferenceList) and value.writable,
        "never_touch": file.parsed.never_touch is not False,
        "file": str(file.path),
        "problem": file.problem or None,
    }


def _max_age(value: ReferenceList | Calendar | None) -> float | None:
    return value.max_age.total_seconds() if isinstance(value, ReferenceList) and value.max_age else None


def _content(file: ReferenceFile) -> dict[str, Any]:
    """What it holds, for machines."""
    value = file.parsed.value
    if isinstance(value, ReferenceList):
        return {"entries": [str(entry) for entry in value.entries]}
    return value.model_dump(mode="json") if value else {}


def _show_one(file: ReferenceFile) -> None:
    value = file.parsed.value
    if isinstance(value, ReferenceList) and value.entries:
        say("\n".join(value.entries))
    elif isinstance(value, Calendar):
        say(f"{file.parsed.title} ({value.tz})", "bold")
        spans = {day: ", ".join(f"{start}-{end}" for start, end in hours) for day, hours in value.hours.items()}
        table(("day", "open"), [(day.value, span or "closed") for day, span in spans.items()])
        if value.holidays:
            say("closed on " + ", ".join(day.isoformat() for day in value.holidays))


def _short(seconds: int | None) -> str:
    """An age as people say it: hours of days, minutes of hours."""
    if seconds is None:
        return ""
    unit = 3_600 if seconds >= 86_400 else 60 if seconds >= 3_600 else 1
    return format_duration(max(0, seconds - seconds % unit))

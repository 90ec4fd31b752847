"""`tocsin lists`: the site's lists and calendars as their files are now."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.actions.list_entries import ListEntries
from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, err, say, table
from orchestrator.errors import FindingLevel, SettingsError, StackError, TocsinError, Unavailable
from orchestrator.language.calendars import Calendar
from orchestrator.language.durations import format_duration
from orchestrator.language.reference import MOST_IN_A_RUN, ReferenceList
from orchestrator.language.reference_files import LoadedReference, ReferenceFile, load_reference
from orchestrator.local.endpoints import current_endpoints
from orchestrator.settings import load_settings

ByRuns = Mapping[str, Sequence[str]]
"""what runs have put on writable lists, by `lists.<name>`; nothing of a list where that is not known"""


async def lists(name: str | None = None, *, json: bool = False) -> None:
    """Show the site's lists and calendars, or what one of them holds; exit code 1 where one is broken.

    Of writable lists also what runs have put there, which the database knows.

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
    now, more = datetime.now(UTC), await _by_runs(files)
    if json:
        rows = [_as_dict(file, now, more) for file in files]
        as_json(rows if name is None else rows[0] | _content(files[0], more))
    elif name is not None:
        _show_one(files[0], more)
    elif files:
        table(("name", "type", "entries", "age", "state", "title"), (_row(file, now, more) for file in files))
    else:
        say(f"no lists and no calendars; a list is a file {playbooks}/lists/NAME.yaml")
    _complain(files)


async def _by_runs(files: tuple[ReferenceFile, ...]) -> ByRuns:
    """What runs have put on these lists; it is said where the database does not tell."""
    writable = [file.name.removeprefix("lists.") for file in files if _is_writable(file)]
    if not writable:
        return {}
    try:
        engine = make_engine(current_endpoints(load_settings()).database)
        try:
            found = await ListEntries(engine).of(writable)
        finally:
            await engine.dispose()
    except (Unavailable, SettingsError, StackError) as error:
        err.print(f"what runs have put on lists is not shown: {error}", style="yellow", markup=False)
        return {}
    return {f"lists.{name}": values for name, values in found.items()}


def _is_writable(file: ReferenceFile) -> bool:
    return isinstance(file.parsed.value, ReferenceList) and file.parsed.value.writable


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


def _row(file: ReferenceFile, now: datetime, more: ByRuns) -> tuple[object, ...]:
    told = _as_dict(file, now, more)
    entries = told["entries"]
    state = told["state"]
    if state == "good" and entries is not None and not told["fits_a_run"]:
        state = "good, for list.contains alone"
    if told["never_touch"]:
        state = "never touch" if told["state"] == "good" else f"{state}: nothing of its type is touched"
    size = f"{entries:,}" if entries is not None else ""
    size += f" + {told['by_runs']:,} by runs" if told["by_runs"] else ""
    return told["name"], told["type"], size, _short(told["age_seconds"]), state, told["title"]


def _as_dict(file: ReferenceFile, now: datetime, more: ByRuns) -> dict[str, Any]:
    value = file.parsed.value
    entries = len(value.entries) if isinstance(value, ReferenceList) else None
    return {
        "name": file.name,
        "title": file.parsed.title,
        "type": value.type.value if isinstance(value, ReferenceList) else "calendar" if value else None,
        "entries": entries,
        "by_runs": len(more[file.name]) if file.name in more else None,
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


def _content(file: ReferenceFile, more: ByRuns) -> dict[str, Any]:
    """What it holds, for machines."""
    value = file.parsed.value
    if isinstance(value, ReferenceList):
        return {"entries": [str(entry) for entry in value.entries], "entries_by_runs": list(more.get(file.name, ()))}
    return value.model_dump(mode="json") if value else {}


def _show_one(file: ReferenceFile, more: ByRuns) -> None:
    value = file.parsed.value
    if isinstance(value, ReferenceList):
        say("\n".join((*value.entries, *more.get(file.name, ()))) or "no entries")
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

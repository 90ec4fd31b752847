"""`tocsin playbooks`: which versions are in force, what is broken, where versions still run, what changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
import yaml
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.modes import Modes
from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, out, say, table
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.in_force import Recorded
from orchestrator.policy.modes import Decided
from orchestrator.policy.section import Mode
from orchestrator.policy.store import PolicyStore
from orchestrator.settings import load_settings
from orchestrator.versions.history import ListedPlaybook, VersionPeriod, history, listed
from orchestrator.versions.registry import short

STATES = {"in force": "green", "broken": "red bold", "removed": "dim", "not in force": "yellow"}
MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": (">", "cyan")}
WIDE = 120


async def playbooks(name: str | None = None, *, json: bool = False) -> None:
    """List the playbooks: the version in force, what is wrong with a file, which versions still have open runs.

    A file that does not check leaves its last good version in force, and stands here until it is mended. A run stays on
    the version that it started with.

    Parameters
    ----------
    name
        A playbook: shows each of its versions with what changed from one to the next.
    json
        One line of JSON instead of text.
    """
    engine = make_engine(current_endpoints(load_settings()).database)
    try:
        await _list(engine, json=json) if name is None else await _one(engine, name, json=json)
    finally:
        await engine.dispose()


async def _list(engine: AsyncEngine, *, json: bool) -> None:
    rows = await listed(engine)
    modes = await _modes(engine, rows)
    if json:
        as_json(
            [{**_plain(one), "mode": modes[one.name].mode, "mode_why": modes[one.name].why or None} for one in rows]
        )
        return
    table(
        ("playbook", "title", "mode", "version", "in force since", "file", "open runs"),
        (
            (
                one.name, one.title, modes[one.name].mode, short(one.digest) if one.serves else "", _since(one),
                Text(one.state, style=STATES[one.state]), _runs(one),
            )
            for one in rows
        ),
    )  # fmt: skip
    for one in rows:
        say_broken(one)
    say("one of them: tocsin playbooks NAME" if rows else "no intake has put a playbook in force yet", "dim")


async def _modes(engine: AsyncEngine, rows: Sequence[ListedPlaybook]) -> dict[str, Decided]:
    """The mode of the next run of each, by its file and by the policy in force."""
    modes = Modes(Recorded(PolicyStore(engine)), load_settings().mode)
    own: dict[str, Mode] = {one.name: "shadow" if one.mode == "shadow" else "live" for one in rows}
    return {name: await modes.of_run(name, mode) for name, mode in own.items()}


async def _one(engine: AsyncEngine, name: str, *, json: bool) -> None:
    found = await listed(engine, name)
    if not found:
        raise TocsinError(_unknown(name, [one.name for one in await listed(engine)]))
    versions = await history(engine, name)
    if json:
        as_json({**_plain(found[0]), "versions": [one.model_dump(mode="json") for one in versions]})
        return
    say(f"{name}: {found[0].title or 'never was a good playbook'}", "bold")
    for one, before in zip(reversed(versions), [*reversed(versions[:-1]), None], strict=True):
        _show(one, before)
    say("")
    say_broken(found[0])


def say_broken(playbook: ListedPlaybook) -> None:
    """Say of a broken file what is wrong with it, and what is in force in its place; nothing of a good one."""
    if playbook.findings is None:
        return
    kept = f"version {short(playbook.digest)} stays in force" if playbook.serves else "nothing is in force for it"
    say(f"{playbook.name} has been broken since {_time(playbook.broken_since)}; {kept}", "red bold")
    say(f"  {playbook.first_finding}", "red")
    if len(playbook.findings or ()) > 1:
        say("  and more: tocsin check", "red")


def _plain(playbook: ListedPlaybook) -> dict[str, Any]:
    return {**playbook.model_dump(mode="json"), "state": playbook.state, "in_force": playbook.serves}


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"no playbook named {name} was ever in force" + (f"; did you mean {near[0]}?" if near else "")


def _time(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def _since(playbook: ListedPlaybook) -> str:
    return f"until {_time(playbook.until)}" if playbook.until else _time(playbook.since)


def _runs(playbook: ListedPlaybook) -> str:
    """How many runs are open on the version in force, and on which others."""
    others = [
        f"{runs} on {short(digest)}"
        for digest, runs in playbook.open_runs.items()
        if digest != playbook.digest or not playbook.serves
    ]
    now = playbook.open_runs.get(playbook.digest or "", 0) if playbook.serves else 0
    return ", ".join([str(now)] * (now > 0 or not others) + others)


def _show(version: VersionPeriod, before: VersionPeriod | None) -> None:
    """A version: when it was in force, how many runs are open on it, and what made it another than the one before."""
    if version.in_force:
        when = f"in force {_time(version.since)} to {_time(version.until) or 'now'}"
    else:
        when = f"registered {_time(version.since)} by `tocsin run`, never in force"
    runs = f"   {version.open_runs} open run{'s' * (version.open_runs != 1)}" if version.open_runs else ""
    say("")
    out.print(Text.assemble((short(version.digest), "bold"), f"  {when}", (runs, "bold yellow")))
    for one in version.changes or ():
        for line, style in lines_of(one):
            say(f"  {line}", style)
    if before is None:
        say("  the first", "dim")
    elif version.digest == before.digest:
        say("  the same again", "dim")
    elif not version.changes:
        say("  the same under other rules of the language", "dim")


def lines_of(change: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A difference as lines with their styles."""
    mark, style = MARKS[change["kind"]]
    kind, _, title = change.get("part", "").partition(" ")
    if kind == "playbook":
        yield f"{mark} calls another version of `{title}`", style
        return
    where = ", ".join(one for one in (f"{kind} `{title}`" * bool(kind), change.get("key", "")) if one)
    if change["kind"] == "moved":
        yield f"{mark} {where}: {change['old']} -> {change['new']}", style
    elif change["kind"] == "changed":
        yield from _changed(f"{mark} {where}", change["old"], change["new"], style)
    else:
        place = f", {change['place']}" if change.get("place") else ""
        yield from _whole(f"{mark} {where}{place}", change.get("new", change.get("old")), mark, style)


def _changed(where: str, old: Any, new: Any, style: str) -> Iterator[tuple[str, str]]:
    """Old and new: on one line where they fit, below each other where not, and line by line where they are texts."""
    if any(isinstance(one, str) and "\n" in one.strip() for one in (old, new)):
        yield f"{where}:", style
        for line in difflib.ndiff(_text(old).splitlines(), _text(new).splitlines()):
            if line[0] in "+-":
                yield f"    {line[0]} {line[2:]}", MARKS["added" if line[0] == "+" else "removed"][1]
        return
    line = f"{where}: {_text(old)} -> {_text(new)}"
    if len(line) <= WIDE:
        yield line, style
    else:
        yield f"{where}:", style
        yield f"    - {_text(old)}", MARKS["removed"][1]
        yield f"    + {_text(new)}", MARKS["added"][1]


def _whole(where: str, value: Any, mark: str, style: str) -> Iterator[tuple[str, str]]:
    """Something that came or went, as it stands in the file."""
    if not isinstance(value, dict | list):
        yield f"{where}: {_text(value)}", style
        return
    yield where, style
    written = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDE)
    for line in written.splitlines():
        yield f"    {mark} {line}", style


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


__all__ = ["playbooks", "say_broken"]

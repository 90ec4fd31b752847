"""`tocsin containments`: what is in force at the targets because of us, and what a person may do about it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from cyclopts import App

from orchestrator.actions.catalog import scan
from orchestrator.actions.containments import Containment, Hands, in_force, named
from orchestrator.audit.database import make_engine
from orchestrator.bootstrap import acting_alone
from orchestrator.cli.console import as_json, complain, plain, say, table
from orchestrator.cli.operator import me
from orchestrator.contract.durations import format_duration, parse_duration
from orchestrator.errors import TocsinError
from orchestrator.language.host import ActionOutcome, StepStatus
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.operators import Verb
from orchestrator.policy.permission import permit
from orchestrator.settings import load_settings

containments = App(
    name="containments",
    help="Show what is in force because of us: blocks, disabled accounts, isolated machines; hold or release it.",
)


@containments.default
async def listed(*, json: bool = False, export: bool = False) -> None:
    """Show what is in force, why, by whom, until when. Needs the database alone.

    Parameters
    ----------
    json
        One line of JSON.
    export
        A list to undo by hand when nothing else runs: one line for each, with what takes it back.
    """
    engine = make_engine(current_endpoints(load_settings()).database)
    try:
        found = await in_force(engine)
    finally:
        await engine.dispose()
    if json:
        as_json([one.model_dump(mode="json") for one in found])
    elif export:
        capabilities = scan().capabilities
        for one in found:
            made = capabilities.get(one.capability)
            plain(_by_hand(one, made.inverse if made else None))
    else:
        _show(found)


@containments.command
async def keep(name: str, *, why: str = "", json: bool = False) -> None:
    """Hold it until somebody releases it, whatever becomes of the runs that wanted it.

    Parameters
    ----------
    name
        A target such as ip:203.0.113.7, as `tocsin containments` lists it.
    why
        Words for the record.
    json
        One line of JSON: what was held, and how that went.
    """
    await _hold(name, None, why, json=json)


@containments.command
async def extend(name: str, time: str, *, why: str = "", json: bool = False) -> None:
    """Hold it for a time from now; the later end wins, so this shortens nothing.

    Parameters
    ----------
    name
        A target such as ip:203.0.113.7, as `tocsin containments` lists it.
    time
        For how long, as 8h or 7d.
    why
        Words for the record.
    json
        One line of JSON: what was held, and how that went.
    """
    try:
        seconds = parse_duration(time).total_seconds()
    except ValueError as error:
        raise TocsinError(str(error)) from None
    await _hold(name, seconds, why, json=json)


@containments.command
async def release(name: str = "", *, all_of: str = "", why: str = "", json: bool = False) -> None:
    """Let go of it for everybody, and take it back now; or of all that one run holds.

    What another run holds stays when a run's holds are released. Exit code 1 where the target does not let it be taken
    back now; it is tried again until it is done.

    Parameters
    ----------
    name
        A target such as ip:203.0.113.7, as `tocsin containments` lists it.
    all_of
        A run: all that it holds, in place of a name.
    why
        Words for the record.
    json
        One line of JSON: what was released, and how that went.
    """
    if bool(name) == bool(all_of):
        raise TocsinError("name a target, or a run with --all-of")
    async with _hands("release", name or all_of) as (hands, found):
        chosen = named(found, name) if name else _held_by(found, all_of)
        told = []
        for one in chosen:
            error = await hands.release(one, why, run=all_of or None)
            told.append({"name": one.name, "error": error.message if error else None})
    _tell(told, "released", json=json)


async def _hold(name: str, seconds: float | None, why: str, *, json: bool) -> None:
    async with _hands("keep" if seconds is None else "extend", name) as (hands, found):
        outcomes = [(one, await hands.hold(one, seconds, why)) for one in named(found, name)]
    told = [{"name": one.name, "error": _why_not(how)} for one, how in outcomes]
    _tell(told, "held until it is released" if seconds is None else f"held for {format_duration(seconds)}", json=json)


def _why_not(outcome: ActionOutcome) -> str | None:
    """Why it is not held; None where it is."""
    if outcome.status is StepStatus.SHADOWED:
        return "in shadow: recorded and not sent, so it is not held; see `tocsin policy explain`"
    return outcome.error.message if outcome.error else None


@asynccontextmanager
async def _hands(verb: Verb, about: str) -> AsyncIterator[tuple[Hands, list[Containment]]]:
    """This person's hands, where the policy lets them do that, and what is in force."""
    settings = load_settings()
    async with acting_alone(settings, current_endpoints(settings)) as (engine, site, acting):
        await permit(engine, me(), verb, about)
        yield Hands(engine, site, acting, who=me()), await in_force(engine)


def _held_by(found: Sequence[Containment], run: str) -> list[Containment]:
    chosen = [one for one in found if any(holder.run == run and not holder.released for holder in one.holders)]
    if not chosen:
        raise TocsinError(f"the run {run} holds nothing")
    return chosen


def _tell(told: Sequence[dict[str, Any]], done: str, *, json: bool) -> None:
    if json:
        as_json(list(told))
    for one in told:
        if one["error"]:
            complain(f"{one['name']}: {one['error']}")
        elif not json:
            say(f"{one['name']}: {done}", "green")
    sys.exit(1 if any(one["error"] for one in told) else 0)


def _show(found: Sequence[Containment]) -> None:
    now = datetime.now(UTC)
    table(("target", "at", "what", "since", "until", "by", "state"), (_row(one, now) for one in found))
    say("nothing is in force" if not found else "release one: tocsin containments release TARGET", "dim")


def _row(one: Containment, now: datetime) -> tuple[str, ...]:
    since = f"{one.since:%Y-%m-%d %H:%M}"
    return one.target, one.integration, one.capability, since, _until(one, now), _by(one), _state(one)


def _until(one: Containment, now: datetime) -> str:
    if one.until is None:
        return "it is released" if one.state in ("held", "unknown") else ""
    left = (one.until - now).total_seconds()
    return f"{one.until:%Y-%m-%d %H:%M}" + (f" (in {format_duration(left)})" if left > 0 else "")


def _by(one: Containment) -> str:
    return ", ".join(dict.fromkeys(holder.run for holder in one.holders if not holder.released)) or "nobody"


def _state(one: Containment) -> str:
    return f"stuck: {one.error}" if one.error else one.state


def _by_hand(one: Containment, inverse: str | None) -> str:
    given = " ".join(f"{name}={value}" for name, value in one.parameters.items() if value not in (None, ""))
    since = f"since {one.since:%Y-%m-%dT%H:%M:%SZ}"
    until = f"until {one.until:%Y-%m-%dT%H:%M:%SZ}" if one.until else "until released"
    return "\t".join((one.integration, inverse or f"undo {one.capability}", given, since, until))

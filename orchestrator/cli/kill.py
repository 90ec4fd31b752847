"""`tocsin kill`: halt what changes something, everywhere or in part, and let it go on."""

from __future__ import annotations

import difflib
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from cyclopts import App
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import scan
from orchestrator.actions.kill_switch import KillSwitch, Reach, Switch, switches
from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, say, table
from orchestrator.cli.operator import me
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.permission import permit
from orchestrator.settings import load_settings
from orchestrator.versions.history import listed

kill = App(name="kill", help="Halt what changes something at the targets, within 5 seconds, until it is lifted.")


@kill.default
async def throw(
    *,
    why: str,
    integration: str = "",
    playbook: str = "",
    capability: str = "",
    undo_too: bool = False,
    json: bool = False,
) -> None:
    """Throw the kill switch for everything, or for one integration, playbook or capability. Needs the database alone.

    Nothing that changes something is sent from now on; what was recorded just before may leave for 5 seconds. Runs wait
    until it is lifted. Reads go on, and so do undos.

    Parameters
    ----------
    why
        Words for the record, and for those who wait.
    integration
        What is sent to this one alone, by its name in the settings.
    playbook
        What runs of this one send alone.
    capability
        This one alone, such as firewall.block_ip.
    undo_too
        Halt what takes something back as well: blocks then outlast their time.
    json
        One line of JSON: the switch as it is thrown.
    """
    reach = _reach(integration, playbook, capability)
    async with _database() as engine:
        await _refuse_unknown(engine, reach)
        await permit(engine, me(), "kill", str(reach))
        thrown = await _hand(engine).throw(reach, why, undo_too=undo_too, inverse=_inverse(reach))
    if json:
        as_json(thrown.model_dump(mode="json"))
    else:
        say_thrown([thrown])
        say(f"lift it: tocsin kill lift{_options(reach)} --why WORDS", "dim")


@kill.command
async def lift(
    *, why: str, integration: str = "", playbook: str = "", capability: str = "", json: bool = False
) -> None:
    """Lift the switch for everything, or the one for an integration, playbook or capability; others stay thrown.

    Runs that wait look again after a second at first and a minute at last, and go on.

    Parameters
    ----------
    why
        Words for the record.
    integration
        The switch for this integration.
    playbook
        The switch for this playbook.
    capability
        The switch for this capability.
    json
        One line of JSON: the switch as it was, and when it was lifted.
    """
    reach = _reach(integration, playbook, capability)
    async with _database() as engine:
        await permit(engine, me(), "lift", str(reach))
        lifted = await _hand(engine).lift(reach, why)
        still = await switches(engine)
    if lifted is None:
        there = ", ".join(str(one.reach) for one in still) or "nothing"
        raise TocsinError(f"no kill switch is thrown for {reach}; thrown: {there}")
    if json:
        as_json(lifted.model_dump(mode="json"))
    else:
        say(f"lifted: kill switch for {reach}", "green")
        say_thrown(still)


@kill.command(name="list")
async def listing(*, past: bool = False, json: bool = False) -> None:
    """Show which switches are thrown, by whom, since when and why; exit code 1 where one is.

    Parameters
    ----------
    past
        Show those as well that were lifted.
    json
        One line of JSON.
    """
    async with _database() as engine:
        found = await switches(engine, lifted=past)
    if json:
        as_json([one.model_dump(mode="json") for one in found])
    elif found:
        table(("for", "undo too", "thrown", "by", "why", "lifted", "by", "why"), map(_row, found))
    else:
        say("no kill switch is thrown", "green")
    sys.exit(1 if any(one.lifted_at is None for one in found) else 0)


def say_thrown(thrown: Sequence[Switch]) -> None:
    """One red line for each."""
    for one in thrown:
        say(f"THROWN: {one}", "red bold")


@asynccontextmanager
async def _database() -> AsyncIterator[AsyncEngine]:
    engine = make_engine(current_endpoints(load_settings()).database)
    try:
        yield engine
    finally:
        await engine.dispose()


def _hand(engine: AsyncEngine) -> KillSwitch:
    who = me()
    return KillSwitch(engine, who=who.name, trust=who.trust)


def _reach(integration: str, playbook: str, capability: str) -> Reach:
    named = [
        reach
        for reach in (
            Reach("integration", integration), Reach("playbook", playbook), Reach("capability", capability),
        )
        if reach.name
    ]  # fmt: skip
    if len(named) > 1:
        raise TocsinError("name one of --integration, --playbook, --capability; each is a switch of its own")
    return named[0] if named else Reach()


def _options(reach: Reach) -> str:
    return f" --{reach.scope} {reach.name}" if reach.name else ""


async def _refuse_unknown(engine: AsyncEngine, reach: Reach) -> None:
    """A switch for a misspelt name would halt nothing, and nobody would see."""
    match reach.scope:
        case "integration":
            _known(reach, load_settings().integrations)
        case "playbook":
            _known(reach, [one.name for one in await listed(engine)])
        case "capability":
            changing = {name for name, one in scan().capabilities.items() if one.effect.mutates}
            if reach.name in scan().capabilities and reach.name not in changing:
                raise TocsinError(f"{reach.name} reads, and reads are never halted")
            _known(reach, changing)


def _known(reach: Reach, known: Collection[str]) -> None:
    if reach.name not in known:
        near = difflib.get_close_matches(reach.name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise TocsinError(f"no {reach.scope} is named {reach.name}; {hint}")


def _inverse(reach: Reach) -> str | None:
    return scan().capabilities[reach.name].inverse if reach.scope == "capability" else None


def _row(one: Switch) -> tuple[str, ...]:
    undo = "yes" if one.undo_too else ""
    lifted = (_time(one.lifted_at), one.lifted_by or "", one.lifted_why or "")
    return str(one.reach), undo, _time(one.thrown_at), one.thrown_by, one.why, *lifted


def _time(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""

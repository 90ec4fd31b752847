"""`tocsin breakers`: which integrations are left alone now and why, and let one be called again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from cyclopts import App
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.breakers import Standing, close_breaker, open_breakers
from orchestrator.actions.maintenance import Waiting, waiting
from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, say, table
from orchestrator.cli.operator import me
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.permission import permit
from orchestrator.settings import load_settings

breakers = App(name="breakers", help="Integrations that are left alone for now: they fail, or do not accept us.")


@breakers.default
async def listing(*, json: bool = False) -> None:
    """Show which integrations are not called now, since when, why and until when; exit code 1 where one is.

    Needs the database alone.

    Parameters
    ----------
    json
        One line of JSON.
    """
    async with _database() as engine:
        found = await open_breakers(engine)
    if json:
        as_json([one.model_dump(mode="json") for one in found])
    elif found:
        table(("integration", "cause", "since", "next probe", "why"), map(_row, found))
    else:
        say("every integration may be called", "green")
    sys.exit(1 if found else 0)


@breakers.command
async def close(name: str, *, why: str, json: bool = False) -> None:
    """Let an integration be called again at once, also with settings that it refused.

    Parameters
    ----------
    name
        The integration, by its name in the settings.
    why
        Words for the record.
    json
        One line of JSON: the integrations that are still left alone.
    """
    who = me()
    async with _database() as engine:
        await permit(engine, who, "lift", f"breaker {name}")
        closed = await close_breaker(engine, name, why=why, who=who.name, trust=who.trust)
        still = await open_breakers(engine)
    if not closed:
        there = ", ".join(sorted({one.integration for one in still})) or "none"
        raise TocsinError(f"no breaker of {name} is open; open: {there}")
    if json:
        as_json([one.model_dump(mode="json") for one in still])
    else:
        say(f"closed: {name} is called again", "green")


@breakers.command(name="waiting")
async def listing_of_waiting(*, json: bool = False) -> None:
    """Show which actions wait for the end of a maintenance window, in the order in which they will go.

    Parameters
    ----------
    json
        One line of JSON.
    """
    async with _database() as engine:
        found = await waiting(engine)
    if json:
        as_json([one.model_dump(mode="json") for one in found])
    elif found:
        columns = ("integration", "run", "step", "capability", "target", "since", "until")
        table(columns, ((one.integration, one.run, one.step, one.capability, one.target, _time(one.since),
                         _time(one.until)) for one in found))  # fmt: skip
    else:
        say("nothing waits for maintenance", "green")


def say_waiting(found: Sequence[Waiting]) -> None:
    """One line for each integration that is worked on while something waits for it."""
    for name in sorted({one.integration for one in found}):
        theirs = [one for one in found if one.integration == name]
        say(f"MAINTENANCE: {len(theirs)} for {name}; each {theirs[0].why}", "yellow")


def say_open(found: Sequence[Standing]) -> None:
    """One line for each, the ones that need a person in red."""
    for one in found:
        say(f"BREAKER OPEN: {one}", "red bold" if one.cause == "refused" else "yellow")


@asynccontextmanager
async def _database() -> AsyncIterator[AsyncEngine]:
    engine = make_engine(current_endpoints(load_settings()).database)
    try:
        yield engine
    finally:
        await engine.dispose()


def _row(one: Standing) -> tuple[str, ...]:
    again = _time(one.probe_at) if one.probe_at else "when a person has acted"
    return one.integration, one.cause, _time(one.opened_at), again, one.why


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"

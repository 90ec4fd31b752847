"""`tocsin shadow`: what would have been done, and whether people agree with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cyclopts import App
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions import shadow as shadowed
from orchestrator.actions.shadow import Row
from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, table
from orchestrator.cli.console import say as tell
from orchestrator.cli.operator import me
from orchestrator.contract.durations import parse_duration
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import current_endpoints
from orchestrator.settings import load_settings

shadow = App(name="shadow", help="Show what was recorded and not sent, and say whether it would have been right.")


@shadow.command
async def report(*, since: str = "30d", json: bool = False) -> None:
    """Show what playbooks in shadow would have done, to how many targets, and how often people agreed.

    Parameters
    ----------
    since
        How far back to look, as 24h or 7d.
    json
        One line of JSON.
    """
    try:
        seconds = parse_duration(since).total_seconds()
    except ValueError as error:
        raise TocsinError(str(error)) from None
    async with _database() as engine:
        rows = await shadowed.report(engine, seconds)
    if json:
        as_json([{**one.model_dump(mode="json"), "agreement": one.agreement} for one in rows])
    else:
        _show(rows, since)


@shadow.command
async def agree(run: str, *, step: str = "", why: str = "", json: bool = False) -> None:
    """Say that what a run would have done is right; it counts in the report, and sends nothing.

    Parameters
    ----------
    run
        The run or its workflow id.
    step
        One step of it; all that were in shadow where none is named.
    why
        Words for the record.
    json
        One line of JSON: the steps that this was said of.
    """
    await _say(run, step, why, agrees=True, json=json)


@shadow.command
async def disagree(run: str, *, step: str = "", why: str = "", json: bool = False) -> None:
    """Say that what a run would have done is wrong; one who disagrees outweighs all who agree.

    Parameters
    ----------
    run
        The run or its workflow id.
    step
        One step of it; all that were in shadow where none is named.
    why
        Words for the record.
    json
        One line of JSON: the steps that this was said of.
    """
    await _say(run, step, why, agrees=False, json=json)


async def _say(run: str, step: str, why: str, *, agrees: bool, json: bool) -> None:
    async with _database() as engine:
        steps = await shadowed.say(engine, me(), run, step, agrees=agrees, why=why)
    if json:
        as_json({"run": run, "steps": steps, "agrees": agrees})
    else:
        tell(f"{'agreed' if agrees else 'disagreed'}: {', '.join(steps)}", "green" if agrees else "yellow")


@asynccontextmanager
async def _database() -> AsyncIterator[AsyncEngine]:
    engine = make_engine(current_endpoints(load_settings()).database)
    try:
        yield engine
    finally:
        await engine.dispose()


def _show(rows: Sequence[Row], since: str) -> None:
    if not rows:
        tell(f"nothing was in shadow within {since}", "dim")
        return
    table(
        ("playbook", "would have", "times", "in runs", "targets", "refused", "agreed", "disagreed", "nobody said"),
        (
            (one.playbook, one.capability, one.actions, one.runs, one.targets, one.refused or "", one.agreed,
             one.disagreed + one.denied, one.unknown)
            for one in rows
        ),
    )  # fmt: skip
    for one in rows:
        most = ", ".join(f"{target} ({count})" for target, count in list(one.most.items())[:3])
        if most:
            tell(f"{one.playbook} {one.capability}: {most}", "dim")
    spoken = sum(one.agreed + one.disagreed + one.denied for one in rows)
    agreed = sum(one.agreed for one in rows)
    asked = sum(one.actions + one.denied for one in rows)
    share = f"people spoke of {spoken} of {asked}" + (
        f", and agreed with {agreed} ({agreed / spoken:.0%})" if spoken else ""
    )
    tell(f"{share}; say it: tocsin shadow agree RUN, tocsin shadow disagree RUN")

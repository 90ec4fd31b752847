"""`tocsin budgets`: how far the policy's budgets are used, and what waits above them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.budgets import usage
from orchestrator.actions.ledger import Reached
from orchestrator.actions.modes import PERSON
from orchestrator.audit.database import make_engine, single_statement
from orchestrator.cli.console import as_json, say, table
from orchestrator.language.durations import format_duration
from orchestrator.language.reference import ReferenceData
from orchestrator.language.reference_files import load_reference
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.budgets import Allowed, Group, groups_named
from orchestrator.policy.in_force import Recorded
from orchestrator.policy.modes import Asked
from orchestrator.policy.policy import Policy
from orchestrator.policy.store import PolicyStore
from orchestrator.settings import load_settings
from orchestrator.workflow.above import Counted, waiting

ACTED = text("""
SELECT DISTINCT playbook, capability FROM tocsin.action
WHERE groups IS NOT NULL AND mode = 'live' AND intended_at > clock_timestamp() - interval '1 day'
""")


async def budgets(*, json: bool = False) -> None:
    """Show how many targets have been acted upon, of how many that may be, and what waits above that for people.

    Counts for the whole site, for each playbook and capability that has acted within a day, and for each group. Needs
    Postgres alone.

    Parameters
    ----------
    json
        One line of JSON: `budgets` and `waiting`.
    """
    settings = load_settings()
    engine = make_engine(current_endpoints(settings).database)
    try:
        policy = await Recorded(PolicyStore(engine)).now()
        limits = await _limits(engine, policy, load_reference(settings.playbooks).data)
        used, waits = await usage(engine, limits), await waiting(engine)
    finally:
        await engine.dispose()
    if json:
        plain = [one.model_dump(mode="json", exclude={"counted"}) for one in used]
        as_json({"budgets": plain, "waiting": [one.model_dump(mode="json") for one in waits]})
    else:
        _show(used, waits)


async def _limits(engine: AsyncEngine, policy: Policy, lists: ReferenceData) -> list[Allowed]:
    """Every limit that somebody could want to look at, each once, the widest first; a run's stands for itself."""
    async with single_statement(engine) as connection:
        acted = [tuple(row) for row in (await connection.execute(ACTED)).all() if row.playbook != PERSON]
    written = policy.model.budgets
    asked = [
        Asked(),
        *(Asked(name) for name in sorted({name for name, _ in acted} | written.playbooks.keys())),
        *(Asked(None, None, name) for name in sorted({name for _, name in acted} | written.capabilities.keys())),
    ]
    groups = tuple(Group(name, _size(lists, name)) for name in groups_named(written, lists.lists))
    found = [one for each in asked for one in policy.budgets(each, "")]
    found += policy.budgets(Asked(), "", groups)
    return [one for one in dict.fromkeys(found) if one.scope != "run"]


def _size(lists: ReferenceData, name: str) -> int | None:
    return len(lists.lists[name].entries) or None if name in lists.lists else None


def _show(used: Sequence[Reached], waits: Sequence[Counted]) -> None:
    table(
        ("of", "within", "targets", "may be", "line"),
        (
            (f"{one.scope} {one.of}".strip(), format_duration(one.seconds) if one.seconds else "", one.used, one.most,
             one.line)
            for one in used
        ),
    )  # fmt: skip
    for one in waits:
        until = f", until {one.until:%H:%M:%S}" if one.until else ""
        say(f"{one.actions} actions on {one.targets} targets of {one.runs} runs wait: {one.card}{until}", "yellow")
        if one.asked:
            say(f"  tocsin approvals {one.asked}", "dim")
    if not waits:
        say("nothing waits above a budget", "dim")

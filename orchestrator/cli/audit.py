"""`tocsin audit show`: what was decided and done."""

from __future__ import annotations

import sys

from cyclopts import App
from rich.text import Text

from orchestrator.audit.database import make_engine
from orchestrator.audit.reading import AuditRecord, about
from orchestrator.cli.console import as_json, complain, out
from orchestrator.local.endpoints import current_endpoints
from orchestrator.settings import load_settings

audit = App(name="audit", help="Read the record of everything that was decided and done.")
STYLES = {"action.done": "green", "action.failed": "red", "action.refused": "red", "action.unknown": "red bold"}
LEFT_OUT = ("key", "digest", "decided_at", "sha256", "path", "workflow_id", "run_id", "requests", "card")


@audit.command
async def show(name: str, *, json: bool = False) -> None:
    """Show all that belongs to a run, a workflow id, an alert's id or key, or a target such as ip:203.0.113.7.

    Parameters
    ----------
    name
        What to look for.
    json
        One line of JSON for each event.
    """
    engine = make_engine(current_endpoints(load_settings()).database)
    records = await about(engine, name)
    await engine.dispose()
    for record in records:
        as_json(record.model_dump(mode="json")) if json else show_record(record)
    if not records:
        complain(f"the audit knows nothing of {name!r}")
        sys.exit(1)


def show_record(record: AuditRecord) -> None:
    """One event on one line."""
    place = f"{record.position:>6}" if record.position is not None else "     -"
    mark = "*" if record.published else " "
    facts = ", ".join(f"{name}={_short(value)}" for name, value in record.body.items() if _worth(name, value))
    out.print(
        Text.assemble(
            (f"{place}{mark} {record.at:%H:%M:%S.%f}"[:-3] + " ", "dim"),
            (f"{record.type:<18} ", STYLES.get(record.type, "bold")),
            (f"{record.subject} " if record.subject else "", "cyan"),
            facts,
        )
    )


def _worth(name: str, value: object) -> bool:
    return name not in LEFT_OUT and value not in (None, "", {}, [])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:119] + "\u2026"

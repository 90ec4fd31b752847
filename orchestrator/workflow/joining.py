"""Alerts that join an open run: claimed in one go, each told in the audit with what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.audit.events import Event, record
from orchestrator.contract.values import Severity
from orchestrator.language.host import RunContext
from orchestrator.workflow.messages import TakeIn, TakenAlert

# the digest covers the severity, which only the content can prove: of one without, what intake recorded has to say so
RECORDED = text("""
SELECT place - 1 AS place FROM unnest(CAST(:keys AS text[]), CAST(:contents AS text[]), CAST(:wholes AS boolean[]),
    CAST(:severities AS text[]), CAST(:may_start AS boolean[])) WITH ORDINALITY
    AS taken (key, content, whole, severity, may_start, place)
WHERE EXISTS (SELECT FROM tocsin.start_request AS asked WHERE asked.alert_key = taken.key AND playbook = :playbook
              AND workflow_id = :workflow_id AND asked.may_start = taken.may_start
              AND (taken.content IS NULL OR asked.content = decode(taken.content, 'hex')))
    AND (taken.whole OR EXISTS (SELECT FROM tocsin.alert AS known
                                WHERE known.key = taken.key AND known.severity = taken.severity))
""")
# in one order whoever claims, so that two runs that want the same alerts wait for one another and no more
CLAIM_ALL = text("""
INSERT INTO tocsin.claim (playbook, alert_key, run, workflow_id, first_run_id, how)
SELECT :playbook, key, :run, :workflow_id, :first_run_id, :how FROM unnest(CAST(:keys AS text[])) AS key ORDER BY key
ON CONFLICT (playbook, alert_key) DO NOTHING RETURNING alert_key
""")
HELD = text("""
SELECT alert_key, run, workflow_id, first_run_id, how FROM tocsin.claim
WHERE playbook = :playbook AND alert_key = ANY(CAST(:keys AS text[])) ORDER BY alert_key FOR UPDATE
""")
MOVE = text("""
UPDATE tocsin.claim SET run = :run, how = :how WHERE playbook = :playbook AND alert_key = ANY(CAST(:keys AS text[]))
""")
TALLY = text("UPDATE tocsin.run SET joined = joined + :count WHERE run = :run")
SEVERITY = text("SELECT severity FROM tocsin.run WHERE run = :run FOR UPDATE")
WORSE = text("UPDATE tocsin.run SET severity = :severity WHERE run = :run")


def is_holder(held: Row[Any], context: RunContext) -> bool:
    """Whether this chain of runs holds the claim: a retry, or what continues as new, is the same holder."""
    return (held.workflow_id, held.first_run_id) == (context.workflow_id, context.first_run_id)


async def tally(connection: AsyncConnection, run: str, count: int) -> None:
    """Add to the number of alerts that joined a run."""
    await connection.execute(TALLY, {"run": run, "count": count})


async def take_in(connection: AsyncConnection, taken: TakeIn) -> list[int]:
    """Claim the alerts; the places of those that are the run's own now."""
    context = taken.context
    real = await _recorded(connection, taken)
    keys = [one.alert_key for place, one in enumerate(taken.alerts) if place in real]
    claimed = await _claim(connection, taken, keys)
    rows = await connection.execute(HELD, {"playbook": context.playbook, "keys": [*set(keys) - claimed]})
    held = {row.alert_key: row for row in rows}
    moved = {key for key, row in held.items() if _moves(row, taken)}
    await _move(connection, taken, [held[key] for key in sorted(moved)])
    mine = claimed | moved | {key for key, row in held.items() if is_holder(row, context) and row.run == context.run}
    await tally(connection, context.run, len(claimed) + sum(held[key].run != context.run for key in moved))
    fresh = claimed | moved
    await _worsen(connection, taken, [one for place, one in enumerate(taken.alerts) if place in real], fresh)
    await record(connection, _events(taken, real, fresh, mine, held))
    return [place for place, one in enumerate(taken.alerts) if place in real and one.alert_key in mine]


async def _recorded(connection: AsyncConnection, taken: TakeIn) -> set[int]:
    """The places of the alerts that intake recorded for this run, with what they say of themselves."""
    values = {
        "keys": [one.alert_key for one in taken.alerts], "contents": [one.content for one in taken.alerts],
        "wholes": [one.whole for one in taken.alerts], "severities": [one.severity for one in taken.alerts],
        "may_start": [one.may_start for one in taken.alerts],
        "playbook": taken.context.playbook, "workflow_id": taken.context.workflow_id,
    }  # fmt: skip
    return set((await connection.execute(RECORDED, values)).scalars())


async def _claim(connection: AsyncConnection, taken: TakeIn, keys: list[str]) -> set[str]:
    context = taken.context
    values = {
        "playbook": context.playbook, "run": context.run, "workflow_id": context.workflow_id,
        "first_run_id": context.first_run_id, "how": taken.how, "keys": keys,
    }  # fmt: skip
    return set((await connection.execute(CLAIM_ALL, values)).scalars())


def _moves(row: Row[Any], taken: TakeIn) -> bool:
    """Whether a claim of this chain changes: passed on by an earlier run, or counted in the end after it had joined."""
    if not is_holder(row, taken.context) or row.how != "joined":
        return False
    if row.run == taken.context.run:
        return taken.how == "counted"
    return row.alert_key in taken.passed_on


async def _move(connection: AsyncConnection, taken: TakeIn, rows: list[Row[Any]]) -> None:
    if not rows:
        return
    values = {"run": taken.context.run, "how": taken.how, "playbook": taken.context.playbook}
    await connection.execute(MOVE, {**values, "keys": [row.alert_key for row in rows]})
    for row in rows:
        if row.run != taken.context.run:
            await tally(connection, row.run, -1)


async def _worsen(connection: AsyncConnection, taken: TakeIn, real: Sequence[TakenAlert], fresh: set[str]) -> None:
    """The run is as severe as the most severe of its alerts."""
    severities = [Severity.parse(one.severity) for one in real if one.alert_key in fresh]
    if not severities:
        return
    row = (await connection.execute(SEVERITY, {"run": taken.context.run})).first()
    if row and max(severities) > Severity.parse(row.severity or "informational"):
        await connection.execute(WORSE, {"run": taken.context.run, "severity": str(max(severities))})


def _events(taken: TakeIn, real: set[int], fresh: set[str], mine: set[str], held: dict[str, Row[Any]]) -> list[Event]:
    events = []
    for place, one in enumerate(taken.alerts):
        key = one.alert_key
        body: dict[str, Any] = {"reason": one.reason}
        if place not in real:
            why = "neither intake nor `tocsin run` recorded this alert, with this content, for this run"
            kind, body = "alert.refused", {"why": why}
        elif key in fresh:
            kind = f"alert.{taken.how}"
        elif key in mine:
            continue  # told before: this is a repetition
        else:
            kind, body = "alert.duplicate", {"by": held[key].run if key in held else None}
        events.append(Event(type=kind, run=taken.context.run, subject=key, body=body))
    return events

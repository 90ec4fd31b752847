"""The ledger of actions in Postgres: the intent before anything is sent, the outcome after, each with its audit record.

Every transition is one SQL function, so one round trip and one transaction (see the migrations).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.audit.events import Event, record, to_json

INTEND = text("SELECT tocsin.intend(CAST(:entry AS jsonb), CAST(:traces AS jsonb))")
RESEND = text("SELECT tocsin.resend(:key, :sends, :within, :why)")
CONCLUDE = text("SELECT tocsin.conclude(:key, CAST(:outcome AS jsonb))")
RECORD_ALL = text("SELECT tocsin.record_all(CAST(:events AS jsonb))")
APPROVAL = text("SELECT run, first_run_id, state, request FROM tocsin.approval WHERE id = :id")


UNDO = "~undo"
"""stands in the path of what takes something back, between the step that wanted it and what is taken back"""
EFFECTS = text("""
SELECT key, step, path, capability, integration, parameters, target, state FROM tocsin.action
WHERE run = :run AND effect = 'reversible' AND state IN ('done', 'shadowed')
    AND (CAST(:steps AS text[]) IS NULL OR step = ANY(CAST(:steps AS text[])))
    AND NOT :undo = ANY(path)
ORDER BY intended_at DESC, key
""")
UNDONE = text("UPDATE tocsin.action SET state = 'undone' WHERE key = :key AND state = 'done' RETURNING run, target")


class Data(BaseModel):
    """A frozen row of the ledger."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Entry(Data):
    """An intent. `expires` and `send_within` are in seconds from the moment that the database records it.

    `seen` is how many joined alerts it was rendered with.
    """

    key: str
    run: str
    playbook: str
    digest: str
    event: str
    step: str
    path: tuple[str, ...]
    capability: str
    effect: str
    integration: str
    target: str
    parameters: dict[str, Any]
    parameters_digest: str
    mode: str
    approval: str | None
    expires: float | None
    attempt: int
    send_within: float
    seen: int = 0


class Ending(Data):
    """How an action stands or ended: its state in the ledger, its result or its error."""

    state: str | None = None
    result: dict[str, Any] | None = None
    error_kind: str | None = None
    error_message: str | None = None
    retry_after: float | None = None
    milliseconds: float | None = None


class Verdict(Ending):
    """What the ledger says to an intent.

    `send`: go, before `send_before`. `replay`: it has ended, here is what came of it. `open`: an earlier send has no
    outcome; it may still leave for `wait` seconds. `lost`: somebody else took the resend. `parameters` are those that
    the key was recorded with first, where they differ from the ones asked for: only those may be sent. `seen` is how
    many joined alerts the recorded ones were rendered with.
    """

    verdict: Literal["send", "replay", "open", "lost"]
    sends: int = 0
    until: datetime | None = None
    wait: float = 0.0
    parameters: dict[str, Any] | None = None
    integration: str | None = None
    seen: int = 0


class Outcome(Ending):
    """What came of a send. `how` says how it is known: `answered`, `read_back`, `shadow`."""

    state: Literal["done", "failed", "unknown", "shadowed"]
    send: int
    how: str


class Effected(Data):
    """Something that a run did and that can be taken back."""

    key: str
    step: str
    path: tuple[str, ...]
    capability: str
    integration: str
    parameters: dict[str, Any]
    target: str
    state: str


class Approved(Data):
    """An approval as it stands: whose run it was given to, and the requests that it covers."""

    run: str
    first_run_id: str
    state: str
    request: list[dict[str, Any]]


class Ledger(Protocol):
    """What the gateway asks of a ledger; raises `Unavailable` where it cannot record."""

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Record the intent, or say what is known of it."""
        ...

    async def resend(self, key: str, sends: int, within: float, why: str) -> Verdict:
        """Record another send under an open key; only one caller gets `send`."""
        ...

    async def conclude(self, key: str, outcome: Outcome) -> None:
        """Record the outcome."""
        ...

    async def approved(self, approval: str) -> Approved | None:
        """The approval of this id."""
        ...

    async def effects(self, run: str, steps: Sequence[str] | None) -> list[Effected]:
        """What a run (or these steps of it) did and that stands, the last first; what undid something aside."""
        ...

    async def undone(self, key: str, body: dict[str, Any]) -> None:
        """The effect is taken back."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Append events that change nothing in the ledger, a refusal for instance."""
        ...


class PostgresLedger:
    """The ledger that counts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """See `Ledger.intend`."""
        listed = [trace.model_dump(mode="json") for trace in traces]
        return await self._verdict(INTEND, {"entry": to_json(entry.model_dump(mode="json")), "traces": to_json(listed)})

    async def resend(self, key: str, sends: int, within: float, why: str) -> Verdict:
        """See `Ledger.resend`."""
        return await self._verdict(RESEND, {"key": key, "sends": sends, "within": within, "why": why})

    async def conclude(self, key: str, outcome: Outcome) -> None:
        """See `Ledger.conclude`."""
        async with single_statement(self._engine) as connection:
            await connection.execute(CONCLUDE, {"key": key, "outcome": to_json(outcome.model_dump(mode="json"))})

    async def approved(self, approval: str) -> Approved | None:
        """See `Ledger.approved`."""
        async with single_statement(self._engine) as connection:
            row = (await connection.execute(APPROVAL, {"id": approval})).mappings().first()
        return Approved.model_validate(dict(row)) if row else None

    async def effects(self, run: str, steps: Sequence[str] | None) -> list[Effected]:
        """See `Ledger.effects`."""
        values = {"run": run, "steps": list(steps) if steps is not None else None, "undo": UNDO}
        async with single_statement(self._engine) as connection:
            return [
                Effected.model_validate(dict(row)) for row in (await connection.execute(EFFECTS, values)).mappings()
            ]

    async def undone(self, key: str, body: dict[str, Any]) -> None:
        """See `Ledger.undone`."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(UNDONE, {"key": key})).first()
            if row is not None:
                event = Event(type="action.undone", run=row.run, subject=row.target, body={"key": key, **body})
                await record(connection, [event])

    async def note(self, events: Sequence[Event]) -> None:
        """See `Ledger.note`."""
        async with single_statement(self._engine) as connection:
            listed = [event.model_dump(mode="json") for event in events]
            await connection.execute(RECORD_ALL, {"events": to_json(listed)})

    async def _verdict(self, statement: Any, parameters: dict[str, Any]) -> Verdict:
        async with single_statement(self._engine) as connection:
            return Verdict.model_validate((await connection.execute(statement, parameters)).scalar_one())

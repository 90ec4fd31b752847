"""The ledger of actions in Postgres: the intent before anything is sent, the outcome after, each with its audit record.

Every transition is one SQL function, so one round trip and one transaction (see the migrations).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.kill_switch import Switch
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import Event, to_json

INTEND = text("SELECT tocsin.intend(CAST(:entry AS jsonb), CAST(:traces AS jsonb))")
RESEND = text("SELECT tocsin.resend(:key, :sends, :within, :why)")
CONCLUDE = text("SELECT tocsin.conclude(:key, CAST(:outcome AS jsonb))")
RECORD_ALL = text("SELECT tocsin.record_all(CAST(:events AS jsonb))")
APPROVAL = text("""
SELECT run, first_run_id, state, request, demanded, decision->>'by' AS by FROM tocsin.approval WHERE id = :id
""")
IS_FIRST = text("SELECT EXISTS (SELECT FROM tocsin.canary WHERE key = :key AND state <> 'seen')")
FIRST_SEEN = text("UPDATE tocsin.canary SET state = :state WHERE key = :key AND state <> 'seen'")
HAS_SENT = text("SELECT EXISTS (SELECT FROM tocsin.action WHERE key = :key AND state <> 'failed')")


UNDO = "~undo"
"""stands in the path of what takes something back, between the step that wanted it and what is taken back"""
# what a run did, with what the runs did that it called and waited for: `step` is the one of the run itself that did it
EFFECTS = text("""
WITH RECURSIVE called (run, path, step) AS (
    SELECT CAST(:run AS text), CAST(ARRAY[] AS text[]), CAST(NULL AS text)
    UNION ALL
    SELECT sub.run, called.path || sub.called_at, COALESCE(called.step, sub.called_at[cardinality(sub.called_at)])
    FROM tocsin.run sub JOIN called ON sub.called_by = called.run
)
SELECT key, a.run, a.step, called.path || a.path AS path, capability, integration, parameters, target, state, shared
FROM called JOIN tocsin.action a ON a.run = called.run
WHERE effect = 'reversible' AND state IN ('done', 'unknown', 'shadowed')
    AND (CAST(:steps AS text[]) IS NULL OR COALESCE(called.step, a.step) = ANY(CAST(:steps AS text[])))
    AND released_at IS NULL AND NOT :undo = ANY(a.path)
ORDER BY intended_at DESC, key
""")
RELEASE = text("SELECT tocsin.release(:key, CAST(:body AS jsonb))")
ENDED = text("SELECT tocsin.ended(:shared)")
TAKE_BACK = text("SELECT tocsin.take_back(:shared, :lease)")
TAKEN_BACK = text("SELECT tocsin.taken_back(:shared, :state, CAST(:body AS jsonb))")
NOT_TAKEN_BACK = text("SELECT tocsin.not_taken_back(:shared, :why, :pause, :page)")
PUT_OFF = text("SELECT tocsin.put_off(:shared, :why, :pause)")
# what nobody holds any more, and nobody is taking back or is to wait for; what has waited already comes last
DUE = text("""
SELECT DISTINCT a.shared, w.next_at FROM tocsin.action a LEFT JOIN tocsin.taking_back w ON w.shared = a.shared
WHERE a.shared IS NOT NULL AND a.mode = 'live' AND a.state IN ('intended', 'done', 'unknown')
    AND (a.released_at IS NOT NULL OR a.until <= clock_timestamp()
         AND (a.state <> 'intended' OR a.send_before < clock_timestamp() - interval '1 minute'))
    AND NOT EXISTS (SELECT FROM tocsin.action o WHERE o.shared = a.shared AND o.mode = 'live' AND o.released_at IS NULL
        AND o.state IN ('intended', 'done', 'unknown') AND (o.until IS NULL OR o.until > clock_timestamp()
            OR o.state = 'intended' AND o.send_before >= clock_timestamp() - interval '1 minute'))
    AND NOT EXISTS (SELECT FROM tocsin.taking_back t WHERE t.shared = a.shared
        AND (t.until > clock_timestamp() OR t.next_at > clock_timestamp()))
ORDER BY w.next_at NULLS FIRST, a.shared LIMIT :most
""")


class Data(BaseModel):
    """A frozen row of the ledger."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Entry(Data):
    """An intent. `expires` and `send_within` are in seconds from the moment that the database records it.

    `seen` is how many joined alerts it was rendered with. `shared` names the effect that a reversible action is a hold
    on, and `prior` is the state that was found before it, where the target can show that; `ended` is what the ledger
    said of the effect directly before that look. `canary` lets the first target of a run
    go ahead of the others. `policy` is the digest of the policy that decided its mode, and
    `mode_why` the line that makes it shadow. `groups` are those that its target belongs to, none at all for what takes
    from no budget, and `budgets` the limits that it has to keep.
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
    mode_why: str = ""
    canary: bool = False
    groups: tuple[str, ...] | None = None
    budgets: tuple[dict[str, Any], ...] = ()
    policy: str | None = None
    approval: str | None
    expires: float | None
    attempt: int
    send_within: float
    seen: int = 0
    shared: str | None = None
    prior: dict[str, Any] | None = None
    ended: int = 0


class Ending(Data):
    """How an action stands or ended: its state in the ledger, its result or its error."""

    state: str | None = None
    result: dict[str, Any] | None = None
    error_kind: str | None = None
    error_message: str | None = None
    retry_after: float | None = None
    milliseconds: float | None = None


class Reached(Data):
    """A limit of the policy and how many different targets have a place in it; `counted` says that this one has."""

    scope: str
    of: str
    seconds: float | None
    most: int
    line: str
    card: str
    group: str | None
    count: int
    within: float
    otherwise: Literal["deny", "fail"]
    used: int = 0
    counted: bool = False

    def __str__(self) -> str:
        return f"{self.line}; {self.used} are taken"


class Verdict(Ending):
    """What the ledger says to an intent.

    `send`: go, before `send_before`. `replay`: it has ended, here is what came of it. `open`: an earlier send has no
    outcome; it may still leave for `wait` seconds. `busy`: the effect is being taken back; ask again. `stale`: another
    policy is in force than the one that it was decided under; decide anew. `waits`, `refused`: the first
    target of the run, `first`, is not seen yet, or was not. `over`, `denied`: people are asked first because `budget`
    is reached, or were and said no. `halted`: the kill switch `switch` is
    thrown; ask again. `lost`: somebody else took the resend. `mode` is the one that stands on record. `parameters` are
    those that the key was recorded with first, where they differ from the ones asked for: only those may be sent.
    `seen` is how many joined alerts the recorded ones were rendered with.
    """

    first: str | None = None
    budget: Reached | None = None
    by: str | None = None
    verdict: Literal["send", "replay", "open", "busy", "stale", "halted", "waits", "refused", "over", "denied", "lost"]
    mode: str = "live"
    switch: Switch | None = None
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
    """Something that a run did and that can be taken back; `path` leads to the step from the run that was asked for.

    `run` is the one that did it: that run, or one that it called and waited for.
    """

    key: str
    run: str
    step: str
    path: tuple[str, ...]
    capability: str
    integration: str
    parameters: dict[str, Any]
    target: str
    state: str
    shared: str | None = None


class TakeBack(Data):
    """What the ledger says to whoever wants to take an effect back, and the newest action that held it.

    `go`: nobody holds it, and nobody asks for it anew until the lease ends. `held`: somebody does, until `until`.
    `busy`: somebody else is at it. `nothing`: it is over. `early` says whether it ends before its time, `prior` what
    was found before the first that held it.
    """

    verdict: Literal["go", "held", "busy", "nothing"]
    key: str = ""
    run: str = ""
    playbook: str = ""
    digest: str = ""
    event: str = ""
    step: str = ""
    path: tuple[str, ...] = ()
    capability: str = ""
    integration: str = ""
    target: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] | None = None
    prior: dict[str, Any] | None = None
    until: datetime | None = None
    early: bool = False
    attempts: int = 0


class Approved(Data):
    """An approval as it stands: whose run it was given to, and the requests that it covers.

    `by` is who decided, nobody where it passed by itself; `demanded` is the key of what the site demanded with it.
    """

    run: str
    first_run_id: str
    state: str
    request: list[dict[str, Any]]
    by: str | None = None
    demanded: str | None = None


class Ledger(Protocol):
    """What the gateway asks of a ledger; raises `Unavailable` where it cannot record."""

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Record the intent, or say what is known of it."""
        ...

    async def resend(self, key: str, sends: int, within: float, why: str) -> Verdict:
        """Record another send under an open key; only one caller gets `send`, and nobody under a kill switch."""
        ...

    async def conclude(self, key: str, outcome: Outcome) -> None:
        """Record the outcome."""
        ...

    async def approved(self, approval: str) -> Approved | None:
        """The approval of this id."""
        ...

    async def has_sent(self, key: str) -> bool:
        """Whether an intent is recorded under this key that has not failed: it may have been sent."""
        ...

    async def is_first(self, key: str) -> bool:
        """Whether the others of its run wait until the effect of this key is seen."""
        ...

    async def first_seen(self, key: str, *, seen: bool) -> None:
        """The others may go on; or not, where its effect was not seen."""
        ...

    async def effects(self, run: str, steps: Sequence[str] | None) -> list[Effected]:
        """What a run (or these steps of it) did and that stands, the last first; what undid something aside.

        What the runs did that a step called and waited for is what that step did.
        """
        ...

    async def release(self, key: str, body: dict[str, Any]) -> str | None:
        """Let go of what the action of this key held; the name of the effect. Once is as good as often."""
        ...

    async def ended(self, shared: str) -> int:
        """How many holds on this effect have ended with it: another number later means that it was taken back."""
        ...

    async def take_back(self, shared: str, lease: float) -> TakeBack:
        """Whether an effect may be taken back now, within `lease` seconds."""
        ...

    async def taken_back(self, shared: str, state: Literal["undone", "left"], body: dict[str, Any]) -> None:
        """The effect is over."""
        ...

    async def not_taken_back(self, shared: str, why: str, pause: float, *, page: bool) -> None:
        """It could not be taken back; nobody tries again for `pause` seconds. `page` tells people."""
        ...

    async def put_off(self, shared: str, why: str, pause: float) -> None:
        """Record what the taking back waits for; it is tried after `pause` seconds, as the same attempt."""
        ...

    async def due(self, most: int) -> list[str]:
        """Effects that nobody holds any more."""
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

    async def has_sent(self, key: str) -> bool:
        """See `Ledger.has_sent`."""
        return bool(await self._told(HAS_SENT, {"key": key}))

    async def is_first(self, key: str) -> bool:
        """See `Ledger.is_first`."""
        return bool(await self._told(IS_FIRST, {"key": key}))

    async def first_seen(self, key: str, *, seen: bool) -> None:
        """See `Ledger.first_seen`."""
        async with single_statement(self._engine) as connection:
            await connection.execute(FIRST_SEEN, {"key": key, "state": "seen" if seen else "failed"})

    async def effects(self, run: str, steps: Sequence[str] | None) -> list[Effected]:
        """See `Ledger.effects`."""
        values = {"run": run, "steps": list(steps) if steps is not None else None, "undo": UNDO}
        async with single_statement(self._engine) as connection:
            return [
                Effected.model_validate(dict(row)) for row in (await connection.execute(EFFECTS, values)).mappings()
            ]

    async def release(self, key: str, body: dict[str, Any]) -> str | None:
        """See `Ledger.release`."""
        return cast("str | None", await self._told(RELEASE, {"key": key, "body": to_json(body)}))

    async def ended(self, shared: str) -> int:
        """See `Ledger.ended`."""
        return int(await self._told(ENDED, {"shared": shared}))

    async def take_back(self, shared: str, lease: float) -> TakeBack:
        """See `Ledger.take_back`."""
        return TakeBack.model_validate(await self._told(TAKE_BACK, {"shared": shared, "lease": lease}))

    async def taken_back(self, shared: str, state: Literal["undone", "left"], body: dict[str, Any]) -> None:
        """See `Ledger.taken_back`."""
        await self._told(TAKEN_BACK, {"shared": shared, "state": state, "body": to_json(body)})

    async def not_taken_back(self, shared: str, why: str, pause: float, *, page: bool) -> None:
        """See `Ledger.not_taken_back`."""
        await self._told(NOT_TAKEN_BACK, {"shared": shared, "why": why, "pause": pause, "page": page})

    async def put_off(self, shared: str, why: str, pause: float) -> None:
        """See `Ledger.put_off`."""
        await self._told(PUT_OFF, {"shared": shared, "why": why, "pause": pause})

    async def due(self, most: int) -> list[str]:
        """See `Ledger.due`."""
        async with single_statement(self._engine) as connection:
            return list((await connection.execute(DUE, {"most": most})).scalars())

    async def note(self, events: Sequence[Event]) -> None:
        """See `Ledger.note`."""
        async with single_statement(self._engine) as connection:
            listed = [event.model_dump(mode="json") for event in events]
            await connection.execute(RECORD_ALL, {"events": to_json(listed)})

    async def _verdict(self, statement: Any, parameters: dict[str, Any]) -> Verdict:
        return Verdict.model_validate(await self._told(statement, parameters))

    async def _told(self, statement: Any, parameters: dict[str, Any]) -> Any:
        async with single_statement(self._engine) as connection:
            return (await connection.execute(statement, parameters)).scalar_one()

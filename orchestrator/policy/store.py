"""The policy in force, in Postgres: what every gateway and every command goes by, and how it came to be so."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.audit.events import Event, record, to_json
from orchestrator.errors import Finding
from orchestrator.policy.policy import Policy

# whoever records an intent that changes something holds this lock shared, from before it looks which policy is in
# force: so each intent has either committed before this one is, or sees it
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tocsin.kill_switch'))")
NOW = text("SELECT digest, file, content, since, by FROM tocsin.policy_in_force WHERE until IS NULL")
DIGEST = text("SELECT digest FROM tocsin.policy_in_force WHERE until IS NULL")
PAST = text(
    "SELECT digest, file, content, since, until, by FROM tocsin.policy_in_force ORDER BY since DESC LIMIT :most"
)
END = text("UPDATE tocsin.policy_in_force SET until = clock_timestamp() WHERE until IS NULL")
BEGIN = text("""
INSERT INTO tocsin.policy_in_force (digest, file, content, by) VALUES (:digest, :file, :content, :by)
""")
BROKEN = text("SELECT findings FROM tocsin.policy_broken")
BREAK = text("""
INSERT INTO tocsin.policy_broken (findings) VALUES (CAST(:findings AS jsonb))
ON CONFLICT (one) DO UPDATE SET findings = excluded.findings, since = clock_timestamp()
""")
MEND = text("DELETE FROM tocsin.policy_broken RETURNING 1")
# how long ago each came into force first: what is put back, or renamed back, is as old as it is
AGE = text("""
SELECT extract(epoch FROM clock_timestamp() - min(since)) FROM tocsin.playbook_in_force WHERE name = :name
""")
SUBJECT = "policy"


@dataclass(frozen=True)
class InForce:
    """A policy as it is or was in force; `by` is the process whose folder holds it."""

    digest: str
    file: str
    content: str
    since: datetime
    by: str
    until: datetime | None = None


class PolicyStore:
    """What is recorded. Recording something again changes nothing. All raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine, *, by: str = "") -> None:
        self._engine = engine
        self._by = by

    async def digest(self) -> str | None:
        """The digest of the one in force; none where a site has no policy."""
        async with single_statement(self._engine) as connection:
            return (await connection.execute(DIGEST)).scalar()

    async def now(self) -> InForce | None:
        """The one in force."""
        async with single_statement(self._engine) as connection:
            return await _now(connection)

    async def past(self, most: int = 100) -> list[InForce]:
        """Those that are and were in force, the newest first."""
        async with single_statement(self._engine) as connection:
            return [InForce(**row) for row in (await connection.execute(PAST, {"most": most})).mappings()]

    async def broken(self) -> list[dict[str, Any]]:
        """What is wrong with the file, where it is not the one in force for that."""
        async with single_statement(self._engine) as connection:
            return (await connection.execute(BROKEN)).scalar() or []

    async def age(self, playbook: str) -> float | None:
        """How many seconds ago a playbook came into force first; none for never."""
        async with single_statement(self._engine) as connection:
            age = (await connection.execute(AGE, {"name": playbook})).scalar()
        return None if age is None else float(age)

    async def put(self, policy: Policy) -> bool:
        """Put it in force, with the lines that changed in the audit; False where it is in force already."""
        async with transaction(self._engine) as connection:
            await connection.execute(LOCK)
            was = await _now(connection)
            mended = (await connection.execute(MEND)).first() is not None
            if was is not None and was.digest == policy.digest:
                if mended:
                    await record(connection, [self._event("policy.mended", digest=was.digest)])
                return False
            await connection.execute(END)
            values = {"digest": policy.digest, "file": policy.file, "content": policy.text, "by": self._by}
            await connection.execute(BEGIN, values)
            lines = changed_lines(was.content if was else "", policy.text)
            told = {"digest": policy.digest, "was": was.digest if was else None, "file": policy.file, "lines": lines}
            await record(connection, [self._event("policy.in_force", **told)])
        return True

    async def refuse(self, findings: Sequence[Finding]) -> bool:
        """Record that the file is not put in force, and why, once; whether an earlier one stays in force."""
        plain = [
            {"file": one.place.file, "line": one.place.line, "message": one.message, "hint": one.hint}
            for one in findings
        ]
        async with transaction(self._engine) as connection:
            await connection.execute(LOCK)
            was = await _now(connection)
            if (await connection.execute(BROKEN)).scalar() != plain:
                await connection.execute(BREAK, {"findings": to_json(plain)})
                stays = was.digest if was else None
                await record(connection, [self._event("policy.refused", findings=plain, in_force=stays)])
        return was is not None

    def _event(self, kind: str, **body: object) -> Event:
        return Event(type=kind, subject=SUBJECT, body={**body, "by": self._by})


async def _now(connection: AsyncConnection) -> InForce | None:
    row = (await connection.execute(NOW)).mappings().first()
    return InForce(**row) if row else None


def changed_lines(old: str, new: str) -> list[str]:
    """The lines that went and came, with those around them left out."""
    compared = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in compared if not line.startswith(("---", "+++"))][:1_000]

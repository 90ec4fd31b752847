"""Read what is recorded of playbooks: what is in force, what is broken, where versions still run, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement
from orchestrator.versions.compare import Difference, compare, compare_called

# the version shown is the one in force, or the last that was, or the newest that was registered
LISTED = text("""
WITH open AS (
    SELECT playbook AS name, digest, count(*) AS runs FROM tocsin.run WHERE ended_at IS NULL GROUP BY playbook, digest
),
names AS (
    SELECT name FROM tocsin.playbook_registered UNION SELECT name FROM tocsin.playbook_broken
    UNION SELECT name FROM open
)
SELECT names.name, shown.digest, shown.since, shown.until, broken.since AS broken_since,
    broken.findings, version.document->>'title' AS title, COALESCE(version.document->>'mode', 'live') AS mode,
    COALESCE((SELECT jsonb_object_agg(digest, runs) FROM open WHERE open.name = names.name), '{}') AS open_runs
FROM names
LEFT JOIN LATERAL (
    SELECT made.digest, registered_at, since, until
    FROM tocsin.playbook_registered made LEFT JOIN tocsin.playbook_in_force period USING (name, digest)
    WHERE made.name = names.name
    ORDER BY since IS NOT NULL AND until IS NULL DESC, since DESC NULLS LAST, registered_at DESC LIMIT 1
) shown ON true
LEFT JOIN tocsin.playbook_version version ON version.digest = shown.digest
LEFT JOIN tocsin.playbook_broken broken ON broken.name = names.name
WHERE CAST(:name AS text) IS NULL OR names.name = :name
ORDER BY names.name
""")
PERIODS = text("""
SELECT made.digest, COALESCE(since, made.registered_at) AS since, until, since IS NOT NULL AS in_force,
    version.document::text AS document, version.bundle::text AS bundle,
    (SELECT count(*) FROM tocsin.run WHERE playbook = :name AND run.digest = made.digest AND ended_at IS NULL) AS runs
FROM tocsin.playbook_registered made LEFT JOIN tocsin.playbook_in_force period USING (name, digest)
JOIN tocsin.playbook_version version ON version.digest = made.digest
WHERE made.name = :name ORDER BY 2
""")

State = Literal["in force", "broken", "removed", "not in force"]


class ListedPlaybook(BaseModel):
    """A playbook as `tocsin playbooks` lists it.

    `digest` is the version in force, or, where none is, the last one; `since` is when it came into force. `open_runs`
    counts by digest. A broken file leaves the version before in force; `findings` say what is wrong with it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    title: str | None
    mode: str
    digest: str | None
    since: datetime | None
    until: datetime | None
    broken_since: datetime | None
    findings: list[dict[str, Any]] | None
    open_runs: dict[str, int]

    @property
    def serves(self) -> bool:
        """Whether a version is in force."""
        return self.since is not None and self.until is None

    @property
    def state(self) -> State:
        """What there is to say of its file. One that only `tocsin run` has used is not in force."""
        if self.findings is not None:
            return "broken"
        if self.serves:
            return "in force"
        return "removed" if self.since else "not in force"

    @property
    def first_finding(self) -> str:
        """The first thing that is wrong with the file, with its place."""
        if not self.findings:
            return ""
        one = self.findings[0]
        hint = f"; {one['hint']}" if one["hint"] else ""
        return f"{one['file']}:{one['line']}:{one['column']}: {one['message']}{hint}"


class VersionPeriod(BaseModel):
    """A version while it was in force, or, where `in_force` is false, one that only `tocsin run` has used.

    `changes` is what makes it differ from the one listed before it; None for the first.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    since: datetime
    until: datetime | None
    in_force: bool
    open_runs: int
    changes: list[dict[str, Any]] | None


async def listed(engine: AsyncEngine, name: str | None = None) -> Sequence[ListedPlaybook]:
    """Every playbook that is or was in force, is broken, or has runs; or the one of this name."""
    async with single_statement(engine) as connection:
        rows = (await connection.execute(LISTED, {"name": name})).mappings().all()
    return [ListedPlaybook.model_validate(dict(row)) for row in rows]


async def history(engine: AsyncEngine, name: str) -> Sequence[VersionPeriod]:
    """The versions of a playbook in the order in which they came into force."""
    async with single_statement(engine) as connection:
        rows = (await connection.execute(PERIODS, {"name": name})).all()
    written = [(orjson.loads(row.document), orjson.loads(row.bundle)) for row in rows]
    changes: list[list[Difference] | None] = [None]
    changes += [
        [*compare(old, new), *compare_called(old_called, new_called)]
        for (old, old_called), (new, new_called) in pairwise(written)
    ]
    return [
        VersionPeriod(
            digest=row.digest, since=row.since, until=row.until, in_force=row.in_force, open_runs=row.runs,
            changes=None if made is None else [_plain(one) for one in made],
        )
        for row, made in zip(rows, changes, strict=False)
    ]  # fmt: skip


def _plain(difference: Difference) -> dict[str, Any]:
    """A difference as JSON has it, without what does not belong to its kind."""
    values = asdict(difference)
    absent = {"added": ["old"], "removed": ["new"]}.get(difference.kind, [])
    if difference.part.startswith("playbook "):
        absent = ["old", "new"]
    return {name: one for name, one in values.items() if name not in absent and (one or name in ("old", "new"))}

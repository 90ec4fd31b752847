"""The versions of playbooks in Postgres: registered for ever, in force for a time, and which files are broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.audit.events import Event, record, to_json
from orchestrator.errors import Finding, TocsinError
from orchestrator.language.program import Playbook, load_compiled
from orchestrator.versions.check import Verdict

log = structlog.get_logger()

MOST_FINDINGS = 20
"""of one file: whoever mends these sees the rest"""

# one intake at a time, so that of several that see the same change one records it
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tocsin.playbooks'))")
KEEP = text("""
INSERT INTO tocsin.playbook_version (digest, name, document, bundle, source)
SELECT digest, name, document::jsonb, bundle::jsonb, source
FROM unnest(CAST(:digests AS text[]), CAST(:names AS text[]), CAST(:documents AS text[]), CAST(:bundles AS text[]),
    CAST(:sources AS text[])) AS made (digest, name, document, bundle, source)
ON CONFLICT (digest) DO NOTHING
""")
# a file that was copied or renamed has the same content under another name
REGISTER = text("""
INSERT INTO tocsin.playbook_registered (name, digest)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:digests AS text[]))
ON CONFLICT (name, digest) DO NOTHING RETURNING name
""")
NOW = text("SELECT name, digest FROM tocsin.playbook_in_force WHERE until IS NULL")
BROKEN = text("SELECT name, findings FROM tocsin.playbook_broken")
DOCUMENTS = text("""
SELECT digest, document::text AS document, bundle::text AS bundle FROM tocsin.playbook_version
WHERE digest = ANY(CAST(:digests AS text[]))
""")
END = text("""
UPDATE tocsin.playbook_in_force SET until = clock_timestamp()
WHERE until IS NULL AND name = ANY(CAST(:names AS text[]))
""")
BEGIN = text("""
INSERT INTO tocsin.playbook_in_force (name, digest)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:digests AS text[]))
""")
BREAK = text("""
INSERT INTO tocsin.playbook_broken (name, findings)
SELECT name, findings::jsonb FROM unnest(CAST(:names AS text[]), CAST(:findings AS text[])) AS broken (name, findings)
ON CONFLICT (name) DO UPDATE SET findings = excluded.findings, since = excluded.since
""")
MEND = text("DELETE FROM tocsin.playbook_broken WHERE name = ANY(CAST(:names AS text[]))")

Verdicts = Mapping[str, Verdict | None]
"""What became of files, by name; None where the file is gone."""


@dataclass(frozen=True)
class Known:
    """What is recorded of playbooks: the digests in force, and the findings of broken files, both by name."""

    in_force: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Change:
    """What there is to write."""

    begin: dict[str, str] = field(default_factory=dict)
    end: list[str] = field(default_factory=list)
    broken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Registry:
    """What is recorded of playbooks. Recording something again changes nothing. All raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine, *, by: str) -> None:
        self._engine = engine
        self._by = by

    async def names(self) -> set[str]:
        """The names that are in force or broken."""
        async with single_statement(self._engine) as connection:
            known = await _known(connection)
        return {*known.in_force, *known.broken}

    async def in_force(self) -> dict[str, str]:
        """The digests in force, by name."""
        async with single_statement(self._engine) as connection:
            return {row.name: row.digest for row in await connection.execute(NOW)}

    async def documents(self, digests: Iterable[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """The document of each of these versions, and the sub-playbooks that it calls."""
        async with single_statement(self._engine) as connection:
            rows = await connection.execute(DOCUMENTS, {"digests": list(digests)})
            return {row.digest: (orjson.loads(row.document), orjson.loads(row.bundle)) for row in rows}

    async def playbooks(self) -> list[Playbook]:
        """The playbooks in force, in the order of their names, but for those that this release cannot run."""
        digests = await self.in_force()
        documents = await self.documents(digests.values())
        made = (compiled(name, digest, *documents[digest]) for name, digest in sorted(digests.items()))
        return [one for one in made if one is not None]

    async def apply(self, verdicts: Verdicts) -> dict[str, str]:
        """Register new versions and put them in force; write down what is broken, and what is gone. All or nothing.

        Gives what is in force from now on, as `in_force` does.
        """
        async with transaction(self._engine) as connection:
            await connection.execute(LOCK)
            known = await _known(connection)
            change = decide(verdicts, known, self._by)
            await _register(connection, [one.playbook for one in verdicts.values() if one and one.playbook])
            await _write(connection, change)
        kept = {name: digest for name, digest in known.in_force.items() if name not in change.end}
        return {**kept, **change.begin}


async def register(engine: AsyncEngine, playbooks: Sequence[Playbook]) -> None:
    """Make these versions known without putting them in force: a run of a version nobody registered is refused."""
    async with transaction(engine) as connection:
        await _register(connection, playbooks)


def compiled(name: str, digest: str, document: dict[str, Any], bundle: dict[str, Any]) -> Playbook | None:
    """A version out of Postgres; None where this release cannot run it, which is told."""
    try:
        return load_compiled(name, document, digest, bundle)
    except (TocsinError, ValueError, TypeError) as error:  # written under other rules of the language than today's
        log.error("playbook.not_loaded", playbook=name, digest=short(digest), error=str(error))
        return None


def decide(verdicts: Verdicts, known: Known, by: str) -> Change:
    """What these verdicts change of what is known, with the events that tell it; `by` says who found out."""
    change = Change()
    for name, verdict in sorted(verdicts.items()):
        was = known.in_force.get(name)
        if verdict is None:
            _gone(change, name, known, by)
        elif verdict.playbook is None:
            _refuse(change, name, verdict, known, by)
        else:
            _put(change, name, verdict.playbook, was, by, mended=name in known.broken)
    return change


def short(digest: str | None) -> str:
    """A digest as people read it: enough of it to tell versions apart."""
    return (digest or "").removeprefix("sha256:")[:12]


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as it is kept: where, what, and the likely fix."""
    place = asdict(finding.place)
    return {**place, "code": finding.code, "message": finding.message, "hint": finding.hint}


def _put(change: Change, name: str, playbook: Playbook, was: str | None, by: str, *, mended: bool) -> None:
    body = {"playbook": name, "digest": playbook.digest, "title": playbook.title, "was": was, "by": by}
    if was != playbook.digest:
        change.begin[name] = playbook.digest
        change.end += [name] if was else []
        change.events.append(_event("playbook.in_force", name, body))
    elif mended:
        change.events.append(_event("playbook.mended", name, body))
    change.mended += [name] if mended else []


def _refuse(change: Change, name: str, verdict: Verdict, known: Known, by: str) -> None:
    findings = [as_json(one) for one in verdict.errors[:MOST_FINDINGS]]
    if known.broken.get(name) != findings:
        change.broken[name] = findings
        body = {"playbook": name, "findings": findings, "errors": len(verdict.errors)}
        change.events.append(_event("playbook.refused", name, {**body, "in_force": known.in_force.get(name), "by": by}))


def _gone(change: Change, name: str, known: Known, by: str) -> None:
    was = known.in_force.get(name)
    change.end += [name] if was else []
    change.mended += [name] if name in known.broken else []
    if was or name in known.broken:
        change.events.append(_event("playbook.removed", name, {"playbook": name, "digest": was, "by": by}))


def _event(kind: str, name: str, body: dict[str, Any]) -> Event:
    return Event(type=kind, subject=name, body=body)


async def _known(connection: AsyncConnection) -> Known:
    in_force = {row.name: row.digest for row in await connection.execute(NOW)}
    return Known(in_force, {row.name: row.findings for row in await connection.execute(BROKEN)})


async def _register(connection: AsyncConnection, playbooks: Sequence[Playbook]) -> None:
    named = {"names": [one.name for one in playbooks], "digests": [one.digest for one in playbooks]}
    documents = [to_json(one.document) for one in playbooks]
    bundles = [to_json(one.bundle) for one in playbooks]
    sources = [f"{one.name}.yaml" for one in playbooks]
    await connection.execute(KEEP, {**named, "documents": documents, "bundles": bundles, "sources": sources})
    fresh = set((await connection.execute(REGISTER, named)).scalars())
    await record(connection, [_registered(one) for one in playbooks if one.name in fresh])


def _registered(playbook: Playbook) -> Event:
    body = {"playbook": playbook.name, "digest": playbook.digest, "title": playbook.title}
    return _event("playbook.registered", playbook.name, body)


async def _write(connection: AsyncConnection, change: Change) -> None:
    if change.end:
        await connection.execute(END, {"names": change.end})
    if change.begin:
        await connection.execute(BEGIN, {"names": list(change.begin), "digests": list(change.begin.values())})
    if change.broken:
        findings = [to_json(one) for one in change.broken.values()]
        await connection.execute(BREAK, {"names": list(change.broken), "findings": findings})
    if change.mended:
        await connection.execute(MEND, {"names": change.mended})
    await record(connection, change.events)

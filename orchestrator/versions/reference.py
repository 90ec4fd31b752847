"""The site's lists and calendars as they were when they were good last, in Postgres: what a start falls back to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, transaction
from orchestrator.language.calendars import Calendar
from orchestrator.language.reference import ListType, ReferenceList
from orchestrator.language.reference_files import ReferenceFile
from orchestrator.language.reference_reader import Parsed

LAST = text("SELECT name, content FROM tocsin.reference_good")
KEEP = text("""
INSERT INTO tocsin.reference_good (name, sha256, content)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:hashes AS text[]), CAST(:contents AS text[]))
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, content = excluded.content, since = clock_timestamp()
WHERE reference_good.sha256 <> excluded.sha256
""")


class ReferenceStore:
    """What was good last. Keeping something again changes nothing. All raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: dict[str, str] = {}

    async def last(self) -> dict[str, Parsed]:
        """The lists and calendars by their names, `lists.x` and `calendars.x`."""
        async with single_statement(self._engine) as connection:
            rows = (await connection.execute(LAST)).all()
        return {row.name: _restored(orjson.loads(row.content)) for row in rows}

    async def keep(self, files: Sequence[ReferenceFile]) -> None:
        """Write down those that have changed since they were kept last."""
        changed = [file for file in files if self._kept.get(file.name) != file.sha256]
        if not changed:
            return
        values = {
            "names": [file.name for file in changed],
            "hashes": [file.sha256 for file in changed],
            "contents": [orjson.dumps(_plain(file.parsed)).decode() for file in changed],
        }
        async with transaction(self._engine) as connection:
            await connection.execute(KEEP, values)
        self._kept |= {file.name: file.sha256 for file in changed}


def _plain(parsed: Parsed) -> dict[str, Any]:
    value = parsed.value
    if isinstance(value, ReferenceList):
        kept = {
            "type": value.type.value,
            "entries": [str(one) for one in value.entries],
            "max_age": value.max_age.total_seconds() if value.max_age else None,
            "writable": value.writable,
            "never_touch": value.never_touch,
        }
        return {"title": parsed.title, "list": kept}
    return {"title": parsed.title, "calendar": value.model_dump(mode="json") if value else None}


def _restored(kept: dict[str, Any]) -> Parsed:
    """The entries are taken as they stand: they were kept in their one spelling."""
    if "list" not in kept:
        return Parsed(kept["title"], Calendar.model_validate(kept["calendar"]))
    own = kept["list"]
    kind = ListType(own["type"])
    max_age = timedelta(seconds=own["max_age"]) if own["max_age"] is not None else None
    guards = own.get("never_touch", False)  # what an earlier release kept does not say it
    entries = tuple(map(kind.kind, own["entries"]))
    made = ReferenceList(kind, entries, max_age, own["writable"], guards)
    return Parsed(kept["title"], made, never_touch=guards, type=kind.value)

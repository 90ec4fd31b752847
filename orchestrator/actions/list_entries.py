"""What runs have put on the site's lists, in Postgres: every worker and every later run reads it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, storable, transaction

OF = text("SELECT list, value FROM tocsin.list_entry WHERE list = ANY(CAST(:lists AS text[])) ORDER BY since, value")
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('list_entry'), hashtext(:list))")
ROOM = text("""
SELECT count(*) FILTER (WHERE value = :value) > 0 OR count(*) < CAST(:room AS bigint)
FROM tocsin.list_entry WHERE list = :list
""")
PUT = text("""
INSERT INTO tocsin.list_entry (list, value, note, run) VALUES (:list, :value, :note, :run) ON CONFLICT DO NOTHING
""")
TAKE = text("DELETE FROM tocsin.list_entry WHERE list = :list AND value = :value")


class ListEntries:
    """The entries by their lists, each in the one spelling of its type. All raise `Unavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, lists: Collection[str]) -> dict[str, list[str]]:
        """What was put on these lists, the oldest first."""
        found: dict[str, list[str]] = {name: [] for name in lists}
        async with single_statement(self._engine) as connection:
            for row in await connection.execute(OF, {"lists": list(lists)}):
                found[row.list].append(row.value)
        return found

    async def put(self, name: str, value: str, note: str, run: str, *, room: int) -> bool:
        """Put a value on a list; False where the list would have more than `room` of them. Again changes nothing."""
        values = {"list": name, "value": storable(value), "note": storable(note), "run": run}
        async with transaction(self._engine) as connection:
            await connection.execute(ALONE, {"list": name})
            if not (await connection.execute(ROOM, values | {"room": room})).scalar_one():
                return False
            await connection.execute(PUT, values)
        return True

    async def take(self, name: str, value: str) -> bool:
        """Take a value off a list; whether it was there."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(TAKE, {"list": name, "value": storable(value)})
            return found.rowcount > 0

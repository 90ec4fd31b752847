"""The audit's events: what was decided or done, to whom, in which run. Written in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

RECORD_ALL = text("SELECT tocsin.record_all(CAST(:events AS jsonb))")


class Event(BaseModel):
    """One event. `type` is `noun.past_verb`; `run` and `subject` (an alert key, a target) are what people search by.

    One with an `id` of its own is told once, however often it is recorded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    run: str | None = None
    subject: str | None = None
    body: dict[str, Any] = {}
    id: UUID | None = None


def to_json(value: object) -> str:
    """JSON that Postgres takes: what JSON text may hold but a `jsonb` may not is made visible instead of lost.

    A NUL becomes the symbol for NUL (U+2400); the original bytes of alerts are kept beside their JSON.
    """
    encoded = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    return encoded.replace("\\u0000", "\u2400") if "\\u0000" in encoded else encoded


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return str(value)


async def record(connection: AsyncConnection, events: Iterable[Event]) -> None:
    """Append the events, in their order, in the transaction of the connection."""
    listed = [event.model_dump(mode="json") for event in events]
    if listed:
        await connection.execute(RECORD_ALL, {"events": to_json(listed)})

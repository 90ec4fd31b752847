"""What all lists of refused things have in common: entries under one path, each with the key of its call."""

from __future__ import annotations

from integrations.lab.product import LabCall, get, send


async def add(call: LabCall, path: str, reason: str, **what: str) -> str:
    """Add an entry; the lab takes it away by itself at `until` as little as most products do."""
    until = call.until.isoformat() if call.until else None
    made = await send(call, "POST", path, {**what, "reason": reason, "until": until})
    return str(made["id"])


async def find(call: LabCall, path: str, **what: str) -> str | None:
    """The first entry that has all of this; a call's own one is found by `key=call.key`."""
    found = await get(call, path, what)
    return str(found[0]["id"]) if found else None


async def remove(call: LabCall, path: str, **what: str) -> None:
    """Remove every entry; one that is gone already is what was wanted."""
    for entry in await get(call, path, what):
        headers = {"Idempotency-Key": call.key}
        await call.http.request("DELETE", path + "/{id}", id=entry["id"], headers=headers, accept=(404,))

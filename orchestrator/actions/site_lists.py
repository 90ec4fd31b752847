"""The site's own lists as a product: asked at any size, written where their files allow it. It needs no settings."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from orchestrator.actions.list_entries import ListEntries
from orchestrator.contract import (
    ActionFailed,
    Call,
    Config,
    Idempotent,
    Integration,
    InvalidCall,
    Rejected,
    TargetUnavailable,
)
from orchestrator.contract.capabilities import lists
from orchestrator.language.reference import MOST_IN_A_RUN, ReferenceData, ReferenceList, ReferenceRefused
from orchestrator.language.reference_files import ReferenceKeeper

ANY_NUMBER = 1_000_000
"""entries that runs may put on a list that is too large for a run to take along"""


class SiteNow:
    """The site's lists and calendars as they are now: what their files say, and what runs have put on lists since."""

    def __init__(self, keeper: ReferenceKeeper, entries: ListEntries) -> None:
        self.entries = entries
        self._keeper = keeper

    async def read(self, names: Collection[str]) -> ReferenceData:
        """All of it; of these lists (`lists.x`) with what runs have put on them."""
        # in a thread, since a large list that changed is read again first
        data = await asyncio.to_thread(self._keeper.current)
        writable = [name for name, one in data.lists.items() if one.writable and f"lists.{name}" in names]
        return data.with_more(await self.entries.of(writable)) if writable else data

    async def snapshot(self, names: Collection[str]) -> dict[str, Any]:
        """What a run takes along (see `ReferenceData.snapshot`)."""
        data = await self.read(names)
        return await asyncio.to_thread(data.snapshot, names)


def site_lists(site: SiteNow) -> Integration[Config]:
    """The product that answers from the lists in force, and keeps what runs put on them."""
    product = Integration("site_lists", "The site's own lists", Config)

    @product.reads(lists.contains)
    async def contains(call: Call[Config], want: lists.Entry) -> lists.EntryState:
        """Whether the list holds the value now."""
        data = await site.read((f"lists.{want.list}",))
        return await asyncio.to_thread(look_up, data, want)

    @product.implements(lists.add, repeats=Idempotent())
    async def add(call: Call[Config], want: lists.NewEntry) -> lists.EntryState:
        """Beside what the file says, in the one spelling of the list's type."""
        data = await site.read(())
        known, value = await asyncio.to_thread(writable, data, want.list, want.value)
        if not known.contains(value):
            call.in_time()
            if not await site.entries.put(want.list, value, want.note, call.run, room=_room(known)):
                raise Rejected(f"`lists.{want.list}` is full: a run takes at most {MOST_IN_A_RUN:,} of a list with it")
        return lists.EntryState(list=want.list, value=want.value, contains=True, note=want.note)

    @product.implements(lists.remove, repeats=Idempotent())
    async def remove(call: Call[Config], want: lists.Entry) -> lists.EntryState:
        """What a run put there; what the file says stays, and is for people to remove."""
        data = await site.read(())
        known, value = await asyncio.to_thread(writable, data, want.list, want.value)
        call.in_time()
        removed, in_file = await site.entries.take(want.list, value), known.contains(value)
        if in_file and not removed:
            raise Rejected(f"{want.value} stands in the file of `lists.{want.list}`: remove it there")
        return lists.EntryState(list=want.list, value=want.value, contains=in_file)

    return product


def look_up(data: ReferenceData, want: lists.Entry) -> lists.EntryState:
    """Whether the list holds the value; a list or value that makes no sense is an error, never a no."""
    try:
        held = data.contains(want.list, want.value)
    except ReferenceRefused as refused:
        raise _cannot_be_had(data, want.list, refused) from None
    except ValueError as error:
        raise InvalidCall(f"`lists.{want.list}`: {error}") from None
    return lists.EntryState(list=want.list, value=want.value, contains=held)


def writable(data: ReferenceData, name: str, value: str) -> tuple[ReferenceList, str]:
    """A list that runs may write, and the value in the one spelling of its type; raises what keeps it from that."""
    try:
        known = data.named(name)
        entry = known.type.entry(value)
    except ReferenceRefused as refused:
        raise _cannot_be_had(data, name, refused) from None
    except ValueError as error:
        raise InvalidCall(f"`lists.{name}`: {error}") from None
    if not known.writable:
        raise InvalidCall(f"`lists.{name}` is not for runs to write; its file has to say `writable: true`")
    return known, entry


def _cannot_be_had(data: ReferenceData, name: str, why: ReferenceRefused) -> ActionFailed:
    return (TargetUnavailable if f"lists.{name}" in data.broken else InvalidCall)(str(why))


def _room(known: ReferenceList) -> int:
    """How many entries runs may put beside those of the file: a list that runs take along stays one."""
    in_file = len(known.entries)
    return MOST_IN_A_RUN - in_file if in_file <= MOST_IN_A_RUN else ANY_NUMBER

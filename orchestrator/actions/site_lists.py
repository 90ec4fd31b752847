"""The site's own lists as a product: it answers `list.contains` for lists of any size, and needs no settings."""

from __future__ import annotations

import asyncio

from orchestrator.contract import Call, Config, Integration, InvalidCall, TargetUnavailable
from orchestrator.contract.capabilities import lists
from orchestrator.language.reference import ReferenceRefused
from orchestrator.language.reference_files import ReferenceKeeper


def site_lists(keeper: ReferenceKeeper) -> Integration[Config]:
    """The product that answers from the lists in force."""
    product = Integration("site_lists", "The site's own lists", Config)

    @product.reads(lists.contains)
    async def contains(call: Call[Config], want: lists.Entry) -> lists.EntryState:
        """Asked in a thread, since a large list that changed is read again first."""
        return await asyncio.to_thread(look_up, keeper, want)

    return product


def look_up(keeper: ReferenceKeeper, want: lists.Entry) -> lists.EntryState:
    """Whether the list holds the value now; a list or value that makes no sense is an error, never a no."""
    data = keeper.current()
    try:
        held = data.contains(want.list, want.value)
    except ReferenceRefused as refused:
        broken = f"lists.{want.list}" in data.broken
        raise (TargetUnavailable if broken else InvalidCall)(str(refused)) from None
    except ValueError as error:
        raise InvalidCall(f"`lists.{want.list}`: {error}") from None
    return lists.EntryState(list=want.list, value=want.value, contains=held)

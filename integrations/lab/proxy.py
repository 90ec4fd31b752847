"""The lab's proxy: pages that are blocked, and who opened which."""

from __future__ import annotations

from integrations.lab import denylist
from integrations.lab.product import SETTLES, LabCall, back, cut, get, lab
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import web

BLOCKS = "/proxy/blocks"


async def find_block(call: LabCall, want: web.BlockUrl) -> web.UrlState | None:
    """The block that this very call has made."""
    entry = await denylist.find(call, BLOCKS, url=want.url, key=call.key)
    return web.UrlState(url=want.url, blocked=True, entry=entry) if entry else None


@lab.implements(web.block_url, repeats=Readable(find_block, settles_within=SETTLES))
async def block(call: LabCall, want: web.BlockUrl) -> web.UrlState:
    """Add a block."""
    return web.UrlState(url=want.url, blocked=True, entry=await denylist.add(call, BLOCKS, want.reason, url=want.url))


@lab.implements(web.unblock_url, repeats=Idempotent())
async def unblock(call: LabCall, want: web.Page) -> web.UrlState:
    """Remove every block of the page."""
    await denylist.remove(call, BLOCKS, url=want.url)
    return web.UrlState(url=want.url, blocked=False)


@lab.reads(web.url_state)
async def url_state(call: LabCall, want: web.Page) -> web.UrlState:
    """Whether any block names the page."""
    entry = await denylist.find(call, BLOCKS, url=want.url)
    return web.UrlState(url=want.url, blocked=entry is not None, entry=entry)


@lab.reads(web.list_visits)
async def visits(call: LabCall, want: web.Visits) -> web.VisitList:
    """Who opened the page."""
    rows = await get(call, "/proxy/visits", {"url": want.url, **back(want.within)})
    seen = [{name: one[name] for name in web.Visit.model_fields} for one in rows[:MANY]]
    return web.VisitList(url=want.url, visits=seen, **cut(rows))

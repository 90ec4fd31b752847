"""The lab's resolver: names that are blocked, and who asked for which."""

from __future__ import annotations

from integrations.lab import denylist
from integrations.lab.product import SETTLES, LabCall, back, cut, get, lab
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import dns

BLOCKS = "/dns/blocks"


async def find_block(call: LabCall, want: dns.BlockDomain) -> dns.DomainState | None:
    """The block that this very call has made."""
    entry = await denylist.find(call, BLOCKS, domain=want.domain, key=call.key)
    return dns.DomainState(domain=want.domain, blocked=True, entry=entry) if entry else None


@lab.implements(dns.block_domain, repeats=Readable(find_block, settles_within=SETTLES))
async def block(call: LabCall, want: dns.BlockDomain) -> dns.DomainState:
    """Add a block."""
    entry = await denylist.add(call, BLOCKS, want.reason, domain=want.domain)
    return dns.DomainState(domain=want.domain, blocked=True, entry=entry)


@lab.implements(dns.unblock_domain, repeats=Idempotent())
async def unblock(call: LabCall, want: dns.DomainName) -> dns.DomainState:
    """Remove every block of the domain."""
    await denylist.remove(call, BLOCKS, domain=want.domain)
    return dns.DomainState(domain=want.domain, blocked=False)


@lab.reads(dns.domain_state)
async def domain_state(call: LabCall, want: dns.DomainName) -> dns.DomainState:
    """Whether any block names the domain."""
    entry = await denylist.find(call, BLOCKS, domain=want.domain)
    return dns.DomainState(domain=want.domain, blocked=entry is not None, entry=entry)


@lab.reads(dns.list_clients)
async def clients(call: LabCall, want: dns.Queries) -> dns.DnsClientList:
    """Who asked for the domain or for names below it."""
    rows = await get(call, "/dns/clients", {"domain": want.domain, **back(want.within)})
    return dns.DnsClientList(domain=want.domain, clients=rows[:MANY], **cut(rows))

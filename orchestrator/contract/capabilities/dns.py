"""Keep a name from being resolved; see who asked for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import Domain, Duration, HostName, IpAddress


class BlockDomain(Parameters):
    """Which domain, with all below it, and the words that the resolver keeps beside the entry."""

    domain: Domain
    reason: str = ""


class DomainName(Parameters):
    """Which domain."""

    domain: Domain


class Queries(Parameters):
    """For which domain, with all below it, and how far back."""

    domain: Domain
    within: Duration = timedelta(days=1)


class DomainState(Result):
    """Whether the resolver refuses the name, and since which entry of its own."""

    domain: Domain
    blocked: bool
    entry: str | None = None


class DnsClient(Result):
    """Who asked, and how often. `bytes` is what the names in its queries add up to: a tunnel shows there."""

    ip: IpAddress
    queries: int
    first: datetime
    last: datetime
    host: HostName | None = None
    bytes: int | None = None


class DnsClientList(Result):
    """Who asked for the domain or for names below it, the busiest first; `truncated` where there were more."""

    domain: Domain
    clients: Annotated[tuple[DnsClient, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


block_domain = Capability(
    "dns.block_domain", BlockDomain, DomainState, Effect.REVERSIBLE, "Stop a domain and all below it from resolving.",
    target="domain", inverse="dns.unblock_domain", state="dns.domain_state", d3fend="D3-FRDDL",
)  # fmt: skip
unblock_domain = Capability(
    "dns.unblock_domain", DomainName, DomainState, Effect.REVERSIBLE, "Let a domain resolve again.",
    target="domain", inverse="dns.block_domain", state="dns.domain_state",
)  # fmt: skip
domain_state = Capability(
    "dns.domain_state", DomainName, DomainState, Effect.READ, "Whether a domain is blocked now.", target="domain"
)
list_clients = Capability(
    "dns.list_clients", Queries, DnsClientList, Effect.READ, "Which machines asked for a domain.",
    target="domain", d3fend="D3-DNSTA",
)  # fmt: skip

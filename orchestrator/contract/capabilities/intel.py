"""What is known about an address, a domain, a page, a file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import Capability, Effect, Parameters, Result
from orchestrator.contract.values import Domain, FileHash, IpAddress, Url

Score = Annotated[int, Field(ge=0, le=100)]
"""0 (nothing bad known) to 100."""


class LookupIp(Parameters):
    """Which address."""

    ip: IpAddress


class LookupDomain(Parameters):
    """Which domain."""

    domain: Domain


class LookupUrl(Parameters):
    """Which page."""

    url: Url


class LookupHash(Parameters):
    """Which file."""

    hash: FileHash


class IpReport(Result):
    """What the source knows: a score of 0 (nothing bad known) to 100, country (ISO 3166-1), owner of the network."""

    ip: IpAddress
    score: Score = 0
    country: str | None = None
    asn: int | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()


class DomainReport(Result):
    """What the source knows: a score as for addresses, when the domain was registered and with whom."""

    domain: Domain
    score: Score = 0
    registered: datetime | None = None
    registrar: str | None = None
    tags: tuple[str, ...] = ()


class UrlReport(Result):
    """What the source knows: a score as for addresses; `leads_to` is where the page sends its visitors on."""

    url: Url
    score: Score = 0
    leads_to: Url | None = None
    tags: tuple[str, ...] = ()


class HashReport(Result):
    """What the source knows: a score as for addresses, the family of the malware, the names that the file had."""

    hash: FileHash
    score: Score = 0
    known: bool = False
    family: str | None = None
    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


lookup_ip = Capability(
    "intel.lookup_ip", LookupIp, IpReport, Effect.READ, "Reputation, country and network owner of an address.",
    target="ip", d3fend="D3-IPRA",
)  # fmt: skip
lookup_domain = Capability(
    "intel.lookup_domain", LookupDomain, DomainReport, Effect.READ, "Reputation and age of a domain.",
    target="domain", d3fend="D3-DNRA",
)  # fmt: skip
lookup_url = Capability(
    "intel.lookup_url", LookupUrl, UrlReport, Effect.READ, "Reputation of a page, and where it leads.",
    target="url", d3fend="D3-URA",
)  # fmt: skip
lookup_hash = Capability(
    "intel.lookup_hash", LookupHash, HashReport, Effect.READ, "Whether a file is known as malware, and as which.",
    target="hash", d3fend="D3-FHRA",
)  # fmt: skip

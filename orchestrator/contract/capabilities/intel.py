"""What is known about an address, a domain, a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import Capability, Effect, Parameters, Result
from orchestrator.contract.values import IpAddress


class LookupIp(Parameters):
    """Which address."""

    ip: IpAddress


class IpReport(Result):
    """What the source knows: a score of 0 (nothing bad known) to 100, country (ISO 3166-1), owner of the network."""

    ip: IpAddress
    score: Annotated[int, Field(ge=0, le=100)] = 0
    country: str | None = None
    asn: int | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()


lookup_ip = Capability(
    "intel.lookup_ip", LookupIp, IpReport, Effect.READ, "Reputation, country and network owner of an address.",
    target="ip", d3fend="D3-IPRA",
)  # fmt: skip

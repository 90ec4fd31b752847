"""Offline knowledge of addresses: country and owner of the network, from files in MaxMind's format (.mmdb).

Made for the public-domain databases of iptoasn (PDDL 1.0), read by field names that they share with others. A list of
bad addresses and networks of your own may give a score. Nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb

from orchestrator.contract import Call, Config, Integration, InvalidCall
from orchestrator.contract.capabilities import intel


class AddressIntelligenceConfig(Config):
    """The files: countries, network owners, and a list with one address or network a line (`#` begins a comment)."""

    country: Path | None = None
    network: Path | None = None
    bad: Path | None = None
    bad_score: int = 90


address_intelligence = Integration(
    "address_intelligence", "Address intelligence from local files", AddressIntelligenceConfig
)


@address_intelligence.reads(intel.lookup_ip)
async def look_up(call: Call[AddressIntelligenceConfig], want: intel.LookupIp) -> intel.IpReport:
    """What the files say; an address that is not routed on the internet is told by a tag."""
    return await asyncio.to_thread(report, call.config, want)


def report(config: AddressIntelligenceConfig, want: intel.LookupIp) -> intel.IpReport:
    """The report, read in a thread: files block."""
    country, network = entry(config.country, want.ip), entry(config.network, want.ip)
    address = ipaddress.ip_address(want.ip)
    number = network.get("autonomous_system_number") or network.get("asn")
    return intel.IpReport(
        ip=want.ip,
        score=config.bad_score if config.bad and is_listed(config.bad, address) else 0,
        country=country.get("country_code") or (country.get("country") or {}).get("iso_code"),
        asn=int(number) if number else None,
        owner=network.get("autonomous_system_organization") or network.get("as_name") or network.get("name"),
        tags=() if address.is_global else ("not_routed",),
    )


def entry(path: Path | None, ip: str) -> dict[str, Any]:
    """What a database says of the address; nothing where there is no database, or it does not know it."""
    if path is None:
        return {}
    found = database(path, modified(path)).get(ip)
    return found if isinstance(found, dict) else {}


def modified(path: Path) -> int:
    """When the file changed last: a file that was replaced is read again."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InvalidCall(f"the file {path} of the address intelligence cannot be read: {error.strerror}") from None


@lru_cache(maxsize=8)
def database(path: Path, changed: int) -> maxminddb.Reader:
    """The open database."""
    try:
        return maxminddb.open_database(str(path))
    except (OSError, maxminddb.InvalidDatabaseError):
        raise InvalidCall(f"{path} is not a database in MaxMind's format") from None


def is_listed(path: Path, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the list names the address or a network that holds it."""
    return any(address in network for network in networks(path, modified(path)))


@lru_cache(maxsize=8)
def networks(path: Path, changed: int) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks of a list; a line that is none is a mistake, not a hole in the list."""
    listed = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            listed.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise InvalidCall(f"{path}:{number}: {text[:60]!r} is neither an address nor a network") from None
    return tuple(listed)

"""Filters and tests on addresses, names and places."""

from __future__ import annotations

import ipaddress
import math
from functools import lru_cache
from typing import Any, Literal

from publicsuffixlist import PublicSuffixList

from orchestrator.contract.values import Domain, HostName, IpAddress, Network
from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions.filters.given import Number, listed, text, there
from orchestrator.language.expressions.filters.registry import is_filter, is_test
from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.values import Absent, kind_of, shortened

_HEXADECIMAL = frozenset("0123456789abcdef")
EARTH_KM = 6371.0088
"""mean radius of the earth (IUGG)"""


@lru_cache(maxsize=4_096)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(IpAddress.parse(text))


@lru_cache(maxsize=4_096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ExpressionError(f"{shortened(text)} is not a network", hint="write it as 10.0.0.0/8") from None


def _address(meter: Meter, value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address; nothing where a text is none: in no network, neither private nor public."""
    try:
        return _parsed(text(meter, value)[:64])
    except ValueError:
        return None


def _networks(networks: Any) -> None:
    for one in [networks] if not isinstance(networks, list) else networks:
        if not isinstance(one, str):
            raise WrongType(f"a network is text, found {kind_of(one)}")
        _network(one)


@is_test("in_network", takes=IpAddress, arguments=(Network | list[Network],), check=_networks)
def in_network(meter: Meter, value: Any, networks: Any) -> bool:
    """Whether an address is in a network, or in one of a list: `alert.source.ip is in_network("10.0.0.0/8")`."""
    address = _address(meter, value)
    wanted = [networks] if isinstance(networks, str) else there(meter, networks)
    found = [_network(text(meter, one)[:64]) for one in wanted]
    return address is not None and any(address in network for network in found)


@is_test("private", takes=IpAddress)
def private(meter: Meter, value: Any) -> bool:
    """Whether an address is not routed on the internet, as IANA lists them: `alert.source.ip is private`."""
    address = _address(meter, value)
    return address is not None and address.is_private


@is_test("public", takes=IpAddress)
def public(meter: Meter, value: Any) -> bool:
    """Whether an address is routed on the internet: `alert.source.ip is public`."""
    address = _address(meter, value)
    return address is not None and address.is_global


@is_test("ipv6", takes=IpAddress)
def ipv6(meter: Meter, value: Any) -> bool:
    """Whether an address is of version 6: `alert.source.ip is ipv6`."""
    address = _address(meter, value)
    return address is not None and address.version == 6


@is_filter("hash_kind", takes=str, gives=Literal["md5", "sha1", "sha256", "sha512", "unknown"])
def hash_kind(meter: Meter, value: Any) -> str:
    """md5, sha1, sha256 or sha512, by its length: `alert.file.sha256 | hash_kind`."""
    kinds = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
    digest = text(meter, value)
    return kinds.get(len(digest), "unknown") if set(digest.lower()) <= _HEXADECIMAL else "unknown"


@is_filter("labels", takes=str, gives=list[str])
def labels(meter: Meter, value: Any) -> list[Any]:
    """The parts of a domain name: `alert.domain | labels`."""
    return meter.items(list(text(meter, value).rstrip(".").split(".")))


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@is_filter("registered_domain", takes=Domain | HostName, gives=Domain | None)
def registered_domain(meter: Meter, value: Any) -> Any:
    """What somebody registered, by the public suffix list: `alert.domain | registered_domain`.

    `mail.shop.example.co.uk` gives `example.co.uk`; there is nothing for `co.uk` itself, or for an address.
    """
    name = text(meter, value)
    try:
        domain = Domain.parse(name)
    except ValueError:
        return Absent("the registered domain of what is none")
    found = None if domain.rpartition(".")[2].isdigit() else _suffixes().privatesuffix(str(domain))
    return Absent(f"the registered domain of {shortened(name)}") if found is None else Domain(found)


def _domain(name: Any) -> None:
    if not isinstance(name, str):
        raise WrongType(f"a domain is text, found {kind_of(name)}")
    try:
        Domain.parse(name)
    except ValueError as error:
        raise ExpressionError(f"{shortened(name)} is not a domain: {error}") from None


@is_test("under", takes=Domain | HostName, arguments=(Domain,), check=_domain)
def under(meter: Meter, value: Any, parent: Any) -> bool:
    """Whether a name is this domain or one below it: `alert.domain is under("example.com")`."""
    try:
        name, above = Domain.parse(text(meter, value)), Domain.parse(text(meter, parent))
    except ValueError:
        return False
    return name == above or name.endswith(f".{above}")


@is_filter("km_to", takes=list[Number], arguments=(list[Number],), gives=float)
def km_to(meter: Meter, value: Any, other: Any) -> float:
    """Great-circle distance between two [latitude, longitude] in degrees (haversine): `a | km_to(b)`."""
    (lat1, lon1), (lat2, lon2) = _place(meter, value), _place(meter, other)
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return round(2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half))), 1)


def _place(meter: Meter, value: Any) -> tuple[float, float]:
    match listed(meter, value):
        case [int() | float() as latitude, int() | float() as longitude] if (
            abs(latitude) <= 90 and abs(longitude) <= 180
        ):
            return math.radians(latitude), math.radians(longitude)
    raise ExpressionError("a place is [latitude, longitude] in degrees")

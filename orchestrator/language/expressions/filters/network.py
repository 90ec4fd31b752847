"""Filters and tests on addresses, names and places."""

from __future__ import annotations

import ipaddress
import math
from functools import lru_cache
from typing import Any

from orchestrator.contract.values import IpAddress
from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.filters.given import listed, text
from orchestrator.language.expressions.filters.registry import is_filter, is_test
from orchestrator.language.expressions.filters.texts import regex_find
from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.values import kind_of, shortened

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


def _address(meter: Meter, value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return _parsed(text(meter, value)[:64])
    except ValueError:
        raise ExpressionError("not an IP address") from None


def _networks(networks: Any) -> None:
    for one in [networks] if not isinstance(networks, list) else networks:
        if not isinstance(one, str):
            raise ExpressionError(f"a network is text, found {kind_of(one)}")
        _network(one)


@is_test("in_network", arguments=1, check=_networks)
def in_network(meter: Meter, value: Any, networks: Any) -> bool:
    """Whether an address is in a network, or in one of a list: `alert.source.ip is in_network("10.0.0.0/8")`."""
    address = _address(meter, value)
    wanted = [networks] if isinstance(networks, str) else listed(meter, networks)
    return any(address in _network(text(meter, one)[:64]) for one in wanted)


@is_test("private")
def private(meter: Meter, value: Any) -> bool:
    """Whether an address is not routed on the internet (IANA's special-purpose registries)."""
    return _address(meter, value).is_private


@is_test("public")
def public(meter: Meter, value: Any) -> bool:
    """Whether an address is routed on the internet: `alert.source.ip is public`."""
    return _address(meter, value).is_global


@is_filter("extract_ips")
def extract_ips(meter: Meter, value: Any) -> list[Any]:
    """The addresses in a text: `alert.description | extract_ips`."""
    found: list[Any] = []
    for candidate in regex_find(meter, value, r"[0-9a-fA-F:.\[\]]{3,64}"):
        try:
            found.append(str(IpAddress.parse(candidate.replace("[.]", ".").strip(".[]"))))
        except ValueError:
            continue
    return meter.items(list(dict.fromkeys(found)))


@is_filter("hash_kind")
def hash_kind(meter: Meter, value: Any) -> str:
    """md5, sha1, sha256 or sha512, by its length: `alert.file.sha256 | hash_kind`."""
    kinds = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
    return kinds.get(len(text(meter, value)), "unknown")


@is_filter("labels")
def labels(meter: Meter, value: Any) -> list[Any]:
    """The parts of a domain name: `alert.domain | labels`."""
    return meter.items(list(text(meter, value).rstrip(".").split(".")))


@is_filter("km_to", arguments=1)
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

"""Networks: which of many holds an address, which of many lies in a network, and the IPv4 that IPv6 carries inside."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
EVERY_V4 = ipaddress.IPv4Network("0.0.0.0/0")


class Networks:
    """Networks by version and length of their prefix: a look-up costs one step a length, however many there are."""

    def __init__(self, networks: Iterable[tuple[AnyNetwork, str]]) -> None:
        """Each network with the entry of a list that it stands for."""
        self._prefixes: dict[tuple[int, int], dict[int, str]] = {}
        starts: dict[int, dict[int, str]] = {4: {}, 6: {}}
        for network, entry in networks:
            prefixes = self._prefixes.setdefault((network.version, network.prefixlen), {})
            prefixes.setdefault(_prefix(network, network.prefixlen), entry)
            starts[network.version].setdefault(int(network.network_address), entry)
        self._starts = {version: sorted(found.items()) for version, found in starts.items()}

    def holding(self, network: AnyNetwork) -> str | None:
        """The entry that the whole network lies in."""
        for (version, length), prefixes in self._prefixes.items():
            if version == network.version and length <= network.prefixlen:
                entry = prefixes.get(_prefix(network, length))
                if entry is not None:
                    return entry
        return None

    def inside(self, network: AnyNetwork) -> str | None:
        """An entry that lies in the network."""
        starts = self._starts[network.version]
        first = bisect_left(starts, (int(network.network_address), ""))
        found = first < len(starts) and starts[first][0] <= int(network.broadcast_address)
        return starts[first][1] if found else None


def _prefix(network: AnyNetwork, length: int) -> int:
    return int(network.network_address) >> (network.max_prefixlen - length)


class Carrier(NamedTuple):
    """A range of IPv6 whose addresses carry an IPv4 address: where its four bytes begin, and whether it is inverted.

    One that has to stand `alone` is there only where something stands in its place and nothing behind it: of several
    layouts in one range that tells which one an address has.
    """

    range: ipaddress.IPv6Network
    bytes: tuple[int, int, int, int]
    inverted: bool = False
    alone: bool = False


def _carrier(text: str, *starts: int, inverted: bool = False, alone: bool = False) -> Carrier:
    first, second, third, last = starts
    return Carrier(ipaddress.IPv6Network(text), (first, second, third, last), inverted, alone)


CARRIERS = (
    _carrier("::ffff:0:0/96", 96, 104, 112, 120),  # mapped (RFC 4291)
    _carrier("::/96", 96, 104, 112, 120),  # compatible (RFC 4291)
    _carrier("::ffff:0:0:0/96", 96, 104, 112, 120),  # translated (RFC 2765)
    _carrier("2002::/16", 16, 24, 32, 40),  # 6to4 (RFC 3056)
    _carrier("2001::/32", 96, 104, 112, 120, inverted=True),  # Teredo (RFC 4380): the client behind it
    _carrier("64:ff9b::/96", 96, 104, 112, 120),  # NAT64 (RFC 6052)
    # NAT64 of a site's own (RFC 8215), in the two layouts that are in use (RFC 6052)
    _carrier("64:ff9b:1::/48", 48, 56, 72, 80, alone=True),
    _carrier("64:ff9b:1::/48", 96, 104, 112, 120, alone=True),
)
ISATAP = (0x00005EFE, 0x02005EFE)
"""what stands before an IPv4 address in any network that uses ISATAP (RFC 5214)"""


def meanings(network: AnyNetwork, *, all_that_it_covers: bool) -> Iterator[AnyNetwork]:
    """The network itself, and the IPv4 networks that it carries.

    With `all_that_it_covers`, a network that holds a whole range of carriers carries every IPv4 address.
    """
    yield network
    if isinstance(network, ipaddress.IPv4Network):
        return
    for carrier in CARRIERS:
        if network.subnet_of(carrier.range):
            carried = _carried(network, carrier)
            known = carried.prefixlen > 0
            if all_that_it_covers if not known else not (carrier.alone and _has_company(network, carried)):
                yield carried
        elif all_that_it_covers and carrier.range.subnet_of(network):
            yield EVERY_V4
    number = int(network.network_address)
    if network.prefixlen > 96 and (number >> 32) & 0xFFFFFFFF in ISATAP:
        yield ipaddress.IPv4Network((number & 0xFFFFFFFF, network.prefixlen - 96))


def _has_company(network: ipaddress.IPv6Network, carried: ipaddress.IPv4Network) -> bool:
    """Whether nothing stands where an IPv4 address would, or something behind it."""
    own, behind = int(carried.network_address), int(network.network_address) & (2**40 - 1)
    return own == 0 or (behind not in (0, own))


def _carried(network: ipaddress.IPv6Network, carrier: Carrier) -> ipaddress.IPv4Network:
    """The IPv4 network that is known from the bits which the prefix of the network fixes."""
    number = int(network.network_address) ^ ((2**32 - 1) if carrier.inverted else 0)
    value = known = 0
    for index, start in enumerate(carrier.bytes):
        value = (value << 8) | ((number >> (120 - start)) & 0xFF)
        fixed = min(8, max(0, network.prefixlen - start))
        known = 8 * index + fixed if known == 8 * index else known
    return ipaddress.IPv4Network((value, known), strict=False)


def read_network(text: str) -> AnyNetwork | None:
    """The address or network that a text means, also in the spellings of IPv4 that browsers take; None where none."""
    bare = text.strip().removeprefix("[").removesuffix("]").rstrip(".").partition("%")[0]
    try:
        return ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return _loose_v4(bare)


def _loose_v4(text: str) -> ipaddress.IPv4Network | None:
    """`127.1`, `0x7f.0.0.1`, `017700000001`, `2130706433`."""
    try:
        *leading, last = (_loose_number(part) for part in text.split("."))
    except ValueError:
        return None
    room = 256 ** (4 - len(leading)) if len(leading) < 4 else 0
    if last >= room or any(part > 255 for part in leading):
        return None
    value = sum(part << (24 - 8 * index) for index, part in enumerate(leading)) + last
    return ipaddress.IPv4Network((value, 32))


def _loose_number(text: str) -> int:
    if not (text.isascii() and text.isalnum()):
        raise ValueError(text)
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if len(text) > 1 and text[0] == "0" else 10)

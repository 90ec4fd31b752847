"""What must never be touched, and whether a request would: compared in every spelling, without a look at the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from orchestrator.contract.capability import Effect
from orchestrator.contract.values import AccountName, Domain, HostName, IpAddress, MailAddress, Network
from orchestrator.language.accounts import Accounts
from orchestrator.language.networks import AnyNetwork, Networks, meanings, read_network

Kind = Literal["address", "domain", "host", "account", "mail"]
TYPES = ("ip", "network", "domain", "account", "host")
"""the types that a never-touch list may have"""
KINDS: Mapping[str, frozenset[Kind]] = {
    "ip": frozenset({"address"}),
    "network": frozenset({"address"}),
    "domain": frozenset({"domain"}),
    "host": frozenset({"host", "domain"}),
    "account": frozenset({"account", "mail"}),
}
"""what a list of each type decides about"""
ALL: frozenset[Kind] = frozenset({"address", "domain", "host", "account", "mail"})
PLAIN = {"url": "url", "principal": "account"}
"""parameters that are plain text to the contract, and what they name"""
OWN = "own infrastructure"
ALWAYS = (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""unspecified, loopback, link-local, multicast and broadcast: no target of anybody, anywhere (RFC 6890)"""


@dataclass(frozen=True)
class Named:
    """One thing that a request names."""

    kind: Kind
    text: str


class Index(Protocol):
    """Finds the entry that a thing is, lies in or covers."""

    def find(self, named: Named) -> str | None:
        """The entry; None where there is none."""
        ...


class AddressIndex:
    """Addresses and networks, also those that others carry inside."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks = Networks(
            (meaning, entry)
            for entry in entries
            if (network := read_network(entry)) is not None
            for meaning in meanings(network, all_that_it_covers=False)
        )

    def find(self, named: Named) -> str | None:
        """The entry that the address lies in, or that lies in the network."""
        network = read_network(named.text)
        found = (self._touching(one) for one in (meanings(network, all_that_it_covers=True) if network else ()))
        return next((entry for entry in found if entry is not None), None)

    def _touching(self, network: AnyNetwork) -> str | None:
        return self._networks.holding(network) or self._networks.inside(network)


class DomainIndex:
    """Domains, each with all below it."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries: dict[str, str] = {}
        self._above: dict[str, str] = {}
        for entry in entries:
            first, *above = _and_above(ascii_name(entry))
            self._entries.setdefault(first, entry)
            self._above |= {name: entry for name in above if name not in self._above}

    def find(self, named: Named) -> str | None:
        """The entry that the domain is or lies below; or one below the domain, which would go with it."""
        name = ascii_name(named.text)
        found = (self._entries.get(one) for one in _and_above(name))
        return next((entry for entry in found if entry is not None), self._above.get(name))


class HostIndex:
    """Machines: by their full names, and by the first label where one of two names is no more than that."""

    def __init__(self, entries: Iterable[str]) -> None:
        names = [(host_name(entry), entry) for entry in entries]
        self._entries = dict(reversed(names))
        self._first = {name.partition(".")[0]: entry for name, entry in reversed(names) if not _is_address(name)}
        self._domains = DomainIndex(name for name in self._entries if "." in name)

    def find(self, named: Named) -> str | None:
        """The entry that the machine is; of a domain, the entry that it is, lies below, or covers."""
        if named.kind == "domain":
            return self._domains.find(named)
        name = host_name(named.text)
        if name in self._entries:
            return self._entries[name]
        if _is_address(name):
            return None
        first, dot, _ = name.partition(".")
        return self._entries.get(first) if dot else self._first.get(first)


class AccountIndex:
    """Accounts."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._accounts = Accounts(entries)

    def find(self, named: Named) -> str | None:
        """The entry that the account may be; a mail address has to stand there itself."""
        return self._accounts.mailed(named.text) if named.kind == "mail" else self._accounts.meaning(named.text)


def index_of(kind: str, entries: Iterable[str]) -> Index:
    """What finds the entries of a list of this type."""
    if kind in ("ip", "network"):
        return AddressIndex(entries)
    if kind == "domain":
        return DomainIndex(entries)
    return HostIndex(entries) if kind == "host" else AccountIndex(entries)


@dataclass(frozen=True)
class NeverTouchList:
    """A list of what must never be touched, or why nobody can go by it (`trouble`).

    Without a `type`, nobody knows what it is about: then it is about everything.
    """

    name: str
    type: str | None
    entries: tuple[str, ...] = field(default=(), repr=False)
    trouble: str = ""

    def as_found(self, trouble: str) -> NeverTouchList:
        """The same with this trouble; what finds its entries is not made again."""
        if trouble == self.trouble:
            return self
        found = replace(self, trouble=trouble)
        found.__dict__["_index"] = self._index
        return found

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it decides about."""
        return KINDS.get(self.type or "", ALL)

    @cached_property
    def _index(self) -> Index:
        return index_of(self.type or "", self.entries)

    def find(self, named: Named) -> str | None:
        """The entry that the thing must not be touched for."""
        return self._index.find(named) if self.type and named.kind in self.kinds else None


@dataclass(frozen=True)
class Touch:
    """Why a request must not be sent: what it names, the list, and the entry; or the trouble with the list."""

    named: Named
    list: str
    entry: str | None
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            what = f"no {self.named.kind} is touched while the never-touch list"
            return f"{what} `{self.list}` cannot be used: {self.trouble}"
        where = "Tocsin's own infrastructure" if self.list == OWN else f"the never-touch list `{self.list}`"
        return f"{self.named.text} is on {where}, by its entry {self.entry}"


def touched(names: Iterable[Named], lists: Sequence[NeverTouchList]) -> Touch | None:
    """The first reason not to touch what is named; None where there is none. An entry that matches comes first."""
    named = list(names)
    pairs = [(one, of) for one in named for of in lists if one.kind in of.kinds]
    for one, of in pairs:
        entry = of.find(one)
        if entry is not None:
            return Touch(one, of.name, entry)
    return next((Touch(one, of.name, None, of.trouble) for one, of in pairs if of.trouble), None)


def own_lists(hosts: Iterable[str] = ()) -> tuple[NeverTouchList, ...]:
    """What is on the list everywhere, and these hosts, by name or by address."""
    known = list(dict.fromkeys(hosts))
    addresses = tuple(host for host in known if _is_address(host))
    names = tuple(host for host in known if not _is_address(host))
    return NeverTouchList(OWN, "network", (*ALWAYS, *addresses)), NeverTouchList(OWN, "host", ("localhost", *names))


def is_guarded(effect: Effect) -> bool:
    """Whether an effect touches its target: reading does not, nor do a ticket, a message or a copy."""
    return effect in (Effect.REVERSIBLE, Effect.IRREVERSIBLE)


def names_in_parameters(parameters: Mapping[str, Any]) -> Iterator[Named]:
    """What parameters of their right types name, however deep."""
    for name, value in parameters.items():
        yield from _names(name, value)


def _names(name: str, value: object) -> Iterator[Named]:
    if isinstance(value, BaseModel):
        yield from names_in_parameters(dict(value))
    elif isinstance(value, Mapping):
        yield from names_in_parameters({str(key): one for key, one in value.items()})
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _names(name, one)
    elif isinstance(value, str):
        yield from _named(getattr(value, "kind", PLAIN.get(name, "text")), value)


def _named(kind: str, text: str) -> Iterator[Named]:
    if kind in (IpAddress.kind, Network.kind):
        yield Named("address", text)
    elif kind == AccountName.kind:
        yield Named("account", text)
    elif kind == MailAddress.kind:
        yield Named("mail", text)
    elif kind == "url":
        for host in _hosts_of(text):
            yield from _named(Domain.kind, host)
    elif kind in (Domain.kind, HostName.kind):
        yield Named("host" if kind == HostName.kind else "domain", text)
        if kind == Domain.kind and "." not in text.rstrip("."):
            yield Named("host", text)
        if _is_address(text) and not (kind == HostName.kind and text.isdigit()):
            yield Named("address", text)


def _hosts_of(url: str) -> Iterator[str]:
    """The host that a page is on, as strict readers and as browsers understand the text."""
    for spelling in dict.fromkeys((url, url.replace("\\", "/"))):
        try:
            host = urlsplit(spelling).hostname
        except ValueError:
            host = spelling.partition("//")[2].partition("/")[0]
        if host:
            yield unquote(host)


def ascii_name(text: str) -> str:
    """A name of DNS in its one spelling; what is none, as it stands in small letters."""
    name = text.strip().removeprefix("*.").lstrip(".")
    try:
        return Domain.normalise(name)
    except ValueError:
        return name.rstrip(".").casefold()


def host_name(text: str) -> str:
    """The name of a machine in its one spelling, without the domain before it and the `$` of its account."""
    name = text.strip().rpartition("\\")[2].removesuffix("$")
    network = None if name.isdigit() else read_network(name)  # a machine may be called 1001
    if network is None:
        return ascii_name(name)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return str(mapped or network.network_address)


def _is_address(text: str) -> bool:
    return read_network(text) is not None


def _and_above(name: str) -> Iterator[str]:
    """The name, and those of all domains that it lies below."""
    while name:
        yield name
        name = name.partition(".")[2]

"""Accounts in every spelling that directories have: which of many a name may mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from orchestrator.contract.values import Domain

SID = re.compile(r"s-1-\d+(-\d+)*")
ARN = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(?P<owner>[^:]*):(?P<what>.+)")
NAMES = frozenset({"uid", "cn", "samaccountname", "userprincipalname", "userid", "mail"})
"""the attributes of a distinguished name whose values are names of accounts"""
Rdn = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Realm:
    """Where an account is known: a domain of DNS, a name of NetBIOS, an account of a cloud."""

    kind: Literal["dns", "netbios", "cloud"]
    name: str

    def may_be(self, other: Realm) -> bool:
        """Whether both may be one; of different kinds nobody can tell, so they may."""
        return self.kind != other.kind or self.name == other.name


@dataclass(frozen=True)
class Spelled:
    """What a spelling says: the names, where they are known if it says that, a place in a directory, a SID."""

    names: frozenset[str] = frozenset()
    realm: Realm | None = None
    dn: tuple[Rdn, ...] = ()
    sid: str = ""


def spelled(text: str) -> Spelled:
    """What an account is called in a text: name, UPN, DOMAIN\\name, distinguished name, SID or ARN, in any case."""
    name = unicodedata.normalize("NFKC", text).strip().casefold()
    if SID.fullmatch(name):
        return Spelled(sid=name)
    if arn := ARN.fullmatch(name):
        return Spelled(_one(re.split("[/:]", arn["what"])[-1]), Realm("cloud", arn["owner"]))
    if dn := _dn(name):
        return _of_dn(dn)
    return _of_plain(name)


def _of_plain(name: str) -> Spelled:
    domain, backslash, account = name.rpartition("\\")
    if backslash:
        inner = _of_plain(account)
        return inner if inner.realm or domain in ("", ".") else Spelled(inner.names, Realm("netbios", domain))
    account, at, domain = name.rpartition("@")
    return Spelled(_one(account), Realm("dns", _ascii(domain))) if at else Spelled(_one(name))


def _of_dn(dn: tuple[Rdn, ...]) -> Spelled:
    parts = [(attribute, value) for rdn in dn for attribute, value in rdn]
    names = [value for attribute, value in dn[0] if attribute in NAMES]
    inner = [_of_plain(one) for one in names]
    domain = ".".join(value for attribute, value in parts if attribute == "dc")
    realm = Realm("dns", _ascii(domain)) if domain else None
    return Spelled(frozenset(name for one in inner for name in one.names), realm, dn)


def _one(name: str) -> frozenset[str]:
    return frozenset({name} if name else ())


def _ascii(domain: str) -> str:
    try:
        return Domain.normalise(domain)
    except ValueError:
        return domain.rstrip(".")


def _dn(text: str) -> tuple[Rdn, ...]:
    """The parts of a distinguished name (RFC 4514); nothing where the text is none."""
    rdns = [frozenset(_attribute(one) for one in _split(rdn, "+")) for rdn in _split(text, ",;")]
    fits = all(attribute for rdn in rdns for attribute, _ in rdn)
    return tuple(rdns) if fits else ()


def _attribute(text: str) -> tuple[str, str]:
    attribute, equals, value = text.partition("=")
    return (attribute.strip().removeprefix("oid."), " ".join(_unescaped(value).split())) if equals else ("", "")


def _split(text: str, at: str) -> list[str]:
    """Split where no backslash stands before and no quotes around."""
    return re.findall(rf'(?:\\.|"(?:\\.|[^"\\])*"|[^{at}\\"])+', text)


def _unescaped(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    pairs = re.sub(r"((?:\\[0-9a-f]{2})+)", lambda found: _bytes(found[1]), value)
    return re.sub(r"\\(.)", r"\1", pairs)


def _bytes(escaped: str) -> str:
    return bytes.fromhex(escaped.replace("\\", "")).decode("utf-8", "replace").casefold()


class Accounts:
    """Many accounts, each with the entry of a list that it stands for."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = [(spelled(entry), entry) for entry in entries]

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[Spelled, str]]]:
        found: dict[str, list[tuple[Spelled, str]]] = {}
        for one, entry in self._entries:
            for name in one.names:
                found.setdefault(name, []).append((one, entry))
        return found

    @cached_property
    def _by_place(self) -> dict[object, str]:
        return {one.sid or one.dn: entry for one, entry in reversed(self._entries) if one.sid or one.dn}

    def meaning(self, text: str) -> str | None:
        """An entry that may be this account. A distinguished name stands for all that lies below it, too."""
        wanted = spelled(text)
        for place in _places(wanted):
            if place in self._by_place:
                return self._by_place[place]
        named = (pair for name in sorted(wanted.names) for pair in self._by_name.get(name, ()))
        return next((entry for one, entry in named if _may_be(one.realm, wanted.realm)), None)

    def mailed(self, address: str) -> str | None:
        """An entry that says itself that it is this mail address."""
        wanted = spelled(address)
        named = (pair for name in sorted(wanted.names) for pair in self._by_name.get(name, ()))
        return next((entry for one, entry in named if one.realm == wanted.realm), None)


def _places(wanted: Spelled) -> Iterator[object]:
    if wanted.sid:
        yield wanted.sid
    yield from (wanted.dn[start:] for start in range(len(wanted.dn)))


def _may_be(one: Realm | None, other: Realm | None) -> bool:
    return one is None or other is None or one.may_be(other)

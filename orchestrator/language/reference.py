"""What a site keeps for its playbooks to ask, lists and calendars, and the part of it that travels with a run."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from types import GenericAlias
from typing import Any

import orjson

from orchestrator.contract.values import (
    AccountName,
    Domain,
    FileHash,
    HostName,
    IpAddress,
    MailAddress,
    Network,
    NormalisedText,
)
from orchestrator.errors import TocsinError
from orchestrator.language.calendars import Calendar
from orchestrator.language.networks import Networks
from orchestrator.language.never_touch import NeverTouchList, own_lists

MOST_IN_A_RUN = 1_000
"""entries of a list that a run takes with it"""
SNAPSHOT_BYTES = 1_048_576
"""of all that a run takes with it; Temporal carries no more than twice that in one piece"""
LONGEST_ENTRY = 1_024
"""characters"""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ReferenceRefused(TocsinError):
    """A list or calendar was asked for that cannot be had; nothing was read in its place."""


class ListType(StrEnum):
    """What the entries of a list are, and so how they compare."""

    IP = "ip"
    NETWORK = "network"
    DOMAIN = "domain"
    ACCOUNT = "account"
    HOST = "host"
    HASH = "hash"
    MAIL = "mail"
    TEXT = "text"

    @property
    def kind(self) -> type[str]:
        """The value type of the entries; plain text compares letter by letter."""
        return _KINDS.get(self, str)

    def parse(self, text: str) -> str:
        """The value that a text means; raises `ValueError` with the reason where it means none."""
        kind = self.kind
        return kind.parse(text) if issubclass(kind, NormalisedText) else text

    def entry(self, raw: object) -> str:
        """The value that an entry of a list means, as a person wrote it; raises `ValueError` with the reason."""
        if not isinstance(raw, str):
            raise ValueError(f"{raw!r} is no text; put it in quotes" if _is_scalar(raw) else "an entry is one text")
        if not 0 < len(raw) <= LONGEST_ENTRY:
            raise ValueError(f"an entry has 1 to {LONGEST_ENTRY:,} characters")
        if _UNPRINTABLE.search(raw):
            raise ValueError("an entry holds no tabs, line breaks or other control characters")
        return self.parse(raw)


_KINDS: dict[ListType, type[NormalisedText]] = {
    ListType(kind.kind): kind
    for kind in (IpAddress, Network, Domain, AccountName, HostName, FileHash, MailAddress)
}  # fmt: skip


def _is_scalar(raw: object) -> bool:
    return not isinstance(raw, list | dict)


@dataclass(frozen=True)
class ReferenceList:
    """A list of the site. `entries` are in their one spelling, in the order of the file, each once.

    Past `max_age` since its file changed it is stale: it is still read, and said loudly to be so. What is on a list
    that is `never_touch` is changed by nothing, and one that is stale stands for everything of its type.
    """

    type: ListType
    entries: tuple[str, ...]
    max_age: timedelta | None = None
    writable: bool = False
    never_touch: bool = False

    def contains(self, text: str) -> bool:
        """Whether a value is in it, in whatever spelling; raises `ValueError` for what is no value of its type.

        A list of networks contains the addresses and the smaller networks that lie in one of them.
        """
        return self._holds(self.type.parse(text))

    @cached_property
    def _holds(self) -> Callable[[str], bool]:
        return _in_networks(self.entries) if self.type is ListType.NETWORK else frozenset(self.entries).__contains__


def _in_networks(entries: Iterable[str]) -> Callable[[str], bool]:
    """What says of a network whether it lies in one of these."""
    networks = Networks((ipaddress.ip_network(entry), entry) for entry in entries)
    return lambda text: networks.holding(ipaddress.ip_network(text)) is not None


@dataclass(frozen=True)
class ReferenceData:
    """The lists and calendars of a site by their names. `broken` says of names that cannot be had why not."""

    lists: Mapping[str, ReferenceList] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def types(self) -> dict[str, Any]:
        """What the checker knows of the names `lists` and `calendars`."""
        return {
            "lists": {name: GenericAlias(tuple, (one.type.kind, ...)) for name, one in self.lists.items()},
            "calendars": dict.fromkeys(self.calendars, Calendar),
        }

    def outline(self) -> object:
        """All that the word of the checker depends on, to be compared: of entries, those that must never be touched."""
        large = frozenset(name for name, one in self.lists.items() if len(one.entries) > MOST_IN_A_RUN)
        writable = frozenset(name for name, one in self.lists.items() if one.writable)
        return self.types(), large, writable, dict(self.broken), self.never_touch

    @cached_property
    def never_touch(self) -> tuple[NeverTouchList, ...]:
        """What no playbook may name as a target, as far as its files say."""
        marked = (
            NeverTouchList(f"lists.{name}", one.type.value, one.entries)
            for name, one in self.lists.items()
            if one.never_touch
        )
        return (*own_lists(), *marked)

    def trouble(self, name: str) -> tuple[str, str] | None:
        """Why a run cannot read `lists.x` or `calendars.x`, and the likely fix; None where it can."""
        kind, _, short = name.partition(".")
        if name in self.broken:
            return f"`{name}` cannot be read", self.broken[name]
        known: Mapping[str, object] = {"lists": self.lists, "calendars": self.calendars}.get(kind, {})
        if short not in known:
            return f"there is no `{name}`", _nearest(kind, short, known)
        size = len(self.lists[short].entries) if kind == "lists" else 0
        if size > MOST_IN_A_RUN:
            message = f"`{name}` has {size:,} entries, and a run takes at most {MOST_IN_A_RUN:,} of a list with it"
            return message, "ask with the action `list.contains`"
        return None

    def snapshot(self, names: Collection[str]) -> dict[str, Any]:
        """The lists and calendars of these names (`lists.x`, `calendars.x`) as plain JSON, for a run to take with it.

        Raises `ReferenceRefused` that names all that cannot be had: what is missing is never an empty list.
        """
        troubles = [found for name in sorted(set(names)) if (found := self.trouble(name))]
        if troubles:
            raise ReferenceRefused("\n".join(f"{message}; {hint}" for message, hint in troubles))
        lists = {name: one for name, one in self.lists.items() if f"lists.{name}" in names}
        calendars = {name: one for name, one in self.calendars.items() if f"calendars.{name}" in names}
        plain = _plain(lists, calendars)
        size = len(orjson.dumps(plain))
        if size > SNAPSHOT_BYTES:
            largest = max(lists, key=lambda name: sum(map(len, lists[name].entries)))
            message = f"the lists of this playbook have {size:,} bytes, and a run takes at most {SNAPSHOT_BYTES:,}"
            raise ReferenceRefused(f"{message}; ask for `lists.{largest}` with the action `list.contains`")
        return plain

    def contains(self, name: str, value: str) -> bool:
        """Whether a list of any size has the value.

        Raises `ReferenceRefused` where there is no such list, `ValueError` for what is no value of its type.
        """
        return self.named(name).contains(value)

    def named(self, name: str) -> ReferenceList:
        """The list of this name, of any size; raises `ReferenceRefused` where there is none."""
        if name not in self.lists:
            message, hint = self.trouble(f"lists.{name}") or ("", "")
            raise ReferenceRefused(f"{message}; {hint}")
        return self.lists[name]

    def with_more(self, more: Mapping[str, Iterable[str]]) -> ReferenceData:
        """The same with what runs have put on lists; what is no value of a type that has changed since is left out."""
        changed = {}
        for name, entries in more.items():
            one = self.lists[name]
            added = (value for entry in entries if (value := _value_of(one.type, entry)) is not None)
            changed[name] = replace(one, entries=tuple(dict.fromkeys((*one.entries, *added))))
        return replace(self, lists={**self.lists, **changed})

    def with_lists(self, given: Mapping[str, Iterable[object]]) -> ReferenceData:
        """The same with other entries in these lists, as the test of a playbook gives them.

        Raises `ReferenceRefused` for a list that there is not, and for entries that are none of its type.
        """
        changed = {}
        for name, entries in given.items():
            if name not in self.lists:
                raise ReferenceRefused(f"there is no `lists.{name}`; {_nearest('lists', name, self.lists)}")
            try:
                parsed = tuple(dict.fromkeys(map(self.lists[name].type.entry, entries)))
            except ValueError as error:
                raise ReferenceRefused(f"`lists.{name}`: {error}") from None
            changed[name] = replace(self.lists[name], entries=parsed)
        return replace(self, lists={**self.lists, **changed})

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that playbooks can see of it."""
        canonical = orjson.dumps(_plain(self.lists, self.calendars), option=orjson.OPT_SORT_KEYS)
        return "sha256:" + hashlib.sha256(canonical).hexdigest()


def _value_of(kind: ListType, entry: str) -> str | None:
    try:
        return kind.entry(entry)
    except ValueError:
        return None


def restore(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What expressions read as `lists` and `calendars`, from a snapshot: typed, so that every spelling compares equal.

    The entries are taken as they stand: history holds the one spelling that was theirs when the run began.
    """
    return {
        "lists": {name: tuple(map(ListType(one["type"]).kind, one["entries"])) for name, one in plain["lists"].items()},
        "calendars": {name: Calendar.model_validate(one) for name, one in plain["calendars"].items()},
    }


def names_in(paths: Iterable[tuple[str, ...]]) -> frozenset[str]:
    """The names to take a snapshot of, from the paths that expressions name.

    A computed name (`lists[alert.title]`) gives `lists.*`, which no snapshot has: names are literals.
    """
    read = (path for path in paths if path[:1] in (("lists",), ("calendars",)))
    return frozenset(f"{path[0]}.{path[1] if len(path) > 1 else '*'}" for path in read)


def _plain(lists: Mapping[str, ReferenceList], calendars: Mapping[str, Calendar]) -> dict[str, Any]:
    return {
        "lists": {name: {"type": one.type.value, "entries": _texts(one.entries)} for name, one in lists.items()},
        "calendars": {name: one.model_dump(mode="json") for name, one in calendars.items()},
    }


def _texts(entries: Iterable[str]) -> list[str]:
    return [str(entry) for entry in entries]  # JSON writers know plain text, not the types made of it


def _nearest(kind: str, name: str, known: Mapping[str, object]) -> str:
    if name == "*":
        return f"write the name itself, as in `{kind}.name`"
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{kind}.{near[0]}`?"
    return f"known: {', '.join(sorted(known))}" if known else f"the site has no {kind} yet"

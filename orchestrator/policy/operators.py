"""Who may do what by hand, and how far it has to be known who that is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from orchestrator.errors import Finding, TocsinError
from orchestrator.language.wording import near
from orchestrator.language.yaml_reader import Document
from orchestrator.policy.modes import LineOf
from orchestrator.policy.section import Line, Section, no_effect

Trust = Literal["unverified", "principal", "signed"]
TRUSTS: tuple[Trust, ...] = get_args(Trust)
"""from the least to the most"""
Verb = Literal["release", "extend", "keep", "kill", "lift", "run", "cancel"]
VERBS: tuple[Verb, ...] = get_args(Verb)
MOST_NAMED = 5
"""people that a refusal names"""
Name = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal. `unverified` is the name of an account there: whoever has the machine has the name."""

    name: str
    trust: Trust = "unverified"


class NotAllowed(TocsinError):
    """The policy does not let this person do that; nothing was done. `line` is the one that says so."""

    def __init__(self, message: str, line: Line) -> None:
        self.line = line
        super().__init__(message)


class Who(Section):
    """Those who may: the members of groups and people by name, or everybody where none are named; known so far."""

    groups: tuple[Name, ...] | None = None
    people: tuple[Name, ...] | None = None
    trust: Trust = "unverified"

    @property
    def everyone(self) -> bool:
        """Whether it is left open who that is."""
        return self.groups is None and self.people is None


EVERYONE = Who()


def as_who(value: object) -> object:
    """`everyone` and `nobody` are short for the ends of the range."""
    if value == "everyone":
        return EVERYONE
    if value == "nobody":
        return Who(groups=(), people=())
    if isinstance(value, str):
        raise ValueError(f"{value!r} is none of everyone, nobody, or a mapping with groups, people and trust")
    if isinstance(value, dict) and not value.keys() - {"trust"} and value.get("trust", TRUSTS[0]) == TRUSTS[0]:
        raise ValueError("name `groups` or `people` or a `trust`, or write `everyone` or `nobody`")
    return value


Whoever = Annotated[Who, BeforeValidator(as_who)]


class May(Section):
    """`may:` of a policy: for each thing that people do by hand, who may. Left out: everyone, as an unverified name."""

    release: Whoever = EVERYONE
    extend: Whoever = EVERYONE
    keep: Whoever = EVERYONE
    kill: Whoever = EVERYONE
    lift: Whoever = EVERYONE
    run: Whoever = EVERYONE
    cancel: Whoever = EVERYONE

    def told(self, verb: Verb) -> str:
        """Who may, in words."""
        return _told(getattr(self, verb))


Groups = dict[Name, tuple[Name, ...]]


def refusal(
    may: May, groups: Mapping[str, Collection[str]], verb: Verb, who: Operator, line: LineOf
) -> NotAllowed | None:
    """Why this person may not do that, by which line, and who may; None where they may."""
    rule: Who = getattr(may, verb)
    here = line(("may", verb), f"may.{verb} is for {_told(rule)}")
    if not rule.everyone and who.name not in (able := members(rule, groups)):
        return NotAllowed(f"{here}; {who.name} is not among them ({_named(able)})", here)
    if TRUSTS.index(who.trust) < TRUSTS.index(rule.trust):
        return NotAllowed(f"{here}; of {who.name} only the name is known ({who.trust})", here)
    return None


def members(rule: Who, groups: Mapping[str, Collection[str]]) -> list[str]:
    """Everybody who is named, each once."""
    grouped = [name for group in rule.groups or () for name in groups.get(group, ())]
    return list(dict.fromkeys([*grouped, *(rule.people or ())]))


def _told(rule: Who) -> str:
    if rule.everyone:
        return f"everyone with trust {rule.trust}" if rule.trust != "unverified" else "everyone"
    parts = [*(f"the group {group}" for group in rule.groups or ()), *(rule.people or ())]
    trusted = f", with trust {rule.trust}" if rule.trust != "unverified" else ""
    return (", ".join(parts) or "nobody") + trusted


def _named(able: list[str]) -> str:
    if not able:
        return "nobody may"
    more = f" and {len(able) - MOST_NAMED} more" if len(able) > MOST_NAMED else ""
    return f"who may: {', '.join(able[:MOST_NAMED])}{more}"


def check_may(may: May, groups: Groups, document: Document) -> Iterator[Finding]:
    """Groups that nobody defines or asks for, and lines that let nobody through."""
    asked: set[str] = set()
    for verb in VERBS:
        rule: Who = getattr(may, verb)
        for place, group in enumerate(rule.groups or ()):
            asked.add(group)
            if group not in groups:
                hint = near(group, groups) or "add it to `groups` of this file"
                where = document.place(("may", verb, "groups", place))
                yield Finding(where, "unknown_group", f"no group is named `{group}` here", hint)
            elif not groups[group]:
                yield no_effect(document, ("groups", group), f"nobody is in the group `{group}`", "name its members")
        if rule.trust != "unverified":
            message = f"nobody passes: the terminal knows people by an unverified name, and this wants `{rule.trust}`"
            yield no_effect(document, ("may", verb, "trust"), message, "write `nobody` if that is meant")
    for group in groups:
        if group not in asked:
            yield no_effect(document, ("groups", group, "@key"), f"no line asks for the group `{group}`", "remove it")

"""Budgets: on how many different targets something may act by itself, before people are asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from orchestrator.contract.durations import format_duration, parse_duration
from orchestrator.errors import Finding
from orchestrator.language.never_touch import is_guarded
from orchestrator.language.yaml_reader import Document, Path
from orchestrator.policy.demands import Answerers
from orchestrator.policy.modes import Asked, LineOf
from orchestrator.policy.section import Known, Section, no_effect, unknown

Scope = Literal["group", "capability", "run", "playbook", "all"]
Most = Annotated[int, Field(ge=0, le=1_000_000)]
UNLIMITED: Literal["unlimited"] = "unlimited"
PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%")
ADMINISTRATORS = "administrators"
"""the list of the site that has a share of its own where no line names it"""
LIKE = ("ip", "domain", "account", "host")
"""the types of lists whose entries can be counted as members"""


def as_windows(value: object) -> object:
    """A number for each window; raises `ValueError` for what is no duration."""
    if isinstance(value, dict):
        for window in value:
            parse_duration(window)
    return value


def as_limit(value: object) -> object:
    """What stands alone is short for `{targets: ...}`."""
    return {"targets": value} if not isinstance(value, dict) or not value.keys() & {"targets", "by"} else value


def as_share(value: object) -> object:
    """`5%` alone is short for `{share: 5%}`."""
    return {"share": value} if not isinstance(value, dict) else value


def as_percent(value: object) -> object:
    """The share as a number; raises `ValueError` with the likely fix."""
    found = PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not 0 < float(found[1]) <= 100:
        raise ValueError(f"{value!r} is no share; write it as 1% or 0.5%")
    return float(found[1])


Windows = Annotated[dict[str, Most], BeforeValidator(as_windows), Field(min_length=1, max_length=10)]


class OfARun(Section):
    """`budgets.run`: targets in the whole of one run."""

    targets: Most | Literal["unlimited"] = 5
    by: Answerers | None = None


class Limit(Section):
    """Targets within each of these windows, as `{1h: 20, 1d: 50}`, which move on with the clock."""

    targets: Windows | Literal["unlimited"] = UNLIMITED
    by: Answerers | None = None


class Share(Section):
    """The part of a group that may be acted upon within a window; one member always."""

    share: Annotated[float, BeforeValidator(as_percent)] = 1.0
    within: str = "1d"
    by: Answerers | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        parse_duration(self.within)
        return self


OF_ADMINISTRATORS = Share.model_validate({"share": "5%"})
Run = Annotated[OfARun, BeforeValidator(as_limit)]
Limited = Annotated[Limit, BeforeValidator(as_limit)]
Shared = Annotated[Share, BeforeValidator(as_share)]


class Budgets(Section):
    """`budgets:` of a policy. What is left out is the default; a limit of its own counts in place of the general one.

    `by`, `within` and `otherwise` say who is asked about what is above, for how long, and what silence means.
    """

    run: Run = OfARun()
    playbook: Limited = Limit(targets={"1h": 20, "1d": 50})
    playbooks: dict[str, Limited] = Field(default={})
    capability: Limited = Limit()
    capabilities: dict[str, Limited] = Field(default={})
    groups: dict[str, Shared] = Field(default={})
    all: Limited = Limit(targets={"1h": 50})
    by: Answerers = Answerers()
    within: str = "30m"
    otherwise: Literal["deny", "fail"] = "deny"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        parse_duration(self.within)
        return self


@dataclass(frozen=True)
class Group:
    """A group that the target belongs to, or may for all that is known; of `size` members, none where unknown."""

    name: str
    size: int | None


@dataclass(frozen=True)
class Allowed:
    """One limit: `most` different targets of `of`, within `seconds` or (none) in the whole of it; who is asked above.

    `card` names what is asked about together: all that is above the same limits of the same answerers.
    """

    scope: Scope
    of: str
    seconds: float | None
    most: int
    line: str
    card: str
    group: str | None
    count: int
    within: float
    otherwise: Literal["deny", "fail"]

    def __str__(self) -> str:
        what = {"all": "in all", "run": "a run", "group": f"of the group {self.of}"}
        window = f" within {format_duration(self.seconds)}" if self.seconds else ""
        return f"{self.most} targets {what.get(self.scope, f'of the {self.scope} {self.of}')}{window}"


def allowed(budgets: Budgets, asked: Asked, run: str, groups: tuple[Group, ...], line: LineOf) -> tuple[Allowed, ...]:
    """Every limit that an action has to keep, the narrowest first."""
    made = _Made(budgets, line)
    found = [one for group in groups for one in made.group(group)]
    if asked.capability is not None:
        own = budgets.capabilities.get(asked.capability)
        path: Path = ("budgets", "capabilities", asked.capability) if own else ("budgets", "capability")
        found += made.windows("capability", asked.capability, own or budgets.capability, path)
    if asked.playbook is not None:
        found += made.run(run, asked.playbook)
        own = budgets.playbooks.get(asked.playbook)
        path = ("budgets", "playbooks", asked.playbook) if own else ("budgets", "playbook")
        found += made.windows("playbook", asked.playbook, own or budgets.playbook, path)
    return (*found, *made.windows("all", "", budgets.all, ("budgets", "all")))


class _Made:
    """Limits as the policy words them."""

    def __init__(self, budgets: Budgets, line: LineOf) -> None:
        self._budgets = budgets
        self._line = line

    def windows(self, scope: Scope, of: str, limit: Limit, path: Path) -> list[Allowed]:
        if limit.targets == UNLIMITED:
            return []
        card = f"{scope} {of}".strip()
        return [
            self._one(scope, of, parse_duration(window).total_seconds(), most, limit.by, path, card)
            for window, most in limit.targets.items()
        ]

    def run(self, run: str, playbook: str) -> list[Allowed]:
        limit = self._budgets.run
        if limit.targets == UNLIMITED:
            return []
        card = f"playbook {playbook}"  # what a bad rule starts is one question, and not one for each run
        return [self._one("run", run, None, limit.targets, limit.by, ("budgets", "run"), card)]

    def group(self, group: Group) -> list[Allowed]:
        named = self._budgets.groups.get(group.name)
        share = named or OF_ADMINISTRATORS
        most = max(1, int((group.size or 0) * share.share / 100))
        seconds = parse_duration(share.within).total_seconds()
        path = ("budgets", "groups", group.name)
        return [self._one("group", group.name, seconds, most, share.by, path, f"group {group.name}")]

    def _one(
        self, scope: Scope, of: str, seconds: float | None, most: int, by: Answerers | None, path: Path, card: str
    ) -> Allowed:
        who = by or self._budgets.by
        made = Allowed(
            scope, of, seconds, most, "", f"{card}, {who.count} of {who.group or 'anybody'}", who.group, who.count,
            parse_duration(self._budgets.within).total_seconds(), self._budgets.otherwise,
        )  # fmt: skip
        return Allowed(**{**made.__dict__, "line": str(self._line(path, str(made)))})


def groups_named(budgets: Budgets, lists: Mapping[str, Any]) -> tuple[str, ...]:
    """The lists that are groups: those that the policy names, and that of the administrators where there is one."""
    also = (ADMINISTRATORS,) if ADMINISTRATORS in lists and ADMINISTRATORS not in budgets.groups else ()
    return (*budgets.groups, *also)


def check_budgets(budgets: Budgets, document: Document, known: Known) -> Iterator[Finding]:
    """Names that nobody knows, lists that nobody can count, and limits that are never reached."""
    for name in budgets.playbooks:
        yield from unknown(document, ("budgets", "playbooks", name, "@key"), "playbook", name, known.playbooks)
    for name in budgets.capabilities:
        path: Path = ("budgets", "capabilities", name)
        wrong = unknown(document, (*path, "@key"), "capability", name, known.effects)
        yield from wrong
        if not wrong and not is_guarded(known.effects[name]):
            message = f"`{name}` acts upon no target, and takes from no budget"
            yield no_effect(document, path, message, "remove the line")
    for name in budgets.groups:
        yield from _group(document, name, known)
    for path, by in _answerers(budgets):
        if by.group is not None and known.groups is not None:
            yield from unknown(document, (*path, "group"), "group", by.group, set(known.groups))
    yield from _never_reached(budgets, document)


def _group(document: Document, name: str, known: Known) -> Iterator[Finding]:
    path: Path = ("budgets", "groups", name)
    wrong = unknown(document, (*path, "@key"), "list", name, known.lists)
    yield from wrong
    if not wrong and known.lists is not None and known.lists[name] not in LIKE:
        message = f"a list of type {known.lists[name]} has no members to take a share of"
        hint = f"name a list of {', '.join(LIKE)}"
        yield Finding(document.place(path), "no_members", message, hint)


def _answerers(budgets: Budgets) -> Iterator[tuple[Path, Answerers]]:
    yield ("budgets", "by"), budgets.by
    for name in ("run", "playbook", "capability", "all"):
        if (by := getattr(budgets, name).by) is not None:
            yield ("budgets", name, "by"), by
    for name in ("playbooks", "capabilities", "groups"):
        for of, one in getattr(budgets, name).items():
            if one.by is not None:
                yield ("budgets", name, of, "by"), one.by


def _never_reached(budgets: Budgets, document: Document) -> Iterator[Finding]:
    """Limits of a part that are no smaller than those of the whole."""
    whole = _by_seconds(budgets.all)
    written = "playbook" in budgets.model_fields_set
    parts: list[tuple[Path, Limit]] = [(("budgets", "playbook"), budgets.playbook)] if written else []
    for name in ("playbooks", "capabilities"):
        parts += [(("budgets", name, of), one) for of, one in getattr(budgets, name).items()]
    for path, limit in parts:
        for seconds, most in _by_seconds(limit).items():
            if whole.get(seconds, most + 1) < most:
                message = f"never reached: no more than {whole[seconds]} targets are let through in all"
                yield no_effect(document, path, message, "raise `budgets.all`, or lower this")


def _by_seconds(limit: Limit) -> dict[float, int]:
    if limit.targets == UNLIMITED:
        return {}
    return {parse_duration(window).total_seconds(): most for window, most in limit.targets.items()}

"""A policy that was read: what it decides, each time with the line that decides it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.wording import near, told
from orchestrator.language.yaml_reader import Document, Path, read_yaml
from orchestrator.policy.budgets import Allowed, Group, allowed
from orchestrator.policy.demands import Demand, OnList, first_fitting
from orchestrator.policy.document import CHECKS, PolicyDocument
from orchestrator.policy.maintenance import CalendarOf, Inside, holding
from orchestrator.policy.modes import Asked, Decided, decide
from orchestrator.policy.operators import NotAllowed, Operator, Verb, refusal
from orchestrator.policy.rates import Rate
from orchestrator.policy.section import Known, Line

TOP = (
    "a policy is a mapping with `title`, and what it says of `modes`, `new_playbooks`, `groups`, `may`, "
    "`approvals`, `budgets`, `rates` and `maintenance`"
)


@dataclass(frozen=True)
class Policy:
    """What the site wants. `digest` tells one from another; none for the defaults, which no file says."""

    model: PolicyDocument
    file: str = ""
    text: str = ""
    marks: Mapping[Path, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the text."""
        return "sha256:" + hashlib.sha256(self.text.encode()).hexdigest() if self.text else None

    def line(self, path: Path, says: str) -> Line:
        """The line at this path; where the file says nothing of it, the default."""
        mark = self.marks.get((*path, "@key")) or self.marks.get(path)
        return Line(says, Place(self.file, *mark) if mark else None)

    def mode(self, asked: Asked) -> Decided:
        """The mode, and by which lines."""
        return decide(self.model.modes, self.model.new_playbooks, asked, self.line)

    def goes_by_age(self, playbook: str) -> bool:
        """Whether it matters for the mode how long the playbook has been in force."""
        new = self.model.new_playbooks
        return new.mode != "live" and new.for_ is not None and playbook not in self.model.modes.playbooks

    def demand(self, asked: Asked, on_list: OnList) -> tuple[Demand, Line] | None:
        """The approval that is demanded for this, and by which line; none where none is."""
        place = first_fitting(self.model.approvals, asked, on_list)
        if place is None:
            return None
        demand = self.model.approvals[place]
        return demand, self.line(("approvals", place), f"an approval by {demand.key} is demanded")

    def budgets(self, asked: Asked, run: str, groups: tuple[Group, ...] = ()) -> tuple[Allowed, ...]:
        """Every limit that an action of this run has to keep, whose target belongs to these groups."""
        return allowed(self.model.budgets, asked, run, groups, self.line)

    def rate(self, integration: str) -> tuple[Rate, Line] | None:
        """How much this integration is sent at most, and by which line; none where nothing says so."""
        rate = self.model.rates.get(integration)
        return (rate, self.line(("rates", integration), f"rates.{integration}: {rate}")) if rate else None

    def window(
        self, integration: str, moment: datetime, calendar_of: CalendarOf, *, mutates: bool, critical: bool
    ) -> Inside | None:
        """The maintenance window that holds such an action at this moment."""
        return holding(
            self.model.maintenance, integration, moment, calendar_of, self.line, mutates=mutates, critical=critical
        )

    def refusal(self, verb: Verb, who: Operator) -> NotAllowed | None:
        """Why this person may not; None where they may."""
        return refusal(self.model.may, self.model.groups, verb, who, self.line)


DEFAULT = Policy(PolicyDocument(title="No policy is written: the defaults"))
"""Everything live, everybody may do everything: what holds where a site has no policy."""


@dataclass(frozen=True)
class Parsed:
    """A text that was read as a policy; none where there are errors among the findings."""

    policy: Policy | None
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> list[Finding]:
        """What keeps it from coming into force."""
        return [one for one in self.findings if one.level is FindingLevel.ERROR]


def read_policy(text: str, file: str, known: Known | None = None) -> Parsed:
    """The policy that a text holds, with all that is wrong with it; its names are looked at where `known` are given."""
    try:
        document = read_yaml(text, file)
    except FilesRefused as refused:
        return Parsed(None, tuple(refused.findings))
    if not isinstance(document.data, dict):
        return Parsed(None, (Finding(document.place(()), "shape", TOP),))
    try:
        model = PolicyDocument.model_validate(document.data)
    except ValidationError as error:
        return Parsed(None, tuple(_explained(error, document)))
    findings = [one for check in CHECKS for one in check(model, document, known)] if known else []
    findings.sort(key=lambda one: (one.place.line, one.place.column))
    wrong = any(one.level is FindingLevel.ERROR for one in findings)
    return Parsed(None if wrong else Policy(model, file, text, document.marks), tuple(findings))


def _explained(error: ValidationError, document: Document) -> list[Finding]:
    """What the model complains about, in the words of an author."""
    return [
        Finding(document.place(path), _code(path), message.replace("`this`", "a policy"), hint or _near_key(path))
        for path, message, hint in told(error, document.data, ())
    ]


def _near_key(path: Path) -> str:
    """The key that a misspelt one was meant for."""
    if not path or path[-1] != "@key":
        return ""
    model: Any = PolicyDocument
    for part in path[:-2]:
        found = getattr(model, "model_fields", {}).get(str(part))
        model = found.annotation if found is not None else None
    known = [one.alias or name for name, one in getattr(model, "model_fields", {}).items()]
    return near(path[-2], known) or (f"known: {', '.join(known)}" if known else "")


def _code(path: Path) -> str:
    return "unknown_key" if path and path[-1] == "@key" else "value"

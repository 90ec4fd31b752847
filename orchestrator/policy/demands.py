"""Approvals that the site demands though no author wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.contract.durations import parse_duration
from orchestrator.errors import Finding
from orchestrator.language.never_touch import TYPES
from orchestrator.language.yaml_reader import Document, Path
from orchestrator.policy.modes import Asked
from orchestrator.policy.section import Known, Section, no_effect, unknown

OnList = Callable[[str], bool]
"""Whether what is acted upon is on the site's list of this name, or may be for all that is known"""
Names = tuple[str, ...] | None
CONDITIONS = ("capabilities", "integrations", "playbooks", "lists")


class Answerers(Section):
    """`by:` of a demanded approval."""

    group: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    count: Annotated[int, Field(ge=1, le=10)] = 1


class Demand(Section):
    """One entry of `approvals:`. What is left out fits everything; the first entry that fits an action counts."""

    capabilities: Names = None
    integrations: Names = None
    playbooks: Names = None
    lists: Names = None
    by: Answerers = Answerers()
    within: str = "30m"
    otherwise: Literal["deny", "fail"] = "deny"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        parse_duration(self.within)
        if all(getattr(self, name) is None for name in CONDITIONS):
            raise ValueError(f"say what it is about: {', '.join(CONDITIONS)}")
        return self

    @property
    def key(self) -> str:
        """Who has to answer: an approval that was opened for this satisfies every demand of the same."""
        return f"{self.by.count} of {self.by.group or 'anybody'}"

    def fits(self, asked: Asked, on_list: OnList) -> bool:
        """Whether it is about this."""
        named = ((self.capabilities, asked.capability), (self.integrations, asked.integration))
        if any(names is not None and one not in names for names, one in (*named, (self.playbooks, asked.playbook))):
            return False
        return self.lists is None or any(map(on_list, self.lists))


Demands = tuple[Demand, ...]


def first_fitting(demands: Demands, asked: Asked, on_list: OnList) -> int | None:
    """The place of the demand that counts."""
    return next((place for place, one in enumerate(demands) if one.fits(asked, on_list)), None)


def check_demands(demands: Demands, document: Document, known: Known) -> Iterator[Finding]:
    """Names that nobody knows, and entries that are never reached."""
    names = {
        "capabilities": ("capability", known.effects), "integrations": ("integration", known.integrations),
        "playbooks": ("playbook", known.playbooks), "lists": ("list", known.lists),
    }  # fmt: skip
    for place, demand in enumerate(demands):
        here: Path = ("approvals", place)
        for section, (kind, there) in names.items():
            for number, name in enumerate(getattr(demand, section) or ()):
                path = (*here, section, number)
                yield from unknown(document, path, kind, name, there) or _idle(document, path, section, name, known)
        yield from unknown(document, (*here, "by", "group"), "group", demand.by.group or "", _groups(demand, known))
        for before in demands[:place]:
            if _covers(before, demand):
                yield no_effect(document, here, "never reached: an entry above fits all that this one does",
                                "put what is narrower first")  # fmt: skip
                break


def _groups(demand: Demand, known: Known) -> set[str] | None:
    return set(known.groups) if known.groups is not None and demand.by.group is not None else None


def _idle(document: Document, path: Path, section: str, name: str, known: Known) -> Iterator[Finding]:
    if section == "capabilities" and not known.effects[name].mutates:
        yield no_effect(document, path, f"`{name}` only reads, and nobody is asked about that", "remove it")
    if section == "lists" and known.lists is not None and known.lists[name] not in TYPES:
        message = f"nothing that is acted upon is a {known.lists[name]}, so nothing is on `{name}`"
        yield no_effect(document, path, message, f"lists of these are compared: {', '.join(TYPES)}")


def _covers(wide: Demand, narrow: Demand) -> bool:
    """Whether all that fits the one fits the other."""
    pairs = [(getattr(wide, name), getattr(narrow, name)) for name in CONDITIONS]
    return all(one is None or (two is not None and set(two) <= set(one)) for one, two in pairs)

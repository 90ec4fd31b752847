"""Modes: what is sent, at once or one target first, and what is only recorded. The most restrictive line counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from orchestrator.contract.durations import format_duration, parse_duration
from orchestrator.errors import Finding
from orchestrator.language.never_touch import is_guarded
from orchestrator.language.yaml_reader import Document, Path
from orchestrator.policy.section import Known, Line, Mode, Section, Word, no_effect, unknown

LineOf = Callable[[Path, str], Line]
"""Gives the line of the policy that stands at this path, which says this."""
KINDS: Mapping[str, str] = {"integrations": "integration", "playbooks": "playbook", "capabilities": "capability"}


class Modes(Section):
    """`modes:` of a policy. `playbooks` is also how a new playbook is declared to be no longer new."""

    site: Word = "live"
    integrations: dict[str, Word] = Field(default={})
    playbooks: dict[str, Word] = Field(default={})
    capabilities: dict[str, Word] = Field(default={})


class NewPlaybooks(Section):
    """`new_playbooks:` of a policy: the mode of a playbook that `modes.playbooks` does not name.

    With `for`, a playbook is new for that long after it came into force first.
    """

    mode: Word = "live"
    for_: Annotated[timedelta | None, BeforeValidator(parse_duration)] = None

    model_config = Section.model_config | {"alias_generator": lambda name: name.rstrip("_")}


def as_new_playbooks(value: object) -> object:
    """`shadow` alone is short for `{mode: shadow}`."""
    return {"mode": value} if isinstance(value, str) else value


@dataclass(frozen=True)
class Decided:
    """A mode, and every line that makes it so: none where nothing says anything but live.

    `canary` are the lines that let the first target go ahead of the others; they count where it is live.
    """

    lines: tuple[Line, ...] = ()
    canary: tuple[Line, ...] = ()

    @property
    def mode(self) -> Mode:
        """Shadow where any line says so."""
        return "shadow" if self.lines else "live"

    @property
    def why(self) -> str:
        """The first line that makes it shadow; empty where it is live."""
        return str(self.lines[0]) if self.lines else ""


@dataclass(frozen=True)
class Asked:
    """What a mode is asked for. `age` is how many seconds ago the playbook came into force first; none for never.

    A person is no playbook, and what he does is in the mode of the site, the integration and the capability.
    """

    playbook: str | None = None
    integration: str | None = None
    capability: str | None = None
    age: float | None = None


def decide(modes: Modes, new: NewPlaybooks, asked: Asked, line: LineOf) -> Decided:
    """The mode, by every line that has a say."""
    said = list(_said(modes, new, asked, line))
    shadow, canary = (tuple(one for word, one in said if word == wanted) for wanted in ("shadow", "canary"))
    return Decided(shadow, canary)


def _said(modes: Modes, new: NewPlaybooks, asked: Asked, line: LineOf) -> Iterator[tuple[Word, Line]]:
    """The word of each line that speaks of it, the widest first."""
    yield modes.site, line(("modes", "site"), f"modes.site: {modes.site}")
    for section, name in (
        ("integrations", asked.integration), ("playbooks", asked.playbook), ("capabilities", asked.capability),
    ):  # fmt: skip
        word = getattr(modes, section).get(name)
        if word is not None:
            yield word, line(("modes", section, str(name)), f"modes.{section}.{name}: {word}")
    if asked.playbook is not None and asked.playbook not in modes.playbooks and is_new(new, asked.age):
        yield new.mode, line(("new_playbooks",), _new(new, asked.playbook))


def is_new(new: NewPlaybooks, age: float | None) -> bool:
    """Whether a playbook that the policy does not name is in another mode than live for being new."""
    return new.mode != "live" and (new.for_ is None or age is None or age < new.for_.total_seconds())


def _new(new: NewPlaybooks, playbook: str) -> str:
    until = f" for {format_duration(new.for_.total_seconds())} after it came into force" if new.for_ else ""
    return f"new_playbooks: {new.mode}{until}, and modes.playbooks does not name {playbook}"


def check_modes(modes: Modes, new: NewPlaybooks, document: Document, known: Known) -> Iterator[Finding]:
    """Names that nobody knows, and lines that change nothing."""
    names: Mapping[str, Any] = MappingProxyType(
        {"integrations": known.integrations, "playbooks": known.playbooks, "capabilities": known.effects}
    )
    for section, kind in KINDS.items():
        for name, mode in getattr(modes, section).items():
            path: Path = ("modes", section, name)
            wrong = unknown(document, (*path, "@key"), kind, name, names[section])
            yield from wrong or _idle(modes, new, document, known, path, mode)
    if new.for_ is not None and new.mode == "live":
        yield no_effect(document, ("new_playbooks", "for"), "`for` says how long a new playbook is in shadow, and "
                        "`mode` is live", "remove it, or say `mode: shadow`")  # fmt: skip


def _idle(
    modes: Modes, new: NewPlaybooks, document: Document, known: Known, path: Path, mode: Word
) -> Iterator[Finding]:
    section, name = str(path[1]), str(path[2])
    if section == "capabilities" and not known.effects[name].mutates:
        yield no_effect(document, path, f"`{name}` only reads, and reads are in no mode", "remove the line")
    elif mode == "canary" and section == "capabilities" and not is_guarded(known.effects[name]):
        yield no_effect(document, path, f"`{name}` only adds something: there is no target to look at first",
                        "remove the line, or say shadow")  # fmt: skip
    elif mode != "live":
        if modes.site in ("shadow", mode):
            wide = f"the whole site is in {modes.site} by `modes.site`"
            yield no_effect(document, path, wide, "remove one of the two")
    elif section != "playbooks":
        yield no_effect(document, path, "live is what it is anyhow: of all lines the most restrictive counts",
                        "remove the line, or say shadow")  # fmt: skip
    elif modes.site == "shadow":
        yield no_effect(document, path, "never reached: the whole site is in shadow by `modes.site`",
                        "say `site: live`, or remove the line")  # fmt: skip
    elif name in known.shadow:
        yield no_effect(document, path, f"never reached: the file of {name} says `mode: shadow`, which counts",
                        "remove that from the playbook, or this line")  # fmt: skip

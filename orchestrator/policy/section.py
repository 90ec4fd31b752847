"""What the sections of a policy have in common: their form, and the line of the file that decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.contract import Effect
from orchestrator.errors import Finding, FindingLevel, Place
from orchestrator.language.wording import near
from orchestrator.language.yaml_reader import Document, Path

Mode = Literal["live", "shadow"]
Word = Literal["live", "canary", "shadow"]
"""what a line of the policy may say of a mode"""


class Section(BaseModel):
    """A part of the policy; frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Line:
    """What decided: words of the policy, and where they stand; without a place it is a default, or another file's."""

    says: str
    place: Place | None = None
    origin: str = "the default"

    def __str__(self) -> str:
        return f"{self.place.file}:{self.place.line}: {self.says}" if self.place else f"{self.origin}: {self.says}"


@dataclass(frozen=True)
class Known:
    """What a policy can name here. `effects` are the capabilities; a set that is None cannot be known from here.

    `shadow` are the playbooks whose own file says so, `lists` have their types, `groups` are those of who may
    approve, `calendars` the site's.
    """

    effects: Mapping[str, Effect]
    playbooks: Collection[str] | None = None
    integrations: Collection[str] | None = None
    shadow: Collection[str] = ()
    lists: Mapping[str, str] | None = None
    groups: Collection[str] | None = None
    calendars: Collection[str] | None = None


def unknown(document: Document, path: Path, kind: str, name: str, known: Collection[str] | None) -> list[Finding]:
    """The finding that nothing goes by this name, where that is so."""
    if known is None or name in known:
        return []
    hint = near(name, known) or f"known: {', '.join(sorted(known)) or 'none'}"
    return [Finding(document.place(path), f"unknown_{kind}", f"no {kind} is named `{name}` here", hint)]


def no_effect(document: Document, path: Path, message: str, hint: str) -> Finding:
    """The warning that a line changes nothing, whatever it was meant to do."""
    return Finding(document.place(path), "no_effect", message, hint, FindingLevel.WARNING)

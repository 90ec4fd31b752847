"""The wire formats of alerts: one file each, found by scanning this package.

A source says by which content it is recognised and turns a decoded record into an `Alert`, or says that it is none.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

from orchestrator.alerts.alert import Alert
from orchestrator.errors import DeadLetter, SettingsError


@dataclass(frozen=True)
class Origin:
    """Where a record came from: its place in Kafka and its bytes."""

    topic: str
    partition: int
    offset: int
    raw: bytes


@dataclass(frozen=True)
class NotAnAlert:
    """A record that its source sends beside its alerts, with the source's own word for it."""

    kind: str


class Source(Protocol):
    """A wire format. `decode` raises `DeadLetter` for what claims to be an alert and cannot be one."""

    name: str

    def recognises(self, decoded: Mapping[str, Any]) -> bool:
        """Whether a record is of this format, by its content."""
        ...

    def decode(self, decoded: dict[str, Any], origin: Origin) -> Alert | NotAnAlert:
        """The alert."""
        ...


@lru_cache(maxsize=1)
def all_sources() -> Mapping[str, Source]:
    """Every source by name."""
    sources: dict[str, Source] = {}
    for found in pkgutil.iter_modules(__path__, __name__ + "."):
        module: ModuleType = importlib.import_module(found.name)
        sources[module.source.name] = module.source
    return sources


def source_named(name: str) -> Source:
    """The source that the settings name for a topic."""
    known = all_sources()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise SettingsError(
            f"intake.sources: no source is named {name!r}; "
            + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")
        )
    return known[name]


def recognise(decoded: Mapping[str, Any]) -> Source:
    """The source whose format this is; raises `DeadLetter` where none knows it."""
    for source in all_sources().values():
        if source.recognises(decoded):
            return source
    raise DeadLetter("unknown_format", f"no source recognises it; known: {', '.join(all_sources())}")

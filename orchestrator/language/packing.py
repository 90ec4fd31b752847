"""Typed values as JSON and back, so that an address is still an address after a run went on elsewhere.

What JSON knows stays as it is; anything else is `{"$": kind, "v": ...}`. Models are known by the names of their
classes; the registry holds those that a playbook's values can be made of, and nothing else is ever made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability
from orchestrator.contract.values import NormalisedText, Severity
from orchestrator.errors import TocsinError
from orchestrator.language.outputs import Counts, all_routes_of

MARK = "$"


class NotPacked(TocsinError):
    """A value is not what `pack` made."""


class Packer:
    """Packs and unpacks values of these models."""

    def __init__(self, models: Iterable[type[BaseModel]]) -> None:
        self._models: dict[str, type[BaseModel]] = {}
        self._enums: dict[str, type[Enum]] = {}
        for model in models:
            self._add(model)

    def _add(self, kind: Any) -> None:
        for inner in get_args(kind):
            self._add(inner)
        if not isinstance(kind, type):
            return
        if issubclass(kind, Enum):
            self._enums[_name(kind)] = kind
        if issubclass(kind, BaseModel) and _name(kind) not in self._models:
            self._models[_name(kind)] = kind
            for field in kind.model_fields.values():
                self._add(field.annotation)

    def pack(self, value: Any) -> Any:
        """The value as JSON."""
        if isinstance(value, BaseModel):
            fields = {name: self.pack(getattr(value, name)) for name in type(value).model_fields}
            return {MARK: _name(type(value)), "v": {name: one for name, one in fields.items() if one is not None}}
        if isinstance(value, Mapping):
            packed = {str(name): self.pack(one) for name, one in value.items()}
            return {MARK: "object", "v": packed} if MARK in packed else packed
        if isinstance(value, list | tuple):
            return [self.pack(one) for one in value]
        return _packed_leaf(value)

    def unpack(self, packed: Any) -> Any:
        """The value again; raises `NotPacked` for what `pack` cannot have made."""
        if isinstance(packed, list):
            return [self.unpack(one) for one in packed]
        if not isinstance(packed, dict):
            return packed
        if MARK not in packed:
            return {name: self.unpack(one) for name, one in packed.items()}
        return self._marked(packed[MARK], packed.get("v"))

    def _marked(self, kind: Any, value: Any) -> Any:
        try:
            if kind == "object":
                return {name: self.unpack(one) for name, one in value.items()}
            if kind in _LEAVES:
                return _LEAVES[kind](value)
            if kind in self._models:
                fields = {name: self.unpack(one) for name, one in value.items()}
                return self._models[kind].model_validate(fields)
            return self._enums[kind](value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotPacked(f"a value of kind {str(kind)[:80]!r} cannot be read") from error


def packer_for(capabilities: Mapping[str, Capability[Any, Any]]) -> Packer:
    """A packer for all that a run's values can be."""
    return _packer(tuple(capabilities.values()))


@lru_cache(maxsize=8)
def _packer(capabilities: tuple[Capability[Any, Any], ...]) -> Packer:
    gives = [one.gives for one in capabilities]
    every = [all_routes_of(one) for one in capabilities if not one.effect.mutates]
    return Packer([Alert, Counts, *gives, *every])


def _name(kind: type[Any]) -> str:
    """The class with its file: two families may have a class of one name."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def _packed_leaf(value: Any) -> Any:
    if isinstance(value, NormalisedText):
        return {MARK: value.kind, "v": str(value)}
    if isinstance(value, datetime):
        return {MARK: "time", "v": value.isoformat()}
    if isinstance(value, timedelta):
        return {MARK: "duration", "v": value.total_seconds()}
    if isinstance(value, Severity):
        return {MARK: "severity", "v": str(value)}
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value, str) else {MARK: _name(type(value)), "v": value.value}
    if isinstance(value, str):
        return str(value)
    return value if isinstance(value, bool | int | float | None) else None


def _texts(kind: type[NormalisedText]) -> Iterable[type[NormalisedText]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _texts(below)


_LEAVES: Mapping[str, Any] = {
    **{kind.kind: kind.parse for kind in _texts(NormalisedText)},
    "time": datetime.fromisoformat,
    "duration": lambda seconds: timedelta(seconds=seconds),
    "severity": Severity.parse,
}

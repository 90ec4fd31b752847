"""What the rule of a filter or test sees: the types that it is given where it is used, and a way to say mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.language.expressions.kinds import (
    ABSENT,
    LOOSE,
    UNKNOWN,
    Const,
    Kind,
    ListOf,
    MapOf,
    Model,
    Nothing,
    Record,
    Type,
    Unknown,
    as_type,
    constant,
    fields_of,
    is_number,
    is_of,
    is_text,
    near,
    of,
    said,
    union,
    words_of,
)
from orchestrator.language.expressions.relations import Mismatch, equality

Say = Callable[[str, str], None]
"""Takes a mistake and the likely fix."""


@dataclass(frozen=True)
class Use:
    """One place where a filter or test is used. `value` and `arguments` are the types where there is a value.

    `literals` are the arguments that stand in the source, None for those that do not. `applied` checks the test that an
    argument names, on a type, with the arguments that follow it. `shown` is what messages call the value.
    """

    value: Type
    arguments: tuple[Type, ...]
    literals: tuple[Any, ...]
    say: Say
    applied: Callable[[int, Type], None]
    shown: str = "the list"

    @property
    def an_item(self) -> str:
        """What messages call one of its items."""
        return f"an item of {self.shown}"

    def told(self, mismatch: Mismatch | None, subject: str) -> None:
        """Say the mismatch, if there is one."""
        if mismatch is not None:
            self.say(mismatch.about(subject), mismatch.hint)

    def looked_for(self, value: Type, items: Type, subject: str) -> None:
        """Say what of these items can never be the value; each literal among them is meant to be found."""
        literals = [Type((kind,)) for kind in items.kinds if isinstance(kind, Const)]
        wrong = [one for one in literals if equality(value, one) is not None]
        for one in wrong or [items]:
            self.told(equality(value, one), subject)

    def item_at(self, path: str) -> Type:
        """The type of what a dotted path names in each item; says where an item has no such field."""
        return reached(self.value.item, path, self.say, self.an_item)


Rule = Callable[[Use], Type]
"""From where it is used to the type of what it gives."""


def reached(base: Type, path: str, say: Say, of: str = "the value") -> Type:
    """The type of what a dotted path names; a number in it is a place of a list."""
    names = path.split(".")
    for depth, name in enumerate(names):
        shown = ".".join(names[:depth]) or of
        place = name.isascii() and name.isdigit() and any(isinstance(kind, ListOf) for kind in base.kinds)
        base = field_of(base, constant(int(name) if place else name), say, shown)
    return base


def field_of(base: Type, key: Type, say: Say, shown: str) -> Type:
    """The type of the field or item of a value; says what surely fails, with `shown` for the value."""
    if not base.kinds:
        return UNKNOWN
    absent = ABSENT.kinds if key.lacks else ()
    return of(*(kind for one in base.kinds for kind in _field(one, key.there, say, shown).kinds), *absent)


def _field(base: Kind, key: Type, say: Say, shown: str) -> Type:
    if isinstance(base, Nothing):
        return Type((base,)) if base.how == "raised" else ABSENT
    if isinstance(base, Unknown):
        return LOOSE | ABSENT if base.loose else UNKNOWN
    if isinstance(base, ListOf):
        return _place(base, key, say, shown)
    if isinstance(base, MapOf | Record | Model):
        return _named(base, key, say, shown)
    words = [repr(kind.value) for kind in key.kinds if isinstance(kind, Const)]
    say(f"{shown} is {said(base)}, which has no {f'field {words[0]}' if words else 'fields'}", "")
    return UNKNOWN


def _place(base: ListOf, key: Type, say: Say, shown: str) -> Type:
    if key.unknown or all(is_number(kind) and is_of(kind, int) for kind in key.kinds):
        return base.item | ABSENT
    word = next((kind.value for kind in key.kinds if isinstance(kind, Const)), "")
    fields = _names(base.item)
    map_it = f'take it of each with `| map("{word}")`' if word in fields else "take one with [0] or `| first`"
    say(f"{shown} is a list: it has places, not fields", map_it)
    return UNKNOWN


def _names(kind: Type) -> list[str]:
    """The names of the fields that a type surely has."""
    names: list[str] = []
    for one in kind.kinds:
        names += fields_of(one.cls) if isinstance(one, Model) else one.fields if isinstance(one, Record) else ()
    return names


def _named(base: MapOf | Record | Model, key: Type, say: Say, shown: str) -> Type:
    if key.unknown:
        return UNKNOWN
    if not all(is_text(kind) for kind in key.kinds):
        say(f"the name of a field of {shown} is text, found {said(key)}", "")
        return UNKNOWN
    return union(_one_named(base, kind, say, shown) for kind in key.kinds)


def _one_named(base: MapOf | Record | Model, key: Kind, say: Say, shown: str) -> Type:
    if isinstance(base, MapOf):
        return base.value | ABSENT
    fields = fields_of(base.cls) if isinstance(base, Model) else base.fields
    if isinstance(key, Const):
        if key.value in fields:
            return as_type(fields[key.value])
        known = f"known: {', '.join(sorted(fields)[:12])}" if fields else "there is none here yet"
        prefix = f"{shown}." if " " not in shown else ""
        say(f"{shown} has no field {key.value!r}", near(key.value, fields, prefix) or known)
        return UNKNOWN
    words = words_of(key)
    if words is not None and (isinstance(base, Record) or set(words) <= set(fields)):
        return union(as_type(fields[word]) if word in fields else ABSENT for word in words)
    if isinstance(base, Model):
        say(f"the fields of {shown} are named in the playbook, not by data", "write its name, or a choice of literals")
        return UNKNOWN
    return union(as_type(annotation) for annotation in fields.values()) | ABSENT

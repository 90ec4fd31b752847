"""What a value can be, before it is known: the kinds of value that expressions tell apart, read from annotations."""

from __future__ import annotations

import difflib
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orchestrator.contract.values import NormalisedText, Severity

WORDS = 24
"""how many single values a type lists before it is only their kind"""


@dataclass(frozen=True)
class Unknown:
    """What nobody can know. Below an original (`loose`) any field may be absent as well."""

    loose: bool = False


@dataclass(frozen=True)
class Nothing:
    """No value: none in a field, no field at all, or an absence that ends the evaluation of a parameter at once."""

    how: Literal["none", "absent", "raised"]


@dataclass(frozen=True)
class Scalar:
    """A value of a class, within what its field allows."""

    cls: type[Any]
    low: float | None = None
    high: float | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Const:
    """One value that is known."""

    cls: type[Any]
    value: Any


@dataclass(frozen=True)
class ListOf:
    """A list whose items are of a type."""

    item: Type


@dataclass(frozen=True)
class MapOf:
    """An object whose names are data and whose values are of a type."""

    value: Type


@dataclass(frozen=True, eq=False)
class Record:
    """An object whose names are known, each with its annotation."""

    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """An object of a pydantic model."""

    cls: type[BaseModel]


Kind = Unknown | Nothing | Scalar | Const | ListOf | MapOf | Record | Model


@dataclass(frozen=True)
class Type:
    """All kinds of value that something may have; none at all where there never is one, as in an empty list."""

    kinds: tuple[Kind, ...] = ()

    def __or__(self, other: Type) -> Type:
        return of(*self.kinds, *other.kinds)

    @property
    def there(self) -> Type:
        """The type of the value where there is one."""
        return Type(tuple(kind for kind in self.kinds if not isinstance(kind, Nothing)))

    @property
    def lacks(self) -> frozenset[str]:
        """The ways in which there may be no value; empty if it is surely there."""
        return frozenset(kind.how for kind in self.kinds if isinstance(kind, Nothing))

    @property
    def unknown(self) -> bool:
        """Whether nobody can know what it is."""
        return any(isinstance(kind, Unknown) for kind in self.kinds)

    @property
    def item(self) -> Type:
        """The type of the items, of what is a list."""
        if self.unknown:
            return UNKNOWN
        return union(kind.item for kind in self.kinds if isinstance(kind, ListOf))


def of(*kinds: Kind) -> Type:
    """The type that has these kinds, each once; too many single values count as their kind."""
    consts = [kind for kind in kinds if isinstance(kind, Const)]
    if len(consts) > WORDS:
        kinds = tuple(Scalar(kind.cls) if isinstance(kind, Const) else kind for kind in kinds)
    return Type(tuple(dict.fromkeys(kinds)))


def union(many: Iterable[Type]) -> Type:
    """Whatever one of these may be."""
    return of(*(kind for one in many for kind in one.kinds))


def list_of(item: Type) -> Type:
    """A list of these."""
    return Type((ListOf(item),))


UNKNOWN = Type((Unknown(),))
LOOSE = Type((Unknown(loose=True),))
NONE = Type((Nothing("none"),))
ABSENT = Type((Nothing("absent"),))
RAISED = Type((Nothing("raised"),))
TEXT, TRUTH, INTEGER = (Type((Scalar(cls),)) for cls in (str, bool, int))
NUMBER = Type((Scalar(int), Scalar(float)))


def constant(value: Any) -> Type:
    """The type of a value that stands in the source."""
    if value is None:
        return NONE
    return Type((Const(type(value), value),))


def as_type(annotation: Any) -> Type:
    """What an annotation, a model, a nested scope or a field of a model says; a type is itself."""
    if isinstance(annotation, Type):
        return annotation
    if isinstance(annotation, Mapping):
        return Type((Record(annotation),))
    if isinstance(annotation, FieldInfo):
        return narrowed(as_type(annotation.annotation), annotation.metadata)
    try:
        return _of_annotation(annotation)
    except TypeError:  # what stands in an Annotated need not be hashable
        return _of_annotation.__wrapped__(annotation)


@lru_cache(maxsize=4_096)
def _of_annotation(annotation: Any) -> Type:
    if annotation is None or annotation is type(None):
        return NONE
    if annotation is Any:  # a class since Python 3.11
        return UNKNOWN
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return narrowed(as_type(arguments[0]), arguments[1:])
    if origin in (Union, types.UnionType):
        return union(as_type(one) for one in arguments)
    if origin is Literal:
        return union(constant(one.value if isinstance(one, Enum) else one) for one in arguments)
    if isinstance(origin, type):
        return _generic(origin, arguments)
    return _of_class(annotation) if isinstance(annotation, type) else _named(annotation)


def _generic(origin: type[Any], arguments: tuple[Any, ...]) -> Type:
    if issubclass(origin, Mapping):
        return Type((MapOf(_loosely(arguments[1] if len(arguments) > 1 else Any)),))
    if issubclass(origin, Collection):
        return list_of(union(_loosely(one) for one in arguments if one is not Ellipsis))
    return _of_class(origin)


def _of_class(cls: type[Any]) -> Type:
    if cls is object:
        return UNKNOWN
    if issubclass(cls, BaseModel):
        return Type((Model(cls),))
    if issubclass(cls, list | tuple | set | frozenset | Mapping):
        return _generic(cls, (Any, Any) if issubclass(cls, Mapping) else (Any,))
    return Type((Scalar(cls),))


def _named(annotation: Any) -> Type:
    """A name for another annotation; anything else is for nobody to know."""
    inner = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
    return UNKNOWN if inner is None else as_type(inner)


def _loosely(annotation: Any) -> Type:
    """The inside of a list or object that may be anything: an original, or what somebody else answered."""
    return LOOSE if annotation is Any else as_type(annotation)


def narrowed(kind: Type, rules: Iterable[Any]) -> Type:
    """The type within the bounds and the pattern that stand beside an annotation."""
    bounds: dict[str, Any] = {}
    for rule in _each(rules):
        for mine, theirs in (("low", "ge"), ("low", "gt"), ("high", "le"), ("high", "lt"), ("pattern", "pattern")):
            value = getattr(rule, theirs, None)
            if isinstance(value, str if mine == "pattern" else int | float):
                bounds[mine] = value
    if not bounds:
        return kind
    return Type(tuple(replace(one, **bounds) if isinstance(one, Scalar) else one for one in kind.kinds))


def _each(rules: Iterable[Any]) -> Iterable[Any]:
    for rule in rules:
        yield from rule.metadata if isinstance(rule, FieldInfo) else (rule,)


@lru_cache(maxsize=1_024)
def fields_of(model: type[BaseModel]) -> Mapping[str, Type]:
    """The fields of a model with their types."""
    return {name: as_type(info) for name, info in model.model_fields.items()}


def is_text(kind: Kind) -> TypeGuard[Scalar | Const]:
    """Whether values of this kind are text: also a choice of words, and text with a meaning."""
    return isinstance(kind, Scalar | Const) and issubclass(kind.cls, str)


def is_number(kind: Kind) -> TypeGuard[Scalar | Const]:
    """Whether values of this kind can be counted with; a truth value cannot."""
    return isinstance(kind, Scalar | Const) and issubclass(kind.cls, int | float) and not issubclass(kind.cls, bool)


def is_of(kind: Kind, *classes: type[Any]) -> TypeGuard[Scalar | Const]:
    """Whether values of this kind are of one of the classes."""
    return isinstance(kind, Scalar | Const) and issubclass(kind.cls, classes)


def words_of(kind: Kind) -> tuple[str, ...] | None:
    """The words of a choice, or the one that stands there; None for any other kind."""
    if isinstance(kind, Const):
        return (kind.value,) if isinstance(kind.value, str) else None
    if isinstance(kind, Scalar) and issubclass(kind.cls, Enum):
        return tuple(str(one.value) for one in kind.cls)
    return None


def near(word: str, known: Iterable[str], shown: str = "") -> str:
    """The hint that has the nearest right word, `shown` before it; empty where none is near."""
    found = difflib.get_close_matches(word, known, n=1) or difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {shown}{found[0]}?" if found else ""


_TYPED = {"ip": "an IP address", "host": "a host name", "mail": "a mail address"}
_NAMES: tuple[tuple[type[Any], str], ...] = (
    (bool, "a truth value"),
    (Severity, "a severity"),
    (int, "a whole number"),
    (float, "a number"),
    (datetime, "a time"),
    (timedelta, "a duration"),
)


def said(kind: Type | Kind) -> str:
    """A type in the words of the documentation: `text`, `a list of numbers or nothing`."""
    if isinstance(kind, Type):
        return " or ".join(dict.fromkeys(said(one) for one in _merged(kind.kinds))) or "nothing"
    if isinstance(kind, Const):
        return repr(kind.value) if isinstance(kind.value, str) else str(kind.value).lower()
    if isinstance(kind, Scalar):
        return _said_of_class(kind.cls)
    if isinstance(kind, ListOf):
        return "a list" if kind.item.unknown or not kind.item.kinds else f"a list of {_many(said(kind.item))}"
    if isinstance(kind, Model):
        return f"an object ({kind.cls.__name__})"
    return "nothing" if isinstance(kind, Nothing) else "anything" if isinstance(kind, Unknown) else "an object"


def _many(name: str) -> str:
    """`a severity` as `severities`."""
    article, _, noun = name.partition(" ")
    if noun.startswith("object"):
        return noun.replace("object", "objects", 1)
    if article not in ("a", "an") or " or " in noun or " of " in noun:
        return name
    return noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun.endswith("s") else "s")


def _merged(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Any number, where a whole one and any other may be."""
    both = any(is_of(kind, float) for kind in kinds)
    return tuple(Scalar(float) if both and kind == Scalar(int) else kind for kind in kinds)


def _said_of_class(cls: type[Any]) -> str:
    if issubclass(cls, NormalisedText):
        return _TYPED.get(cls.kind, f"{'an' if cls.kind[0] in 'aeiou' else 'a'} {cls.kind}")
    if issubclass(cls, Enum) and cls is not Severity:
        return f"one of {', '.join(str(one.value) for one in cls)}"
    if issubclass(cls, str):
        return "text"
    return next((name for known, name in _NAMES if issubclass(cls, known)), cls.__name__)

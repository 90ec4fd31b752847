"""Whether a value may stand where a type is wanted: what a filter takes, what a parameter is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from orchestrator.contract.values import IpAddress, Network, NormalisedText, Severity
from orchestrator.language.expressions.kinds import (
    Const,
    Kind,
    ListOf,
    MapOf,
    Model,
    Record,
    Scalar,
    Type,
    Unknown,
    as_type,
    fields_of,
    is_number,
    is_of,
    is_text,
    near,
    said,
    words_of,
)
from orchestrator.language.expressions.relations import APART, Mismatch, against, bounds, parsed, range_of


def unfit(wanted: Type, given: Type, *, rendered: bool = False) -> Mismatch | None:
    """Why a value may not be given where another type is wanted.

    `rendered` values are those of parameters: they travel as JSON and are read again, so that a time fits a text.
    """
    if wanted.unknown:
        return None
    for kind in given.there.kinds:
        found = [_unfit(one, kind, rendered=rendered) for one in wanted.there.kinds]
        wrong = [one for one in found if one is not None]
        if found and len(wrong) == len(found) and not isinstance(kind, Unknown):
            hint = next((one.hint for one in wrong if one.hint), "")
            return wrong[0] if len(wrong) == 1 else Mismatch(f"{said(kind)} is not {said(wanted.there)}", hint)
    return None


def _unfit(wanted: Kind, given: Kind, *, rendered: bool) -> Mismatch | None:
    if isinstance(wanted, ListOf):
        if isinstance(given, ListOf):
            return unfit(wanted.item, given.item, rendered=rendered)
    elif isinstance(wanted, MapOf):
        if isinstance(given, MapOf | Record) or (rendered and isinstance(given, Model)):
            return _values_unfit(wanted.value, given, rendered=rendered)
    elif isinstance(wanted, Model):
        if isinstance(given, Model) and issubclass(given.cls, wanted.cls):
            return None
        if rendered and isinstance(given, Model | Record | MapOf):
            return _object_unfit(wanted, given, rendered=rendered)
    elif isinstance(wanted, Record):
        if isinstance(given, Record | MapOf):
            return _object_unfit(wanted, given, rendered=rendered)
    elif isinstance(wanted, Scalar | Const) and isinstance(given, Scalar | Const):
        return _scalar_unfit(wanted, given, rendered=rendered)
    return Mismatch(f"{said(given)} is not {said(wanted)}", _remedy(wanted, given))


def _values_unfit(wanted: Type, given: MapOf | Record | Model, *, rendered: bool) -> Mismatch | None:
    values = [given.value] if isinstance(given, MapOf) else list(_known_fields(given).values())
    return next((found for one in values if (found := unfit(wanted, one, rendered=rendered))), None)


def _known_fields(kind: Record | Model) -> dict[str, Type]:
    if isinstance(kind, Model):
        return dict(fields_of(kind.cls))
    return {name: as_type(annotation) for name, annotation in kind.fields.items()}


def _object_unfit(wanted: Model | Record, given: Model | Record | MapOf, *, rendered: bool) -> Mismatch | None:
    if isinstance(given, MapOf):
        return None
    fields, mine = _known_fields(wanted), _known_fields(given)
    for name, value in mine.items():
        if name not in fields and _is_closed(wanted):
            return Mismatch(f"{said(wanted)} has no field {name!r}", near(name, fields))
        mismatch = unfit(fields[name], value, rendered=rendered) if name in fields else None
        if mismatch is not None:
            return Mismatch(f"{name}: {mismatch.reason}", mismatch.hint)
    needed = [name for name in _needed(wanted) if name not in mine]
    return Mismatch(f"{said(wanted)} needs {', '.join(needed)}") if needed else None


def _is_closed(kind: Model | Record) -> bool:
    return isinstance(kind, Record) or kind.cls.model_config.get("extra") == "forbid"


def _needed(kind: Model | Record) -> list[str]:
    if isinstance(kind, Model):
        return [name for name, info in kind.cls.model_fields.items() if info.is_required()]
    return [name for name, found in _known_fields(kind).items() if not found.lacks]


def _scalar_unfit(wanted: Scalar | Const, given: Scalar | Const, *, rendered: bool) -> Mismatch | None:
    reason: str | None = None
    if is_text(wanted) and is_text(given):
        reason = _text_unfit(wanted, given)
    elif is_number(given) and (is_number(wanted) or wanted.cls is float):
        reason = _number_unfit(wanted, given)
    elif is_of(given, bool) or is_of(wanted, bool):
        reason = None if is_of(given, bool) and is_of(wanted, bool) else ""
    elif not (issubclass(given.cls, wanted.cls) or (rendered and _travels(wanted, given))):
        reason = _word_unfit(given) if rendered and is_of(wanted, Severity) and is_text(given) else ""
    if reason is None:
        return None
    return Mismatch(reason or f"{said(given)} is not {said(wanted)}", _remedy(wanted, given))


def _text_unfit(wanted: Scalar | Const, given: Scalar | Const) -> str | None:
    """None where the text may fit; the reason, or no particular one, where it cannot."""
    words, mine = words_of(wanted), words_of(given)
    if words is not None and mine is not None:
        return None if set(words) & set(mine) else f"{said(given)} is not {said(wanted)}"
    if isinstance(given, Const) and isinstance(wanted, Scalar):
        reason = parsed(wanted.cls, given.value) if is_of(wanted, NormalisedText) else against(wanted, given)
        return reason or None
    if is_of(wanted, NormalisedText) and is_of(given, NormalisedText):
        return "" if _is_no(given.cls, wanted.cls) else None
    return None


def _is_no(given: type[Any], wanted: type[Any]) -> bool:
    """Whether a text with one meaning has surely not the other. An address is a network of one."""
    if given is wanted or (given is IpAddress and wanted is Network):
        return False
    return wanted in APART and (given in APART or given.kind == "domain")


def _number_unfit(wanted: Scalar | Const, given: Scalar | Const) -> str | None:
    if issubclass(wanted.cls, int) and issubclass(given.cls, float):
        return ""
    (low, high), (least, most) = range_of(wanted), range_of(given)
    return f"{bounds(given)} is not {bounds(wanted)}" if low > most or least > high else None


def _word_unfit(given: Scalar | Const) -> str | None:
    """Text for a severity: it may be the name of one."""
    for word in words_of(given) or ():
        if parsed(Severity, word):
            return f"{word!r} is not a severity"
    return None


def _travels(wanted: Scalar | Const, given: Scalar | Const) -> bool:
    """Whether a value fits once it was written as JSON and read again."""
    if is_of(given, Severity):
        return is_text(wanted)
    if is_of(given, datetime):
        return wanted.cls is str or issubclass(wanted.cls, datetime)
    if is_of(given, timedelta):
        return wanted.cls is float
    return is_text(given) and issubclass(wanted.cls, date | time | timedelta | UUID)


def _remedy(wanted: Kind, given: Kind) -> str:
    """What an author can write instead."""
    if is_text(wanted) and wanted.cls is str and isinstance(given, Scalar | Const):
        return "`| string` says it as text"
    if is_of(wanted, int) and is_of(given, float):
        return "`| round` makes it whole"
    if is_number(wanted) and is_text(given):
        return "`| int` reads it as a number"
    if isinstance(given, ListOf) and not isinstance(wanted, ListOf):
        return "`| first` takes one of them"
    if isinstance(wanted, ListOf) and not isinstance(given, ListOf):
        return "write it in brackets: [x]"
    return ""

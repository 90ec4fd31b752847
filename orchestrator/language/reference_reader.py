"""Read a list or a calendar from the text of its file: every mistake at once, each with its place."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from orchestrator.contract.values import IpAddress
from orchestrator.errors import FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.calendars import Calendar, Span, Weekday, ZoneName, zone_names
from orchestrator.language.durations import parse_duration
from orchestrator.language.never_touch import TYPES
from orchestrator.language.reference import ListType, ReferenceList
from orchestrator.language.yaml_reader import Document, read_yaml

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}\.(txt|json)")
SAID = re.compile(r"^[ \t\"']*never[\w -]*[\"']?[ \t]*:(?![ \t]*false\b)", re.MULTILINE)
TYPE_SAID = re.compile(r"^type[ \t]*:[ \t]*[\"']?([a-z]+)", re.MULTILINE)
WARNINGLIST = {"cidr": ("ip", "network"), "hostname": ("domain", "host"), "string": None}
"""the types of MISP's warninglists that can be read, and the types of list that each can be"""
MOST_ALIKE = 20
"""findings of one kind in one file that are told one by one"""

D = TypeVar("D", bound="ReferenceDocument")
Kind = Literal["lists", "calendars"]
Beside = Callable[[str], str]
"""Gives the text of the file of this name beside a list's own; raises `ValueError` with the reason."""


class Day(StrEnum):
    """A day of the week as calendars write it, in the order of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


WEEK = dict(zip(Day, Weekday, strict=True))


def _split(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or text.count("-") != 1:
        raise ValueError(f"{text!r} is not a span of time; write it as 09:00-17:00")
    return tuple(part.strip() for part in text.split("-"))


def _day(text: object) -> date:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"{text!r} is not a day; write it as 2026-12-25")
    return date.fromisoformat(text)


def _file_name(text: object) -> object:
    if isinstance(text, str) and not FILE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the name of a file beside the list; write it as feed.txt, or of a warninglist, feed.json"
        )
    return text


class ReferenceDocument(BaseModel):
    """What lists and calendars have in common; an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=200)]


class ListDocument(ReferenceDocument):
    """A list as a site writes it: entries here, or one a line in a file beside it, or both."""

    type: ListType
    entries: list[Any] | None = None
    file: Annotated[str, BeforeValidator(_file_name)] | None = None
    max_age: Annotated[Any, BeforeValidator(parse_duration)] = None
    writable: StrictBool = False
    never_touch: StrictBool = False


class CalendarDocument(ReferenceDocument):
    """A calendar as a site writes it."""

    tz: ZoneName
    hours: dict[Day, list[Annotated[Span, BeforeValidator(_split)]]]
    holidays: Annotated[list[Annotated[date, BeforeValidator(_day)]], Field(max_length=1_000)] = []


@dataclass(frozen=True)
class Parsed:
    """A list or calendar that was read; no value where there are errors among the findings.

    `never_touch` and `type` are what the file says of itself, also where it is wrong otherwise; `never_touch` is None
    where nothing of it can be read.
    """

    title: str
    value: ReferenceList | Calendar | None
    findings: tuple[Finding, ...] = ()
    never_touch: bool | None = False
    type: str | None = None


def parse_reference(kind: Kind, name: str, text: str, file: str, beside: Beside) -> Parsed:
    """The list or calendar that a file holds, with all that is wrong with it."""
    return with_its_word(kind, text, _parse(kind, name, text, file, beside))


def with_its_word(kind: Kind, text: str, parsed: Parsed) -> Parsed:
    """What was read, with what the text says of itself; where it cannot be read as YAML, as far as its lines show."""
    if isinstance(parsed.value, ReferenceList):
        return replace(parsed, never_touch=parsed.value.never_touch, type=parsed.value.type.value)
    said = TYPE_SAID.search(text)
    known = said[1] if said and said[1] in TYPES else None
    return replace(parsed, never_touch=kind == "lists" and SAID.search(text) is not None, type=known)


def _parse(kind: Kind, name: str, text: str, file: str, beside: Beside) -> Parsed:
    if not NAME.fullmatch(name):
        message = f"{name!r} cannot be a name in expressions: small letters, digits and _, at most 63"
        return Parsed("", None, (Finding(Place(file, 1), "name", message, "rename the file"),))
    try:
        document = read_yaml(text, file)
    except FilesRefused as refused:
        return Parsed("", None, _few(map(_with_way_out, refused.findings)))
    if not isinstance(document.data, dict):
        keys = "title, type and entries" if kind == "lists" else "title, tz and hours"
        message = f"{'a list' if kind == 'lists' else 'a calendar'} is a mapping with {keys}"
        return Parsed("", None, (Finding(document.place(()), "shape", message),))
    return _parse_list(document, beside) if kind == "lists" else _parse_calendar(document)


def _with_way_out(finding: Finding) -> Finding:
    large = finding.code in ("too_large", "too_deep")
    return replace(finding, hint="put the entries into a `file` beside it, one a line") if large else finding


def _parse_list(document: Document, beside: Beside) -> Parsed:
    model, findings = _model(document, ListDocument)
    entries: tuple[str, ...] = ()
    if document.data.get("type") in list(ListType):
        reader = _Entries(document, beside)
        entries = reader.read()
        findings += reader.findings
    if model is not None and model.never_touch and not _refused(findings):
        findings += _unfit_to_guard(document, model, entries)
    if model is None or _refused(findings):
        return Parsed(_title(document), None, _few(findings))
    made = ReferenceList(model.type, entries, model.max_age, model.writable, model.never_touch)
    return Parsed(model.title, made, _few(findings))


def _unfit_to_guard(document: Document, model: ListDocument, entries: tuple[str, ...]) -> Iterator[Finding]:
    """Why a list cannot be one of what must never be touched."""
    place = document.place(("never_touch",))
    if model.type not in TYPES:
        message = f"nothing that is acted upon is a {model.type}, so a list of them guards nothing"
        yield Finding(document.place(("type",)), "never_touch", message, f"known: {', '.join(TYPES)}")
    if model.writable:
        hint = "remove `writable`"
        yield Finding(place, "never_touch", "what must never be touched is not for playbooks to write", hint)
    if not entries:
        hint = "list what it is for, or remove the file"
        yield Finding(place, "never_touch", "a never-touch list without entries guards nothing", hint)


class _Entries:
    """Gathers the entries of a list, each once, from its own file and from the one beside it."""

    def __init__(self, document: Document, beside: Beside) -> None:
        self.findings: list[Finding] = []
        self._document = document
        self._beside = beside
        self._type = ListType(document.data["type"])
        self._first: dict[str, Place] = {}

    def read(self) -> tuple[str, ...]:
        """The values, in the order of the files."""
        data = self._document.data
        here, file = data.get("entries"), data.get("file")
        if here is None and file is None:
            self._say(self._document.place(()), "missing_key", "`entries` is missing", "or name a `file` of them")
        for index, raw in enumerate(here if isinstance(here, list) else ()):
            self._add(raw, self._document.place(("entries", index)))
        if isinstance(file, str) and FILE.fullmatch(file):
            self._read_beside(file, may_be_empty=isinstance(here, list))
        return tuple(self._first)

    def _read_beside(self, name: str, *, may_be_empty: bool) -> None:
        place = self._document.place(("file",))
        try:
            where_it_is = str(PurePath(self._document.file).with_name(name))
            read = partial(_warninglist, kind=self._type) if name.endswith(".json") else _lines
            lines = list(read(self._beside(name), where_it_is))
        except ValueError as error:
            self._say(place, "unreadable", f"{name} {error}")
            return
        for where, entry in lines:
            self._add(entry, where)
        if not lines and not may_be_empty:
            hint = "a download that failed looks like this; a list that shall be empty says `entries: []`"
            self._say(place, "empty", f"{name} holds no entries", hint)

    def _add(self, raw: object, place: Place) -> None:
        try:
            value = self._type.entry(raw)
        except ValueError as error:
            self._say(place, "entry", str(error), _likely(self._type, raw))
            return
        first = self._first.setdefault(value, place)
        if first is not place:
            same = f"`{raw}` is" if raw == value else f"`{raw}` is `{value}`, which is"
            self._say(place, "duplicate", f"{same} in the list already: {first}", level=FindingLevel.WARNING)
        elif self._type is ListType.NETWORK and _more_than_said(str(raw), value):
            hint = "write it so, or leave out what follows the slash to mean the one address"
            self._say(place, "host_bits", f"`{raw}` is the whole of {value}", hint, FindingLevel.WARNING)

    def _say(
        self, place: Place, code: str, message: str, hint: str = "", level: FindingLevel = FindingLevel.ERROR
    ) -> None:
        self.findings.append(Finding(place, code, message, hint, level))


def _lines(text: str, file: str) -> Iterator[tuple[Place, str]]:
    """The entries of a file with one a line; `#` at the beginning or after a blank begins a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if entry:
            yield Place(file, number), entry


def _warninglist(text: str, file: str, *, kind: ListType) -> Iterator[tuple[Place, str]]:
    """The entries of a warninglist of MISP; raises `ValueError` where it is none, or compares as no list here does."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON; a download that failed looks like this") from None
    entries = document.get("list") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("is no warninglist of MISP: those have a `list` of texts and a `type`")
    matching = document.get("type")
    if matching not in WARNINGLIST:
        raise ValueError(f"matches by `{matching}`, and lists here by whole values: {', '.join(WARNINGLIST)}")
    fitting = WARNINGLIST[matching]
    if fitting and kind not in fitting:
        raise ValueError(f"holds `{matching}`; the list that names it has `type: {fitting[-1]}`")
    return _placed(text, file, entries, kind)


def _placed(text: str, file: str, entries: list[str], kind: ListType) -> Iterator[tuple[Place, str]]:
    """Each entry once, with its line. Before a domain, a point means all that lies below it."""
    at, line = max(text.find('"list"'), 0), 1
    line += text.count("\n", 0, at)
    told: set[str] = set()
    for entry in entries:
        found = text.find(json.dumps(entry, ensure_ascii=False), at)
        line, at = (line + text.count("\n", at, found), found) if found >= 0 else (line, at)
        name = entry.lstrip(".") if kind is ListType.DOMAIN else entry
        if name not in told:
            yield Place(file, line), name
        told.add(name)


def _more_than_said(raw: str, network: str) -> bool:
    """Whether a network was written with bits behind its prefix: `10.1.2.3/8`."""
    address, slash, _ = raw.partition("/")
    return bool(slash) and IpAddress.normalise(address) != network.partition("/")[0]


def _likely(kind: ListType, raw: object) -> str:
    text = str(raw)
    if kind is ListType.IP and "/" in text:
        return "a list of networks has `type: network`"
    if kind in (ListType.DOMAIN, ListType.HOST) and "/" in text:
        return "write the name alone"
    return "every domain below a name has to be listed" if kind is ListType.DOMAIN and "*" in text else ""


def _parse_calendar(document: Document) -> Parsed:
    model, findings = _model(document, CalendarDocument)
    if model is None:
        return Parsed(_title(document), None, _few(findings))
    calendar = calendar_of(model)
    if not any(calendar.hours.values()):
        place = document.place(("hours",))
        findings.append(
            Finding(place, "never_open", "`hours` says of no day when it is open", level=FindingLevel.WARNING)
        )
    return Parsed(model.title, calendar, _few(findings))


def calendar_of(document: CalendarDocument) -> Calendar:
    """The calendar that a site, or a test, writes so."""
    hours = {WEEK[day]: tuple(spans) for day, spans in document.hours.items()}
    return Calendar(tz=document.tz, hours=hours, holidays=tuple(document.holidays))


def _model(document: Document, model: type[D]) -> tuple[D | None, list[Finding]]:
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        told = (_told(one["type"], one["loc"], one["msg"], document, model) for one in error.errors(include_url=False))
        return None, list(dict.fromkeys(told))


def _told(kind: str, loc: tuple[int | str, ...], message: str, document: Document, model: type[D]) -> Finding:
    """A complaint of the model in the words of an author."""
    of_key = kind == "extra_forbidden" or loc[-1] == "[key]"
    path = tuple(part for part in loc if part != "[key]")
    name = str(path[-1] if isinstance(path[-1], str) else path[0])
    place = document.place((*path, "@key") if of_key else path)
    if kind == "missing":
        return Finding(place, "missing_key", f"`{name}` is missing")
    if of_key:
        keys: Iterable[str] = model.model_fields if kind == "extra_forbidden" else Day
        return Finding(place, "unknown_key", f"no key `{name}` here", _nearest(name, keys))
    words: dict[str, Iterable[str]] = {"type": ListType, "tz": zone_names()}
    hint = _nearest(str(document.data[name]), words[name]) if name in words else ""
    if kind == "list_type":
        hint = "put it in [ ]"
    return Finding(place, "value", f"`{name}`: {message.removeprefix('Value error, ')}", hint)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def _title(document: Document) -> str:
    title = document.data.get("title")
    return title if isinstance(title, str) else ""


def _refused(findings: Iterable[Finding]) -> bool:
    return any(finding.level is FindingLevel.ERROR for finding in findings)


def _few(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings in the order of the file; of very many alike the first ones, and how many more there are."""
    told: list[Finding] = []
    seen: Counter[tuple[str, str]] = Counter()
    more: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        alike = (finding.place.file, finding.code)
        seen[alike] += 1
        if seen[alike] <= MOST_ALIKE:
            told.append(finding)
        else:
            more.setdefault(alike, finding)
    for alike, finding in more.items():
        message = f"{seen[alike] - MOST_ALIKE:,} more like these, from here on"
        told.append(replace(finding, message=message, hint=""))
    return tuple(sorted(told, key=lambda one: (one.place.file, one.place.line, one.place.column)))

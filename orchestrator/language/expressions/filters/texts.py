"""Filters and tests on text. Patterns are literals and run in linear time."""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

import orjson
import re2

from orchestrator.contract.values import FileHash
from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions.filters.given import Things, a_count, text, there
from orchestrator.language.expressions.filters.registry import ALL, is_filter, is_test
from orchestrator.language.expressions.kinds import LOOSE
from orchestrator.language.expressions.limits import PATTERN_COST, Meter
from orchestrator.language.expressions.values import json_of, kind_of, measured, text_of


@is_filter("lower", takes=str, gives=str)
def lower(meter: Meter, value: Any) -> str:
    """In small letters: `alert.title | lower`."""
    return meter.text(text(meter, value).lower())


@is_filter("upper", takes=str, gives=str)
def upper(meter: Meter, value: Any) -> str:
    """In capital letters: `alert.title | upper`."""
    return meter.text(text(meter, value).upper())


@is_filter("trim", takes=str, gives=str)
def trim(meter: Meter, value: Any) -> str:
    """Without blanks at its ends: `alert.title | trim`."""
    return meter.text(text(meter, value).strip())


@is_filter("truncate", takes=str, arguments=(int,), gives=str, check=lambda size: a_count(size, least=1))
def truncate(meter: Meter, value: Any, size: int) -> str:
    """At most so many characters: `alert.title | truncate(80)`."""
    full, most = text(meter, value), a_count(size, least=1)
    return meter.text(full if len(full) <= most else full[: most - 1] + "\u2026")


@is_filter("replace", takes=str, arguments=(str, str), gives=str)
def replace(meter: Meter, value: Any, old: Any, new: Any) -> str:
    """One text instead of another: `alert.domain | replace("www.", "")`."""
    full, old, new = text(meter, value), text(meter, old), text(meter, new)
    if not old:
        raise ExpressionError("replace needs a text to look for")
    meter.room_for(len(full) + full.count(old) * (len(new) - len(old)))
    return meter.text(full.replace(old, new))


@is_filter("split", takes=str, arguments=(str,), least=0, gives=list[str])
def split(meter: Meter, value: Any, separator: str | None = None) -> list[Any]:
    """The parts between separators, or between blanks: `alert.user.name | split("@")`."""
    if separator is not None and not text(meter, separator):
        raise ExpressionError("split needs a separator")
    parts = text(meter, value).split(separator)
    meter.step(len(parts))
    return meter.items(list(parts))


@is_filter("join", takes=Things, arguments=(str,), least=0, gives=str)
def join(meter: Meter, value: Any, separator: str = "") -> str:
    """A list as one text, what is absent left out: `alert.attack | join(", ")`."""
    between, parts, size = text(meter, separator), [], 0
    for item in there(meter, value):
        parts.append(meter.read(text_of(item)))
        size += len(parts[-1]) + len(between)
        meter.room_for(size - len(between))
    return meter.text(between.join(parts))


@is_filter("to_json", takes=Any, gives=str)
def to_json(meter: Meter, value: Any) -> str:
    """As JSON text: `alert.raw | to_json`."""
    return meter.text(json_of(value))


@is_filter("string", takes=Any, gives=str)
def string(meter: Meter, value: Any) -> str:
    """As text, said on purpose: `alert.source.port | string`."""
    return meter.text(text_of(value))


@is_filter("b64decode", takes=str, gives=str)
def b64decode(meter: Meter, value: Any) -> str:
    """What Base64 says, as UTF-8: `alert.process.command_line | b64decode`."""
    try:
        return meter.text(base64.b64decode(text(meter, value), validate=True).decode())
    except (binascii.Error, ValueError):
        raise ExpressionError("not Base64 of UTF-8 text") from None


def _algorithm(name: Any) -> None:
    if name not in ("md5", "sha1", "sha256"):
        raise ExpressionError("digest knows md5, sha1 and sha256")


@is_filter("b64encode", takes=str, gives=str)
def b64encode(meter: Meter, value: Any) -> str:
    """As Base64 of its UTF-8: `alert.url | b64encode`."""
    return meter.text(base64.b64encode(_utf8(text(meter, value))).decode())


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ExpressionError("a text that holds half a surrogate pair") from None


@is_filter("digest", takes=str, arguments=(str,), gives=FileHash, literals=ALL, check=_algorithm)
def digest(meter: Meter, value: Any, algorithm: str) -> FileHash:
    """The hash of a text, by md5, sha1 or sha256: `alert.url | digest("sha256")`."""
    made = hashlib.new(algorithm, _utf8(text(meter, value)), usedforsecurity=False)
    return FileHash.parse(meter.text(made.hexdigest()))


@is_filter("urlencode", takes=str, gives=str)
def urlencode(meter: Meter, value: Any) -> str:
    """With %-escapes, so that it is one part of an address: `alert.title | urlencode`."""
    return meter.text(quote(_utf8(text(meter, value)), safe=""))


@is_filter("from_json", takes=str, gives=LOOSE)
def from_json(meter: Meter, value: Any) -> Any:
    """What a text says as JSON: `alert.raw.message | from_json`."""
    try:
        read = orjson.loads(_utf8(text(meter, value, PATTERN_COST)))
    except orjson.JSONDecodeError:
        raise ExpressionError("not JSON") from None
    meter.items([read])
    return measured(read)


@is_filter("urldecode", takes=str, gives=str)
def urldecode(meter: Meter, value: Any) -> str:
    """With %-escapes read: `alert.url | urldecode`."""
    return meter.text(unquote(text(meter, value)))


@lru_cache(maxsize=512)
def pattern(source: str) -> Any:
    """The pattern, compiled once; it runs in linear time."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    try:
        return re2.compile(source, options=options)
    except re2.error as error:
        raise ExpressionError(
            f"not a regular expression: {error}", hint="back-references and look-around are left out"
        ) from None


def _checked(source: Any) -> None:
    """A pattern is right before anything runs."""
    if not isinstance(source, str):
        raise WrongType(f"a pattern is text, found {kind_of(source)}")
    pattern(source)


@is_test("matching", takes=str, arguments=(str,), literals=ALL, check=_checked)
def matching(meter: Meter, value: Any, source: str) -> bool:
    """Whether the pattern is found in it, in linear time: `alert.title is matching("^ET MALWARE")`."""
    return bool(pattern(source).search(text(meter, value, PATTERN_COST)))


@is_test("startswith", takes=str, arguments=(str,))
def startswith(meter: Meter, value: Any, start: Any) -> bool:
    """`alert.host.name is startswith("web-")`."""
    return text(meter, value).startswith(text(meter, start))


@is_test("endswith", takes=str, arguments=(str,))
def endswith(meter: Meter, value: Any, end: Any) -> bool:
    """`alert.domain is endswith(".example")`."""
    return text(meter, value).endswith(text(meter, end))


@is_filter("regex_find", takes=str, arguments=(str,), gives=list[str], literals=ALL, check=_checked)
def regex_find(meter: Meter, value: Any, source: str) -> list[Any]:
    """All that the pattern finds, its first group where it has one: `alert.title | regex_find("CVE-[0-9-]+")`."""
    found: list[Any] = []
    for match in pattern(source).finditer(text(meter, value, PATTERN_COST)):
        meter.step(PATTERN_COST)
        one = match.group(1) if match.re.groups else match.group()
        if one is not None:  # a group that took no part
            found.append(one)
    return meter.items(found)


def _checked_both(source: Any, new: Any) -> None:
    _checked(source)
    if not isinstance(new, str):
        raise WrongType(f"what stands in its place is text, found {kind_of(new)}")


@is_filter(
    "regex_replace", takes=str, arguments=(str, str), gives=str, literals=ALL,
    check=_checked_both,
)  # fmt: skip
def regex_replace(meter: Meter, value: Any, source: str, new: str) -> str:
    """Another text for all that the pattern finds: `alert.title | regex_replace("[0-9]+", "N")`."""
    full, parts, end, size = text(meter, value, PATTERN_COST), [], 0, 0
    for match in pattern(source).finditer(full):
        meter.step(PATTERN_COST)
        parts += [full[end : match.start()], new]
        size += match.start() - end + len(new)
        end = match.end()
        meter.room_for(size)
    return meter.text("".join([*parts, full[end:]]))

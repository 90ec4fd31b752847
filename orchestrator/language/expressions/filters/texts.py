"""Filters on text. Patterns are literals and run in linear time."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import re2

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.filters.given import a_count, listed, text
from orchestrator.language.expressions.filters.registry import ALL, is_filter, is_test
from orchestrator.language.expressions.limits import PATTERN_COST, Meter
from orchestrator.language.expressions.values import json_of, kind_of, text_of


@is_filter("lower")
def lower(meter: Meter, value: Any) -> str:
    """In small letters: `alert.title | lower`."""
    return meter.text(text(meter, value).lower())


@is_filter("upper")
def upper(meter: Meter, value: Any) -> str:
    """In capital letters: `alert.title | upper`."""
    return meter.text(text(meter, value).upper())


@is_filter("trim")
def trim(meter: Meter, value: Any) -> str:
    """Without blanks at its ends: `alert.title | trim`."""
    return meter.text(text(meter, value).strip())


@is_filter("truncate", arguments=1)
def truncate(meter: Meter, value: Any, size: int) -> str:
    """At most so many characters: `alert.title | truncate(80)`."""
    full, most = text(meter, value), a_count(size, least=1)
    return meter.text(full if len(full) <= most else full[: most - 1] + "\u2026")


@is_filter("replace", arguments=2)
def replace(meter: Meter, value: Any, old: Any, new: Any) -> str:
    """One text instead of another: `alert.domain | replace("www.", "")`."""
    full, old, new = text(meter, value), text(meter, old), text(meter, new)
    if not old:
        raise ExpressionError("replace needs a text to look for")
    meter.room_for(len(full) + full.count(old) * (len(new) - len(old)))
    return meter.text(full.replace(old, new))


@is_filter("split", arguments=1, least=0)
def split(meter: Meter, value: Any, separator: str | None = None) -> list[Any]:
    """The parts between separators, or between blanks: `alert.user.name | split("@")`."""
    if separator is not None and not text(meter, separator):
        raise ExpressionError("split needs a separator")
    parts = text(meter, value).split(separator)
    meter.step(len(parts))
    return meter.items(list(parts))


@is_filter("join", arguments=1, least=0)
def join(meter: Meter, value: Any, separator: str = "") -> str:
    """A list as one text: `alert.attack | join(", ")`."""
    between, parts, size = text(meter, separator), [], 0
    for item in listed(meter, value):
        parts.append(meter.read(text_of(item)))
        size += len(parts[-1]) + len(between)
        meter.room_for(size - len(between))
    return meter.text(between.join(parts))


@is_filter("to_json")
def to_json(meter: Meter, value: Any) -> str:
    """As JSON text: `alert.raw | to_json`."""
    return meter.text(json_of(value))


@is_filter("string")
def string(meter: Meter, value: Any) -> str:
    """As text, said on purpose: `alert.source.port | string`."""
    return meter.text(text_of(value))


@is_filter("b64decode")
def b64decode(meter: Meter, value: Any) -> str:
    """What Base64 says, as UTF-8: `alert.process.command_line | b64decode`."""
    try:
        return meter.text(base64.b64decode(text(meter, value), validate=True).decode())
    except (binascii.Error, ValueError):
        raise ExpressionError("not Base64 of UTF-8 text") from None


@is_filter("urldecode")
def urldecode(meter: Meter, value: Any) -> str:
    """With %-escapes read: `alert.url | urldecode`."""
    return meter.text(unquote(text(meter, value)))


@lru_cache(maxsize=512)
def _pattern(source: str) -> Any:
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
        raise ExpressionError(f"a pattern is text, found {kind_of(source)}")
    _pattern(source)


@is_test("matching", arguments=1, literals=ALL, check=_checked)
def matching(meter: Meter, value: Any, pattern: str) -> bool:
    """Whether the pattern is found in it, in linear time: `alert.title is matching("^ET MALWARE")`."""
    return bool(_pattern(pattern).search(text(meter, value, PATTERN_COST)))


@is_test("startswith", arguments=1)
def startswith(meter: Meter, value: Any, start: Any) -> bool:
    """`alert.host.name is startswith("web-")`."""
    return text(meter, value).startswith(text(meter, start))


@is_test("endswith", arguments=1)
def endswith(meter: Meter, value: Any, end: Any) -> bool:
    """`alert.domain is endswith(".example")`."""
    return text(meter, value).endswith(text(meter, end))


@is_filter("regex_find", arguments=1, literals=ALL, check=_checked)
def regex_find(meter: Meter, value: Any, pattern: str) -> list[Any]:
    """All that the pattern finds, its first group where it has one: `alert.title | regex_find("CVE-[0-9-]+")`."""
    found: list[Any] = []
    for match in _pattern(pattern).finditer(text(meter, value, PATTERN_COST)):
        meter.step()
        one = match.group(1) if match.re.groups else match.group()
        if one is not None:  # a group that took no part
            found.append(one)
    return meter.items(found)


_URL = r"(?i)\bhttps?://[^\s<>\"'`{}|\\^\[\]]+"
_MAIL = r"(?i)\b[a-z0-9._%+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b"
_DOMAIN = r"(?i)\b(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\b"
_HASH = r"(?i)\b(?:[a-f0-9]{128}|[a-f0-9]{64}|[a-f0-9]{40}|[a-f0-9]{32})\b"


def _all(meter: Meter, value: Any, pattern: str) -> list[Any]:
    return list(dict.fromkeys(regex_find(meter, refang(meter, value), pattern)))


@is_filter("extract_urls")
def extract_urls(meter: Meter, value: Any) -> list[Any]:
    """The web addresses in a text, defanged ones too: `alert.description | extract_urls`."""
    return meter.items([url.rstrip(".,;:!?)") for url in _all(meter, value, _URL)])


@is_filter("extract_mails")
def extract_mails(meter: Meter, value: Any) -> list[Any]:
    """The mail addresses in a text: `alert.description | extract_mails`."""
    return _all(meter, value, _MAIL)


@is_filter("extract_domains")
def extract_domains(meter: Meter, value: Any) -> list[Any]:
    """The domain names in a text: `alert.description | extract_domains`."""
    return meter.items(list(dict.fromkeys(name.lower() for name in _all(meter, value, _DOMAIN))))


@is_filter("extract_hashes")
def extract_hashes(meter: Meter, value: Any) -> list[Any]:
    """The file hashes in a text: `alert.description | extract_hashes`."""
    return meter.items(list(dict.fromkeys(digest.lower() for digest in _all(meter, value, _HASH))))


@is_filter("defang")
def defang(meter: Meter, value: Any) -> str:
    """So that nobody clicks it: `alert.url | defang` gives hxxp://evil[.]example."""
    return meter.text(re.sub(r"(?i)\bhttp", "hxxp", text(meter, value)).replace(".", "[.]"))


@is_filter("refang")
def refang(meter: Meter, value: Any) -> str:
    """Undo `defang`: `"hxxp://evil[.]example" | refang`."""
    return meter.text(re.sub(r"(?i)\bhxxp", "http", text(meter, value)).replace("[.]", ".").replace("(.)", "."))

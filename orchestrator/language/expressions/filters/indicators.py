"""Filters that find addresses, names and hashes in text, and make them harmless to click."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from orchestrator.contract.values import Domain, FileHash, IpAddress, MailAddress, NormalisedText
from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.filters.given import text
from orchestrator.language.expressions.filters.registry import is_filter, is_test
from orchestrator.language.expressions.filters.texts import pattern, regex_find
from orchestrator.language.expressions.limits import Meter

_URL = r"(?i)\bhttps?://[^\s<>\"'`{}|\\^\[\]]+"
_MAIL = r"(?i)\b[a-z0-9._%+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b"
_DOMAIN = r"(?i)\b(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\b"
_HASH = r"(?i)\b(?:[a-f0-9]{128}|[a-f0-9]{64}|[a-f0-9]{40}|[a-f0-9]{32})\b"
_CVE = r"(?i)\bCVE-[0-9]{4}-[0-9]{4,19}\b"
_TAIL = ".,;:!?)"
"""what ends the sentence that an address stands in"""
_ADDRESS = r"[0-9a-fA-F:.\[\]]{3,64}"

Typed = TypeVar("Typed", bound=NormalisedText)


def _all(meter: Meter, value: Any, pattern: str) -> list[str]:
    return list(dict.fromkeys(regex_find(meter, refang(meter, value), pattern)))


def _typed(meter: Meter, cls: type[Typed], found: Iterable[str]) -> list[Typed]:
    """Those that are one of this kind, each once."""
    values: dict[Typed, None] = {}
    for one in found:
        meter.step()
        try:
            values[cls.parse(one)] = None
        except ValueError:
            continue
    meter.items(list(values))
    return list(values)


@is_filter("extract_urls", takes=str, gives=list[str])
def extract_urls(meter: Meter, value: Any) -> list[Any]:
    """The web addresses in a text, defanged ones too: `alert.description | extract_urls`."""
    return meter.items([url.rstrip(_TAIL) for url in _all(meter, value, _URL)])


@is_filter("extract_mails", takes=str, gives=list[MailAddress])
def extract_mails(meter: Meter, value: Any) -> list[MailAddress]:
    """The mail addresses in a text: `alert.description | extract_mails`."""
    return _typed(meter, MailAddress, _all(meter, value, _MAIL))


@is_filter("extract_domains", takes=str, gives=list[Domain])
def extract_domains(meter: Meter, value: Any) -> list[Domain]:
    """The domain names in a text: `alert.description | extract_domains`."""
    return _typed(meter, Domain, _all(meter, value, _DOMAIN))


@is_filter("extract_hashes", takes=str, gives=list[FileHash])
def extract_hashes(meter: Meter, value: Any) -> list[FileHash]:
    """The file hashes in a text: `alert.description | extract_hashes`."""
    return _typed(meter, FileHash, _all(meter, value, _HASH))


@is_filter("extract_ips", takes=str, gives=list[IpAddress])
def extract_ips(meter: Meter, value: Any) -> list[IpAddress]:
    """The addresses in a text, defanged ones too: `alert.description | extract_ips`."""
    candidates = regex_find(meter, value, _ADDRESS)
    return _typed(meter, IpAddress, (one.replace("[.]", ".").strip(".[]") for one in candidates))


def found_in(source: str) -> dict[str, list[Any]]:
    """All that the filters above find, by kind, in a text that no playbook holds: a file, of any length."""
    whole = _refanged(source)
    addresses = (one.replace("[.]", ".").strip(".[]") for one in _every(source, _ADDRESS))
    return {
        "ips": _parsed(IpAddress, addresses),
        "urls": list(dict.fromkeys(url.rstrip(_TAIL) for url in _every(whole, _URL))),
        "domains": _parsed(Domain, _every(whole, _DOMAIN)),
        "mails": _parsed(MailAddress, _every(whole, _MAIL)),
        "hashes": _parsed(FileHash, _every(whole, _HASH)),
    }


def _every(source: str, what: str) -> list[str]:
    return [match.group() for match in pattern(what).finditer(source)]


def _parsed(cls: type[Typed], found: Iterable[str]) -> list[Typed]:
    values: dict[Typed, None] = {}
    for one in dict.fromkeys(found):
        with contextlib.suppress(ValueError):
            values[cls.parse(one)] = None
    return list(values)


def _refanged(source: str) -> str:
    return re.sub(r"(?i)\bhxxp", "http", source).replace("[.]", ".").replace("(.)", ".")


@is_filter("extract_cves", takes=str, gives=list[str])
def extract_cves(meter: Meter, value: Any) -> list[Any]:
    """The vulnerabilities that a text names: `alert.title | extract_cves`."""
    return meter.items(list(dict.fromkeys(one.upper() for one in _all(meter, value, _CVE))))


@is_filter("defang", takes=str, gives=str)
def defang(meter: Meter, value: Any) -> str:
    """So that nobody clicks it: `alert.url | defang` gives hxxp://evil[.]example."""
    full = text(meter, value)
    meter.room_for(len(full) + 2 * full.count("."))
    return meter.text(re.sub(r"(?i)\bhttp", "hxxp", full).replace(".", "[.]"))


@is_filter("refang", takes=str, gives=str)
def refang(meter: Meter, value: Any) -> str:
    """Undo `defang`: `"hxxp://evil[.]example" | refang`."""
    return meter.text(_refanged(text(meter, value)))


_PARTS = {"scheme": str, "host": str | None, "port": int | None, "path": str, "query": str}


@is_filter("url_parts", takes=str, gives=_PARTS)
def url_parts(meter: Meter, value: Any) -> dict[str, Any]:
    """Scheme, host, port, path and query of a web address: `(alert.url | url_parts).host`."""
    try:
        parts = urlsplit(text(meter, value).strip())
        made = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port, "path": parts.path}
    except ValueError:
        raise ExpressionError("not a web address") from None
    meter.text(parts.path + parts.query)
    return {**made, "query": parts.query}


def _asks(name: str, example: str, is_one: Callable[[str], bool]) -> None:
    @is_test(name, takes=str)
    def ask(meter: Meter, value: Any) -> bool:
        """Replaced below."""
        return is_one(text(meter, value)[:4_096])

    ask.__doc__ = f"Whether a text is {example}"


def _looks_like(source: str) -> Callable[[str], bool]:
    return lambda value: bool(pattern(source).fullmatch(value))


def _parses(cls: type[NormalisedText]) -> Callable[[str], bool]:
    def parses(value: str) -> bool:
        try:
            cls.parse(value)
        except ValueError:
            return False
        return True

    return parses


_asks("ip", 'an IP address: `alert.observables | map("value") | select("ip")`.', _parses(IpAddress))
_asks("domain", "a domain name: `alert.raw.query is domain`.", _looks_like(_DOMAIN))
_asks("hash", "a file hash: `alert.raw.digest is hash`.", _parses(FileHash))
_asks("mail", "a mail address: `alert.raw.sender is mail`.", _parses(MailAddress))
_asks("url", "a web address: `alert.raw.target is url`.", _looks_like(_URL))

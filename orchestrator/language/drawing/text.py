"""Text as pictures need it: harmless, measured without a font, and broken into lines."""

from __future__ import annotations

import unicodedata

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\ `\"-")
_WIDE = frozenset("mwMWQOGD@%&#")
CODE_WIDTH = 0.602
"""of a letter of a monospaced font, in its size"""
_NO_LETTER = frozenset({"Cc", "Cs", "Co", "Cn"})
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""what makes the text around it read in the other direction"""


def harmless(text: str) -> str:
    """The text on one line; what turns the direction or cannot stand in XML shows as a mark."""
    return " ".join("".join(map(_shown, text)).split())


def _shown(one: str) -> str:
    category = unicodedata.category(one)
    if one in _TURNS or (category in _NO_LETTER and not one.isspace()):
        return "\ufffd"
    return "" if category == "Cf" else one


def width(text: str, size: float, *, code: bool = False) -> float:
    """About how wide the text is, a little more rather than less."""
    return size * sum(_letter(one, code=code) for one in text)


def _letter(one: str, *, code: bool) -> float:
    if unicodedata.east_asian_width(one) in ("W", "F"):
        return 1.1
    if code:
        return CODE_WIDTH
    if one in _NARROW:
        return 0.36
    if one in _WIDE:
        return 0.92
    return 0.72 if one.isupper() else 0.59


def wrap(text: str, room: float, size: float, *, code: bool = False, most: int = 4) -> list[str]:
    """The text in lines that fit; what is left after the last one is cut with a mark."""
    lines: list[str] = []
    rest = harmless(text)
    while rest and len(lines) < most:
        line = _first_line(rest, room, size, code=code)
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    if rest:
        lines[-1] = _cut(lines[-1], room, size, code=code)
    return lines or [""]


def _first_line(text: str, room: float, size: float, *, code: bool) -> str:
    """As much of the text as fits, up to a blank, or to a dot or slash where that leaves less of a gap."""
    end = _fitting(text, room, size, code=code)
    if end >= len(text):
        return text
    blank = text.rfind(" ", 0, end + 1)
    joint = max(text.rfind(one, 0, end) + 1 for one in "./_,-(|")
    for place, least in ((blank, end // 3), (joint, end // 3), (blank, 0), (joint, 0)):
        if place > least:
            return text[:place]
    return text[:end]


def _fitting(text: str, room: float, size: float, *, code: bool) -> int:
    used = 0.0
    for place, one in enumerate(text):
        used += size * _letter(one, code=code)
        if used > room:
            return max(place, 1)
    return len(text)


def _cut(line: str, room: float, size: float, *, code: bool) -> str:
    while line and width(line + "\u2026", size, code=code) > room:
        line = line[:-1]
    return line.rstrip() + "\u2026"

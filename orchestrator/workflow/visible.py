"""Text from outside as people may be shown it: nothing in it hides, turns the direction of reading, or formats."""

from __future__ import annotations

import unicodedata

LONGEST = 500
_HIDDEN = ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
# letters by their category, and blank to the eye: Hangul fillers, the blank of Braille, a combining joiner
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_MARKDOWN = frozenset("\\`*_[]()<>#!|~")


def visible(text: str, most: int = LONGEST) -> str:
    """The text with what cannot be seen written out; says how much there is where it is cut at `most` characters."""
    shown = "".join(_shown(letter) for letter in text[:most])
    return shown if len(text) <= most else f"{shown}\u2026 ({len(text)} characters in all)"


def code(text: str, most: int = LONGEST) -> str:
    """Text from outside as a piece of code on one line: no markdown in it works, no address becomes a link."""
    line = visible(text, most).replace("\n", "\u23ce").replace("`", "\u02cb")
    return f"`{line}`" if line.strip() else "`\u2423`"


def one_line(text: str) -> str:
    """Text from outside for a summary: no markdown, no line breaks."""
    line = visible(text).replace("\n", " ")
    return "".join(f"\\{letter}" if letter in _MARKDOWN else letter for letter in line)


def _shown(letter: str) -> str:
    hidden = letter != "\n" and (unicodedata.category(letter) in _HIDDEN or letter in _BLANK)
    return f"\u27e8U+{ord(letter):04X}\u27e9" if hidden else letter

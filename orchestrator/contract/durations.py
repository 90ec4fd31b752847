"""Durations as people write them: `90s`, `30m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_FORM = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
LONGEST = timedelta(days=3650)


def parse_duration(text: object) -> timedelta:
    """The duration that the text means; raises `ValueError` with the likely fix."""
    if not isinstance(text, str):
        if isinstance(text, int) and not isinstance(text, bool):
            raise ValueError(f"{text!r} has no unit; write it as {text}s, {text}m, {text}h or {text}d")
        raise ValueError(f"{text!r} is not a duration; write 90s, 30m, 24h, 7d or 1h30m")
    match = _FORM.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration; write 90s, 30m, 24h, 7d or 1h30m")
    seconds = sum(int(count or 0) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True))
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError(f"{text!r} is not between 1s and {LONGEST.days}d")
    return timedelta(seconds=seconds)


def format_duration(seconds: float) -> str:
    """The shortest spelling: 5400 is `1h30m`."""
    rest, parts = round(seconds), []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"

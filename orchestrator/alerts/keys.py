"""Names made of outside text: a cleaned stem that people recognise, and a hash that keeps different things apart."""

from __future__ import annotations

import hashlib
import re

STEM = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(text: str) -> str:
    """At most 80 harmless characters of the text, and 16 hexadecimal digits of its SHA-256."""
    stem = _UNSAFE.sub("-", text[: 4 * STEM]).strip("-.")[:STEM]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{stem}-{digest}" if stem else digest


def alert_key(source: str, *parts: str) -> str:
    """The key that dedupes alerts: the configured source, and what makes a repeat of its id a new event."""
    text = parts[0] if len(parts) == 1 else "\x1f".join(parts)
    return f"{source}/{safe_name(text)}"

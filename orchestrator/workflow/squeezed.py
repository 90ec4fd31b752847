"""JSON small enough for one argument of Temporal: compressed, as text."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

LARGEST_PLAIN = 64 * 1024 * 1024


def squeeze(value: Any) -> str:
    """The value as text."""
    # the standard library's: it writes whatever text and number an expression can come to
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 6)).decode()


def unsqueeze(text: str) -> Any:
    """The value again; raises `ValueError` for what `squeeze` did not make, or what would be far too large."""
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(base64.b64decode(text, validate=True), LARGEST_PLAIN)
    except zlib.error as error:
        raise ValueError("not squeezed JSON") from error
    if machine.unconsumed_tail:
        raise ValueError(f"more than {LARGEST_PLAIN} bytes")
    return json.loads(plain)

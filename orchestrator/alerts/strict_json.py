"""JSON from outside, read quickly and strictly: what two readers could understand differently is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from orchestrator.errors import DeadLetter

REASONS = {
    "tombstone": "the record has no value",
    "empty": "the record is empty",
    "too_large": "the record is larger than intake takes",
    "not_utf8": "the bytes are not UTF-8",
    "not_json": "the bytes are not JSON",
    "not_an_object": "the JSON is not an object",
    "nul": "the record, or a field of the alert, holds the character NUL",
    "surrogate": "a text holds half a surrogate pair",
    "duplicate_key": "an object has one key twice, so that two readers may see two things",
    "too_deep": "objects and lists are nested too deeply",
    "too_many_keys": "the objects have too many keys",
    "unknown_format": "no source recognises it",
    "invalid_alert": "a field that the alert needs is missing or of the wrong type",
    "too_large_for_run": "what the playbook reads of it is more than a run carries",
    "too_large_for_temporal": "Temporal refuses a start of this size",
}
"""Why a record is a dead letter: the whole list, for the header `reason` and for counting."""

_KEY = re.compile(rb'"\s*:')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_object(
    value: bytes | None, *, most_bytes: int, most_depth: int = 64, most_keys: int = 5_000
) -> dict[str, Any]:
    """The object; raises `DeadLetter` with one of `REASONS`."""
    if value is None:
        raise DeadLetter("tombstone", REASONS["tombstone"])
    if not value.strip():
        raise DeadLetter("empty", REASONS["empty"])
    if len(value) > most_bytes:
        raise DeadLetter("too_large", f"{len(value)} bytes, and intake takes {most_bytes}")
    try:
        decoded = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _unreadable(value, error) from None
    if not isinstance(decoded, dict):
        raise DeadLetter("not_an_object", f"the JSON is a {type(decoded).__name__}", "$")
    keys = _count_keys(decoded, most_depth, most_keys)
    # each key ends in `":` exactly once; text may hold that too, so more of them only means: look closely
    if len(_KEY.findall(value)) != keys:
        _refuse_duplicates(value)
    return decoded


def _unreadable(value: bytes, error: orjson.JSONDecodeError) -> DeadLetter:
    """Why it cannot be read, as far as can be told."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return DeadLetter("not_utf8", REASONS["not_utf8"], f"byte {wrong.start}")
    if "surrogate" in str(error) or _SURROGATE.search(value):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return DeadLetter("surrogate", REASONS["surrogate"], f"byte {error.pos}")
    if b"\0" in value:
        return DeadLetter("nul", REASONS["nul"], f"byte {value.index(0)}")
    if "depth" in error.msg:
        return DeadLetter("too_deep", REASONS["too_deep"])
    return DeadLetter("not_json", REASONS["not_json"], f"line {error.lineno} column {error.colno}")


def _count_keys(root: dict[str, Any], most_depth: int, most_keys: int) -> int:
    """How many keys all objects have; walks without recursion."""
    keys = 0
    level: list[Any] = [root]
    for _ in range(most_depth):
        below: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                keys += len(container)
                below += [one for one in container.values() if isinstance(one, dict | list)]
            else:
                below += [one for one in container if isinstance(one, dict | list)]
        if keys > most_keys:
            raise DeadLetter("too_many_keys", f"more than {most_keys} keys")
        if not below:
            return keys
        level = below
    raise DeadLetter("too_deep", f"nested more than {most_depth} deep")


def _refuse_duplicates(value: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise DeadLetter("duplicate_key", REASONS["duplicate_key"], f"the key {twice[:80]!r}")
        return made

    json.loads(value, object_pairs_hook=pairs)

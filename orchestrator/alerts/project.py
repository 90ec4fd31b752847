"""What a run carries of an alert: its fields, and of the original only the paths that its playbook names."""

from __future__ import annotations

from typing import Any

import orjson

from orchestrator.alerts.alert import Alert
from orchestrator.errors import DeadLetter

LARGEST = 128 * 1024
Paths = frozenset[tuple[str, ...]]


def project(alert: Alert, raw_paths: Paths) -> dict[str, Any]:
    """The alert as plain JSON; raises `DeadLetter` where that is more than 128 KiB."""
    slim = alert.model_copy(update={"raw": prune(alert.raw, raw_paths)})
    encoded = slim.model_dump_json(exclude_none=True).encode()
    if len(encoded) > LARGEST:
        raise DeadLetter("too_large_for_run", f"{len(encoded)} bytes of it are read, and a run carries {LARGEST}")
    plain: dict[str, Any] = orjson.loads(encoded)
    return plain


def prune(raw: dict[str, Any], paths: Paths) -> dict[str, Any]:
    """The original with only these paths; an empty path stands for all of it."""
    if () in paths:
        return raw
    kept: dict[str, Any] = {}
    for path in sorted(paths):
        _keep(raw, kept, path)
    return kept


def _keep(raw: Any, kept: dict[str, Any], path: tuple[str, ...]) -> None:
    name, *rest = path
    if not isinstance(raw, dict) or name not in raw:
        return
    value = raw[name]
    if not rest or not isinstance(value, dict):
        kept[name] = value
    elif kept.get(name) is not value:
        _keep(value, kept.setdefault(name, {}), tuple(rest))

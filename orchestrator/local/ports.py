"""Free ports on loopback: the usual one where it is free, another where it is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from orchestrator.settings import LocalSettings

HIGHEST = 65_535


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """A port that the system gives us now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose(names: Iterable[str], wanted: dict[str, int], before: dict[str, int], *, any_port: bool) -> dict[str, int]:
    """A port for each name: the one it had before, the one that is wanted, or any that is free."""
    chosen: dict[str, int] = {}
    for name in names:
        candidates = [] if any_port else [port for port in (before.get(name), wanted.get(name)) if port]
        free = (port for port in candidates if port not in chosen.values() and is_free(port))
        chosen[name] = next(free, None) or _another(set(chosen.values()))
    return chosen


def _another(taken: set[int]) -> int:
    while (port := any_free()) in taken:
        pass
    return port


def usual(settings: LocalSettings) -> dict[str, int]:
    """The ports that the settings prefer."""
    return {
        "kafka": settings.kafka_port,
        "temporal": settings.temporal_port,
        "temporal_ui": settings.temporal_ui_port,
        "postgres": settings.postgres_port,
    }

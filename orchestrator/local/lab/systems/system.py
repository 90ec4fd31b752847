"""What the systems of the lab have in common: routes, the world that they share, and what was there before us."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

Row = dict[str, Any]
Answer = tuple[int, Any]
"""status and body; a body of bytes is sent as it is, everything else as JSON"""


@dataclass(frozen=True)
class Request:
    """A request as it stands in the log. `id` is the part of the path that names something."""

    seq: int
    at: str
    key: str | None
    id: str
    query: dict[str, str]
    body: Row

    @classmethod
    def of(cls, entry: Row) -> Request:
        """The request of an entry of the log."""
        query, body = entry.get("query") or {}, entry.get("body") or {}
        return cls(entry["seq"], entry["at"], entry.get("key"), entry.get("id") or "", query, body)

    def made(self, what: str, **more: Any) -> Row:
        """What the request makes: it says of itself which request that was."""
        return {"id": f"{what}-{self.seq}", "at": self.at, "key": self.key, **more}


@dataclass(frozen=True)
class Route:
    """One operation of the API."""

    method: str
    path: str
    operation: str
    run: Callable[[Request], Answer]


@dataclass
class World:
    """When the lab began for the first time, and the bytes of every file in it by their SHA-256."""

    began: datetime
    files: dict[str, bytes] = field(default_factory=dict)

    def ago(self, minutes: float) -> str:
        """So long before the lab began."""
        return (self.began - timedelta(minutes=minutes)).isoformat()

    def keep(self, content: bytes, name: str, media_type: str = "application/octet-stream") -> Row:
        """Keep the bytes; what a product says of such a file."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return {"sha256": digest, "name": name, "size": len(content), "media_type": media_type}


class System(Protocol):
    """One product that the lab plays."""

    def routes(self) -> Iterable[Route]:
        """Its part of the API."""
        ...

    def shown(self) -> dict[str, list[Row]]:
        """What the page shows of it."""
        ...

    def happens(self, kind: str, fact: Row) -> bool:
        """Something happened that Tocsin had no part in; False where this system knows nothing of the kind."""
        ...


def having(rows: Iterable[Row], wanted: dict[str, str]) -> list[Row]:
    """The rows that have all of these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def recent(rows: Iterable[Row], request: Request, name: str = "time") -> list[Row]:
    """The rows within the seconds that the request asks for, newest first."""
    since = datetime.fromisoformat(request.at) - timedelta(seconds=float(request.query.get("within", "86400")))
    found = [row for row in rows if datetime.fromisoformat(row[name]) >= since]
    return sorted(found, key=lambda row: str(row[name]), reverse=True)


def nothing(what: str) -> Answer:
    """There is no such thing."""
    return 404, {"error": f"no such {what}"}

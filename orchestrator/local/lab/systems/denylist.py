"""A list of what is refused: addresses at a firewall, senders in mail, names in DNS, pages at a proxy."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, having, nothing


class Denylist:
    """Entries under one path. The same value may be added twice, and is: nothing is deduplicated."""

    def __init__(self, path: str, what: str, *, add: str, listed: str, remove: str) -> None:
        self.entries: list[Row] = []
        self._path, self._what = path, what
        self._names = {"add": add, "listed": listed, "remove": remove}

    def routes(self) -> Iterable[Route]:
        """Add, list, remove."""
        return (
            Route("POST", self._path, self._names["add"], self.add),
            Route("GET", self._path, self._names["listed"], self.listed),
            Route("DELETE", self._path + "/{id}", self._names["remove"], self.remove),
        )

    def shown(self) -> dict[str, list[Row]]:
        """All entries."""
        return {self._names["listed"]: self.entries}

    def happens(self, kind: str, fact: Row) -> bool:
        """Nobody else adds anything."""
        return False

    def add(self, request: Request) -> Answer:
        """A new entry."""
        made = request.made(self._what, **request.body)
        self.entries.append(made)
        return 201, made

    def listed(self, request: Request) -> Answer:
        """The entries with a value, or with a key."""
        return 200, having(self.entries, request.query)

    def remove(self, request: Request) -> Answer:
        """Remove one entry."""
        for entry in self.entries:
            if entry["id"] == request.id:
                self.entries.remove(entry)
                return 200, {"deleted": request.id}
        return nothing(self._what)

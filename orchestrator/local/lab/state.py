"""What the lab's systems hold. Nothing is deduplicated: what is asked twice happens twice, so that tests can see it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.local.lab.systems import Answer, Request, Route, Systems, World


class LabState:
    """The systems, kept as the log of requests that changed them.

    Every request is appended to the log and synced to disk before it is answered; at the next start the log is read
    again, so effects survive. What was there before the first request is told from the lab's first start on.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.systems = Systems(World(began=_first_start(folder)))
        self.requests: list[dict[str, Any]] = []
        self._routes = {route.operation: route for system in self.systems.all for route in system.routes()}
        self._path = folder / "requests.jsonl"
        if self._path.exists():
            self._read_again()
            if not self._path.read_bytes().endswith(b"\n"):  # cut off by a kill: the next entry is a line of its own
                with self._path.open("a", encoding="utf-8") as log:
                    log.write("\n")
        self._log = self._path.open("a", encoding="utf-8")

    @property
    def routes(self) -> tuple[Route, ...]:
        """The API's whole table of contents; what happens outside Tocsin comes in by its last line."""
        return (*self._routes.values(), Route("POST", "/facts/{id}", "fact", self._fact))

    def apply(self, entry: dict[str, Any]) -> Answer:
        """Log a request and carry it out: status and body of the answer."""
        entry = {"seq": len(self.requests) + 1, "at": datetime.now(UTC).isoformat(), **entry}
        self._log.write(json.dumps(entry) + "\n")
        self._log.flush()
        os.fsync(self._log.fileno())
        self.requests.append(entry)
        return self._carry_out(entry)

    def happens(self, kind: str, **fact: Any) -> None:
        """Something happens in the lab's world that Tocsin has no part in: a sign-in, a message, a process, ..."""
        status, answer = self.apply({"method": "POST", "path": f"/facts/{kind}", "operation": "fact", "id": kind,
                                     "body": fact})  # fmt: skip
        if status != 201:
            raise ValueError(answer["error"])

    def shown(self) -> dict[str, Any]:
        """What the page shows."""
        rows = {name: rows for system in self.systems.all for name, rows in system.shown().items()}
        return {**rows, "requests": self.requests[:-61:-1], "total": len(self.requests)}

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _read_again(self) -> None:
        for line in self._path.read_text(encoding="utf-8").splitlines():
            if not line.endswith("}"):
                continue  # the last line of a process that was killed in the middle of it: never answered
            entry = json.loads(line)
            self.requests.append(entry)
            self._carry_out(entry)

    def _carry_out(self, entry: dict[str, Any]) -> Answer:
        if entry.get("dropped"):
            return 503, {"error": "dropped"}
        request = Request.of(entry)
        if entry["operation"] == "fact":
            return self._fact(request)
        try:
            return self._routes[entry["operation"]].run(request)
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"this makes no sense to the lab: {type(error).__name__}: {error}"}

    def _fact(self, request: Request) -> Answer:
        try:
            known = [system.happens(request.id, request.body) for system in self.systems.all]
        except (KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"{request.id}: {type(error).__name__}: {error}"}
        return (
            (201, request.body) if any(known) else (404, {"error": f"nothing of the kind {request.id!r} happens here"})
        )


def _first_start(folder: Path) -> datetime:
    """When the lab of this folder began; written once, so that the past stays where it was."""
    path = folder / "began"
    if not path.exists():
        path.write_text(datetime.now(UTC).isoformat(), encoding="utf-8")
    return datetime.fromisoformat(path.read_text(encoding="utf-8"))

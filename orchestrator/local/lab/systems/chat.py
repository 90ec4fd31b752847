"""The chat: channels that are there as soon as somebody writes into them."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, having


class Chat:
    """Messages in channels."""

    def __init__(self) -> None:
        self.messages: list[Row] = []

    def routes(self) -> Iterable[Route]:
        """Write and read."""
        return (
            Route("POST", "/chat/{id}/messages", "message", self.write),
            Route("GET", "/chat/{id}/messages", "messages", self.read),
        )

    def shown(self) -> dict[str, list[Row]]:
        """The newest."""
        return {"messages": self.messages[-50:]}

    def happens(self, kind: str, fact: Row) -> bool:
        """Nobody else writes here."""
        return False

    def write(self, request: Request) -> Answer:
        """A message in a channel."""
        made = request.made("message", channel=request.id, **request.body)
        self.messages.append(made)
        return 201, made

    def read(self, request: Request) -> Answer:
        """The messages of a channel with a key."""
        return 200, having(self.messages, {"channel": request.id, **request.query})

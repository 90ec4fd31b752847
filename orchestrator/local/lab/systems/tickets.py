"""The ticket system: it gives a number for every request to open, also for one that it saw before."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, having, nothing, recent

CLOSED = ("resolved", "closed")


class Tickets:
    """Tickets with comments, words, files and links."""

    def __init__(self, world: World) -> None:
        self.tickets: list[Row] = []
        self._world = world

    def routes(self) -> Iterable[Route]:
        """Open, read, search, change, and add to a ticket."""
        one = "/tickets/{id}"
        return (
            Route("POST", "/tickets", "open", self.open),
            Route("GET", "/tickets", "tickets", self.listed),
            Route("GET", "/search/tickets", "search_tickets", self.search),
            Route("GET", one, "ticket", self.ticket),
            Route("PUT", one, "change", self.change),
            Route("POST", one + "/comments", "comment", self.comment),
            Route("POST", one + "/tags", "tag", self.tag),
            Route("POST", one + "/attachments", "attach", self.attach),
            Route("POST", one + "/links", "link", self.link),
        )

    def shown(self) -> dict[str, list[Row]]:
        """The newest."""
        return {"tickets": self.tickets[-50:]}

    def happens(self, kind: str, fact: Row) -> bool:
        """Nobody else writes here."""
        return False

    def open(self, request: Request) -> Answer:
        """A new ticket."""
        made = {
            "id": str(1000 + request.seq), "at": request.at, "status": "new", "comments": [], "tags": [],
            "attachments": [], "links": [], **request.body,
        }  # fmt: skip
        self.tickets.append(made)
        return 201, made

    def listed(self, request: Request) -> Answer:
        """The tickets with an external key."""
        return 200, having(self.tickets, request.query)

    def search(self, request: Request) -> Answer:
        """The tickets with a word on them, or a text in them."""
        tag, text = request.query.get("tag"), request.query.get("text", "").casefold()
        found = [one for one in self.tickets if tag is None or tag in one["tags"]]
        found = [one for one in found if text in f"{one['title']}\n{one.get('body')}".casefold()]
        if request.query.get("open") == "true":
            found = [one for one in found if one["status"] not in CLOSED]
        return 200, recent(found, request, "at")

    def ticket(self, request: Request) -> Answer:
        """One ticket."""
        found = having(self.tickets, {"id": request.id})
        return (200, found[0]) if found else nothing("ticket")

    def change(self, request: Request) -> Answer:
        """Other values for some of a ticket's fields."""
        status, ticket = self.ticket(request)
        if status == 200:
            ticket.update(request.body)
        return status, ticket

    def comment(self, request: Request) -> Answer:
        """A comment on a ticket."""
        return self._add(request, "comment")

    def tag(self, request: Request) -> Answer:
        """More words on a ticket; a word is there or not, so this one may be repeated."""
        status, ticket = self.ticket(request)
        if status == 200:
            ticket["tags"] = sorted({*ticket["tags"], *request.body["tags"]})
        return status, ticket

    def attach(self, request: Request) -> Answer:
        """A file that the lab knows, in a ticket."""
        if request.body["sha256"] not in self._world.files:
            return nothing("file")
        return self._add(request, "attachment")

    def link(self, request: Request) -> Answer:
        """A link to another ticket."""
        if not having(self.tickets, {"id": request.body["to"]}):
            return nothing("ticket to link to")
        return self._add(request, "link")

    def _add(self, request: Request, what: str) -> Answer:
        status, ticket = self.ticket(request)
        if status != 200:
            return status, ticket
        made = {"id": f"{what}-{request.seq}", **request.body}
        ticket[f"{what}s"].append(made)
        return 201, made

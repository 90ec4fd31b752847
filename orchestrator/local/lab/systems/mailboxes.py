"""The mail system: messages in the mailboxes of corp.example."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, nothing, recent

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
SIGN_IN = "https://evil.example/sign-in"
ATTACHMENT = b"<form action='https://evil.example/sign-in' method='post'>harmless</form>\n"


class Mailboxes:
    """Messages by their id. One that was purged is kept with the mailboxes that it lay in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.mail: dict[str, Row] = {}
        for fact in _before(world):
            self.happens("mail", fact)

    def routes(self) -> Iterable[Route]:
        """Search, read, purge and restore."""
        return (
            Route("GET", "/mail/messages", "find_mail", self.find),
            Route("GET", "/mail/messages/{id}", "mail", self.read),
            Route("PUT", "/mail/messages/{id}", "set_mail", self.set),
        )

    def shown(self) -> dict[str, list[Row]]:
        """The messages, without what is in them."""
        names = ("message_id", "received", "sender", "subject", "mailboxes", "purged")
        return {"mail": [{name: one[name] for name in names} for one in self.mail.values()]}

    def happens(self, kind: str, fact: Row) -> bool:
        """A message arrives. `files` are texts by the names of the attachments."""
        if kind == "mail":
            files = fact.get("files", {})
            kept = [self._world.keep(text.encode(), name, "text/html") for name, text in files.items()]
            told = {name: value for name, value in fact.items() if name != "files"}
            self.mail[fact["message_id"]] = {
                "subject": "", "text": "", "urls": [], "reply_to": None, "headers": [], "enclosed": [], "purged": False,
                "recipients": fact["mailboxes"], "checks": {"spf": "pass", "dkim": "pass", "dmarc": "pass"},
                "attachments": kept, **told,
            }  # fmt: skip
        return kind == "mail"

    def find(self, request: Request) -> Answer:
        """The messages that have all that is asked for."""
        wanted = {name: value for name, value in request.query.items() if name in ("message_id", "sender")}
        found = [one for one in self.mail.values() if all(one[name] == value for name, value in wanted.items())]
        if "url" in request.query:
            found = [one for one in found if request.query["url"] in one["urls"]]
        if "hash" in request.query:
            found = [one for one in found if self._holds(one, request.query["hash"])]
        return 200, recent(found, request, "received")

    def read(self, request: Request) -> Answer:
        """One message with all that is in it."""
        found = self.mail.get(request.id)
        return (200, found) if found else nothing("message")

    def set(self, request: Request) -> Answer:
        """Take a message out of its mailboxes, or put it back."""
        found = self.mail.get(request.id)
        if found is None:
            return nothing("message")
        found["purged"] = bool(request.body["purged"])
        return 200, found

    def _holds(self, message: Row, digest: str) -> bool:
        algorithm = ALGORITHMS[len(digest)]
        contents = (self._world.files[one["sha256"]] for one in message["attachments"])
        return any(hashlib.new(algorithm, one, usedforsecurity=False).hexdigest() == digest for one in contents)


def _before(world: World) -> Iterable[Row]:
    """A phishing message to three people and one to a fourth, a report of it, and a letter that nobody minds."""
    bait = {
        "sender": "billing@evil.example", "reply_to": "billing@tunnel.example", "subject": "Your invoice is overdue",
        "text": f"Sign in to see your invoice: {SIGN_IN}", "urls": [SIGN_IN],
        "checks": {"spf": "fail", "dkim": "none", "dmarc": "fail"},
        "headers": [{"name": "x-originating-ip", "value": "203.0.113.7"}],
    }  # fmt: skip
    three = [f"{name}@corp.example" for name in ("alice", "bob", "carol")]
    files = {"invoice.html": ATTACHMENT.decode()}
    yield {
        **bait,
        "message_id": "invoice-1@evil.example",
        "received": world.ago(55),
        "mailboxes": three,
        "files": files,
    }
    yield {
        **bait, "message_id": "invoice-2@evil.example", "received": world.ago(50), "mailboxes": ["dave@corp.example"]
    }  # fmt: skip
    yield {
        "message_id": "report-1@corp.example", "received": world.ago(25), "sender": "bob@corp.example",
        "subject": "Is this real?", "text": "I think that I signed in there.", "mailboxes": ["abuse@corp.example"],
        "enclosed": ["invoice-1@evil.example"],
    }  # fmt: skip
    yield {
        "message_id": "menu@corp.example", "received": world.ago(300), "sender": "kitchen@corp.example",
        "subject": "Lunch", "text": "Soup.", "mailboxes": three,
    }  # fmt: skip

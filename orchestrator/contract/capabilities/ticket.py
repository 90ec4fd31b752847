"""The case that people work in: open it once, write into it, close it with a reason."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.contract.capability import Capability, Effect, Parameters, Result


class Code(StrEnum):
    """Why a case was closed."""

    TRUE_POSITIVE = "true_positive"
    FALSE_POSITIVE = "false_positive"
    BENIGN_EXPECTED = "benign_expected"
    DUPLICATE = "duplicate"
    UNDETERMINED = "undetermined"


class NewTicket(Parameters):
    """What the ticket says when it is opened."""

    title: str
    body: str = ""
    queue: str | None = None


class Comment(Parameters):
    """What to add, and to which ticket."""

    ticket: str
    text: str


class Resolution(Parameters):
    """Which ticket, and why it is closed."""

    ticket: str
    code: Code
    text: str = ""


class Ticket(Result):
    """The ticket as the ticket system knows it; `id` is what the other ticket verbs take."""

    id: str
    url: str | None = None
    status: str = "new"


class CommentAdded(Result):
    """The comment was added; `id` where the ticket system names it."""

    ticket: str
    id: str | None = None


open = Capability("ticket.open", NewTicket, Ticket, Effect.ADDITIVE, "Open a ticket, once.", target="title")  # noqa: A001 - named as the playbooks name it
comment = Capability(
    "ticket.comment", Comment, CommentAdded, Effect.ADDITIVE, "Add a comment to a ticket.", target="ticket"
)
resolve = Capability(
    "ticket.resolve", Resolution, Ticket, Effect.ADDITIVE, "Close a ticket with a reason.", target="ticket"
)

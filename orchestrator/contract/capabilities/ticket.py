"""The case that people work in: open it once, write into it, find it again, close it with a reason."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import Duration, FileRef, Severity

Tag = Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")]
"""One word: most ticket systems know no blanks in tags."""


class Code(StrEnum):
    """Why a case was closed."""

    TRUE_POSITIVE = "true_positive"
    FALSE_POSITIVE = "false_positive"
    BENIGN_EXPECTED = "benign_expected"
    DUPLICATE = "duplicate"
    UNDETERMINED = "undetermined"


class Relation(StrEnum):
    """What a ticket is to another one."""

    RELATES_TO = "relates_to"
    DUPLICATES = "duplicates"
    PART_OF = "part_of"
    CAUSED_BY = "caused_by"


class NewTicket(Parameters):
    """What the ticket says when it is opened."""

    title: str
    body: str = ""
    queue: str | None = None


class Comment(Parameters):
    """What to add, and to which ticket."""

    ticket: str
    text: str


class Change(Parameters):
    """What to change of which ticket; what is left out stays as it is."""

    ticket: str
    title: str | None = None
    severity: Severity | None = None
    owner: str | None = None
    queue: str | None = None
    status: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.model_dump(exclude={"ticket"}, exclude_none=True):
            return self
        raise ValueError("give at least one of title, severity, owner, queue, status")


class Tags(Parameters):
    """Which words to put on which ticket; those that it has stay."""

    ticket: str
    tags: Annotated[tuple[Tag, ...], Field(min_length=1, max_length=50)]


class Attachment(Parameters):
    """Which file to put into which ticket, and what it is."""

    ticket: str
    file: FileRef
    text: str = ""


class Link(Parameters):
    """What the ticket is to the other one."""

    ticket: str
    to: str
    relation: Relation = Relation.RELATES_TO


class Search(Parameters):
    """What the tickets have in common: all that is given must hold. `text` is looked for in title and body."""

    tag: Tag | None = None
    text: str | None = None
    open_only: bool = True
    within: Duration = timedelta(days=30)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.tag or self.text):
            raise ValueError("give at least one of tag, text; all tickets are no answer")
        return self


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


class Tagged(Result):
    """All words that the ticket carries now."""

    ticket: str
    tags: Annotated[tuple[str, ...], Field(max_length=MANY)] = ()


class Attached(Result):
    """The file was added; `id` where the ticket system names it."""

    ticket: str
    file: FileRef
    id: str | None = None


class Linked(Result):
    """The tickets know of each other."""

    ticket: str
    to: str
    relation: Relation


class TicketFound(Result):
    """A ticket, with as much as is needed to choose."""

    id: str
    title: str
    status: str
    url: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()


class TicketList(Result):
    """The tickets, newest first; `truncated` where there were more."""

    tickets: Annotated[tuple[TicketFound, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


open = Capability("ticket.open", NewTicket, Ticket, Effect.ADDITIVE, "Open a ticket, once.", target="title")  # noqa: A001 - named as the playbooks name it
comment = Capability(
    "ticket.comment", Comment, CommentAdded, Effect.ADDITIVE, "Add a comment to a ticket.", target="ticket"
)
change = Capability(
    "ticket.change", Change, Ticket, Effect.ADDITIVE, "Change title, severity, owner, queue or status of a ticket.",
    target="ticket",
)  # fmt: skip
tag = Capability("ticket.tag", Tags, Tagged, Effect.ADDITIVE, "Put words on a ticket.", target="ticket")
attach = Capability("ticket.attach", Attachment, Attached, Effect.ADDITIVE, "Add a file to a ticket.", target="ticket")
link = Capability("ticket.link", Link, Linked, Effect.ADDITIVE, "Link a ticket to another one.", target="ticket")
find = Capability("ticket.find", Search, TicketList, Effect.READ, "Find tickets by word or text.")
resolve = Capability(
    "ticket.resolve", Resolution, Ticket, Effect.ADDITIVE, "Close a ticket with a reason.", target="ticket"
)

"""The lab's ticket system. It makes a second ticket of a repeated request: each carries the key of its call."""

from __future__ import annotations

from typing import Any

from integrations.lab.product import SETTLES, LabCall, back, cut, get, lab, send
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import ticket

TICKET = "/tickets/{name}"


async def find_ticket(call: LabCall, new: ticket.NewTicket) -> ticket.Ticket | None:
    """The ticket that carries this call's key."""
    found = await get(call, "/tickets", {"external_key": call.key})
    return ticket.Ticket(id=found[0]["id"], status=found[0]["status"]) if found else None


@lab.implements(ticket.open, repeats=Readable(find_ticket, settles_within=SETTLES))
async def open_ticket(call: LabCall, new: ticket.NewTicket) -> ticket.Ticket:
    """Open a ticket that carries the call's key."""
    body = {"title": new.title, "body": new.body, "queue": new.queue, "external_key": call.key}
    made = await send(call, "POST", "/tickets", body)
    return ticket.Ticket(id=made["id"], status=made["status"])


async def mine(call: LabCall, number: str, what: str) -> dict[str, Any] | None:
    """The comment, file or link on the ticket that carries this call's key."""
    found = await get(call, TICKET, name=number)
    return next((one for one in found[what] if one.get("key") == call.key), None)


async def find_comment(call: LabCall, comment: ticket.Comment) -> ticket.CommentAdded | None:
    """This call's comment."""
    found = await mine(call, comment.ticket, "comments")
    return ticket.CommentAdded(ticket=comment.ticket, id=found["id"]) if found else None


@lab.implements(ticket.comment, repeats=Readable(find_comment, settles_within=SETTLES))
async def add_comment(call: LabCall, comment: ticket.Comment) -> ticket.CommentAdded:
    """Add a comment that carries the call's key."""
    body = {"text": comment.text, "key": call.key}
    made = await send(call, "POST", TICKET + "/comments", body, name=comment.ticket)
    return ticket.CommentAdded(ticket=comment.ticket, id=made["id"])


@lab.implements(ticket.change, repeats=Idempotent())
async def change(call: LabCall, want: ticket.Change) -> ticket.Ticket:
    """Set the fields that are given."""
    body = want.model_dump(mode="json", exclude={"ticket"}, exclude_none=True)
    found = await send(call, "PUT", TICKET, body, name=want.ticket)
    return ticket.Ticket(id=want.ticket, status=found["status"])


@lab.implements(ticket.tag, repeats=Idempotent())
async def tag(call: LabCall, want: ticket.Tags) -> ticket.Tagged:
    """Put words on the ticket; one that is there already is there once."""
    found = await send(call, "POST", TICKET + "/tags", {"tags": list(want.tags)}, name=want.ticket)
    return ticket.Tagged(ticket=want.ticket, tags=found["tags"])


async def find_attachment(call: LabCall, want: ticket.Attachment) -> ticket.Attached | None:
    """This call's file."""
    found = await mine(call, want.ticket, "attachments")
    return ticket.Attached(ticket=want.ticket, file=want.file, id=found["id"]) if found else None


@lab.implements(ticket.attach, repeats=Readable(find_attachment, settles_within=SETTLES))
async def attach(call: LabCall, want: ticket.Attachment) -> ticket.Attached:
    """Add a file. The lab keeps the files of all its systems in one place, so its name there is enough."""
    body = {**want.file.model_dump(mode="json"), "text": want.text, "key": call.key}
    made = await send(call, "POST", TICKET + "/attachments", body, name=want.ticket)
    return ticket.Attached(ticket=want.ticket, file=want.file, id=made["id"])


async def find_link(call: LabCall, want: ticket.Link) -> ticket.Linked | None:
    """This call's link."""
    found = await mine(call, want.ticket, "links")
    return ticket.Linked(ticket=want.ticket, to=want.to, relation=want.relation) if found else None


@lab.implements(ticket.link, repeats=Readable(find_link, settles_within=SETTLES))
async def link(call: LabCall, want: ticket.Link) -> ticket.Linked:
    """Link the ticket to another one."""
    body = {"to": want.to, "relation": want.relation, "key": call.key}
    await send(call, "POST", TICKET + "/links", body, name=want.ticket)
    return ticket.Linked(ticket=want.ticket, to=want.to, relation=want.relation)


@lab.reads(ticket.find)
async def find(call: LabCall, want: ticket.Search) -> ticket.TicketList:
    """The tickets with this word on them and this text in them."""
    query = {name: value for name, value in (("tag", want.tag), ("text", want.text)) if value}
    query |= {"open": str(want.open_only).lower(), **back(want.within)}
    rows = await get(call, "/search/tickets", query)
    seen = [{name: one.get(name) for name in ticket.TicketFound.model_fields} for one in rows[:MANY]]
    return ticket.TicketList(tickets=seen, **cut(rows))


@lab.implements(ticket.resolve, repeats=Idempotent())
async def resolve(call: LabCall, end: ticket.Resolution) -> ticket.Ticket:
    """Close the ticket; the reason stands beside its status."""
    body = {"status": "resolved", "code": end.code, "resolution": end.text}
    found = await send(call, "PUT", TICKET, body, name=end.ticket)
    return ticket.Ticket(id=end.ticket, status=found["status"])

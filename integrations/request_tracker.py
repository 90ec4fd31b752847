"""Request Tracker 5 over REST 2: open a ticket once, comment on it, resolve it.

API: https://docs.bestpractical.com, RT::REST2. A repeated POST makes a second ticket, and a refused change is answered
200: so a ticket carries the call's key where it can be searched, and every change is read back.
"""

from __future__ import annotations

import base64
from typing import Any

from orchestrator.contract import Call, Config, Integration, Readable, Rejected, Secret
from orchestrator.contract.capabilities import ticket

SETTLES = 5.0
"""seconds; RT's preforked workers finish a request whose client has gone"""


class RequestTrackerConfig(Config):
    """Where RT is, an account that may create and change tickets, and the queue for new ones."""

    url: str
    user: str
    password: Secret
    queue: str = "General"


request_tracker = Integration(
    "request_tracker", "Request Tracker 5", RequestTrackerConfig,
    base_url=lambda config: config.url.rstrip("/") + "/REST/2.0",
    basic_auth=lambda config: (config.user, config.password.get_secret_value()),
)  # fmt: skip
RtCall = Call[RequestTrackerConfig]


def mark(call: RtCall) -> str:
    """What makes this call's ticket or comment findable."""
    return f"[tocsin:{call.key[:16]}]"


async def find_ticket(call: RtCall, new: ticket.NewTicket) -> ticket.Ticket | None:
    """The ticket whose subject carries this call's mark."""
    query = {"query": f"Subject LIKE '{mark(call)}'", "fields": "Status"}
    found = (await call.http.request("GET", "/tickets", query=query)).json()["items"]
    return shown(call, found[0]["id"], found[0]["Status"]) if found else None


@request_tracker.implements(ticket.open, repeats=Readable(find_ticket, settles_within=SETTLES), needs=("CreateTicket",))
async def open_ticket(call: RtCall, new: ticket.NewTicket) -> ticket.Ticket:
    """Open a ticket; the mark at the end of its subject is what is searched for after a lost answer."""
    body = {
        "Queue": new.queue or call.config.queue,
        "Subject": f"{' '.join(new.title.split())[:180]} {mark(call)}",
        "Content": new.body or new.title,
        "ContentType": "text/plain",
    }
    made = (await call.http.request("POST", "/ticket", json=body)).json()
    return shown(call, made["id"], "new")


async def find_comment(call: RtCall, comment: ticket.Comment) -> ticket.CommentAdded | None:
    """The comment that carries this call's mark; RT keeps its first line as it was sent."""
    query = {"fields": "Type", "per_page": "100"}
    history = (await call.http.request("GET", "/ticket/{id}/history", id=comment.ticket, query=query)).json()
    for item in reversed(history["items"]):
        if item.get("Type") != "Comment":
            continue
        found = (await call.http.request("GET", "/transaction/{id}", id=str(item["id"]))).json()
        for link in found.get("_hyperlinks", []):
            if link.get("ref") == "attachment" and mark(call) in await attached(call, link):
                return ticket.CommentAdded(ticket=comment.ticket, id=str(item["id"]))
    return None


async def attached(call: RtCall, link: dict[str, Any]) -> str:
    """The text of an attachment."""
    found = (await call.http.request("GET", "/attachment/{id}", id=str(link["_url"].rpartition("/")[2]))).json()
    return base64.b64decode(found.get("Content") or "").decode("utf-8", "replace")


@request_tracker.implements(
    ticket.comment, repeats=Readable(find_comment, settles_within=SETTLES), needs=("CommentOnTicket",)
)
async def add_comment(call: RtCall, comment: ticket.Comment) -> ticket.CommentAdded:
    """Add a comment that ends with the mark."""
    await call.http.request("POST", "/ticket/{id}/comment", id=comment.ticket, text=f"{comment.text}\n\n{mark(call)}")
    return ticket.CommentAdded(ticket=comment.ticket)


async def find_resolved(call: RtCall, end: ticket.Resolution) -> ticket.Ticket | None:
    """The ticket, if it is resolved."""
    found = await read(call, end.ticket)
    return found if found.status == "resolved" else None


@request_tracker.implements(
    ticket.resolve, repeats=Readable(find_resolved, settles_within=SETTLES), needs=("ModifyTicket",)
)
async def resolve(call: RtCall, end: ticket.Resolution) -> ticket.Ticket:
    """Close the ticket with its reason as the last comment; read back, since RT answers 200 to what it refuses."""
    words = f"Closed as {end.code}. {end.text}".strip()
    await call.http.request("POST", "/ticket/{id}/comment", id=end.ticket, text=f"{words}\n\n{mark(call)}")
    said = (await call.http.request("PUT", "/ticket/{id}", id=end.ticket, json={"Status": "resolved"})).json()
    found = await read(call, end.ticket)
    if found.status != "resolved":
        raise Rejected(f"RT did not resolve the ticket: {' '.join(map(str, said))[:200]}")
    return found


async def read(call: RtCall, number: str) -> ticket.Ticket:
    """The ticket as RT holds it."""
    found = (await call.http.request("GET", "/ticket/{id}", id=number)).json()
    return shown(call, number, found["Status"])


def shown(call: RtCall, number: Any, status: str) -> ticket.Ticket:
    """The ticket with the address that people open."""
    url = f"{call.config.url.rstrip('/')}/Ticket/Display.html?id={number}"
    return ticket.Ticket(id=str(number), url=url, status=status)

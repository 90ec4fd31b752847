"""The lab: a small service on this machine that plays firewall, directory, tickets, intelligence and chat.

It is the integration to read before you write one of your own: what the product wants to be configured with, how a
request is authorised, then one function for each capability, and for each that changes something how to find out
whether a request took effect when its answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.contract import Call, Config, Http, Idempotent, Integration, Readable, Secret
from orchestrator.contract.capabilities import firewall, identity, intel, notify, ticket

SETTLES = 1.0
"""seconds within which a request that was not answered has taken effect, or never will"""


class LabConfig(Config):
    """Where the lab listens, and its token."""

    url: str
    token: Secret


async def authorize(config: LabConfig, http: Http) -> Mapping[str, str]:
    """The header that every request carries."""
    return {"authorization": f"Bearer {config.token.get_secret_value()}"}


lab = Integration("lab", "The lab", LabConfig, base_url=lambda config: config.url, authorize=authorize)
LabCall = Call[LabConfig]


async def find_block(call: LabCall, want: firewall.BlockIp) -> firewall.IpState | None:
    """The block that this very call has made."""
    query = {"ip": want.ip, "key": call.key}
    found = (await call.http.request("GET", "/firewall/blocks", query=query)).json()
    return firewall.IpState(ip=want.ip, blocked=True, entry=found[0]["id"]) if found else None


@lab.implements(firewall.block_ip, repeats=Readable(find_block, settles_within=SETTLES))
async def block(call: LabCall, want: firewall.BlockIp) -> firewall.IpState:
    """Add a block; the lab takes it away by itself at `until` as little as most firewalls do."""
    until = call.until.isoformat() if call.until else None
    body = {"ip": want.ip, "reason": want.reason, "until": until}
    made = (await call.http.request("POST", "/firewall/blocks", json=body, headers=marked(call))).json()
    return firewall.IpState(ip=want.ip, blocked=True, entry=made["id"])


@lab.implements(firewall.unblock_ip, repeats=Idempotent())
async def unblock(call: LabCall, want: firewall.Ip) -> firewall.IpState:
    """Remove every block of the address."""
    for entry in (await call.http.request("GET", "/firewall/blocks", query={"ip": want.ip})).json():
        await call.http.request("DELETE", "/firewall/blocks/{id}", id=entry["id"], headers=marked(call), accept=(404,))
    return firewall.IpState(ip=want.ip, blocked=False)


@lab.reads(firewall.ip_state)
async def ip_state(call: LabCall, want: firewall.Ip) -> firewall.IpState:
    """Whether any block names the address."""
    found = (await call.http.request("GET", "/firewall/blocks", query={"ip": want.ip})).json()
    return firewall.IpState(ip=want.ip, blocked=bool(found), entry=found[0]["id"] if found else None)


@lab.implements(identity.disable_account, repeats=Idempotent())
async def disable(call: LabCall, who: identity.Account) -> identity.AccountState:
    """Stop the account from signing in."""
    return await set_account(call, who, enabled=False)


@lab.implements(identity.enable_account, repeats=Idempotent())
async def enable(call: LabCall, who: identity.Account) -> identity.AccountState:
    """Let the account sign in again."""
    return await set_account(call, who, enabled=True)


async def set_account(call: LabCall, who: identity.Account, *, enabled: bool) -> identity.AccountState:
    """The account after the change."""
    answer = await call.http.request(
        "PUT", "/directory/accounts/{name}", name=who.account, json={"enabled": enabled}, headers=marked(call)
    )
    return identity.AccountState(account=who.account, enabled=answer.json()["enabled"], id=answer.json()["id"])


@lab.reads(identity.account_state)
async def account_state(call: LabCall, who: identity.Account) -> identity.AccountState:
    """The account as it is."""
    found = (await call.http.request("GET", "/directory/accounts/{name}", name=who.account)).json()
    return identity.AccountState(account=who.account, enabled=found["enabled"], id=found["id"])


async def find_ticket(call: LabCall, new: ticket.NewTicket) -> ticket.Ticket | None:
    """The ticket that carries this call's key."""
    found = (await call.http.request("GET", "/tickets", query={"external_key": call.key})).json()
    return ticket.Ticket(id=found[0]["id"], status=found[0]["status"]) if found else None


@lab.implements(ticket.open, repeats=Readable(find_ticket, settles_within=SETTLES))
async def open_ticket(call: LabCall, new: ticket.NewTicket) -> ticket.Ticket:
    """Open a ticket that carries the call's key."""
    body = {"title": new.title, "body": new.body, "queue": new.queue, "external_key": call.key}
    made = (await call.http.request("POST", "/tickets", json=body, headers=marked(call))).json()
    return ticket.Ticket(id=made["id"], status=made["status"])


async def find_comment(call: LabCall, comment: ticket.Comment) -> ticket.CommentAdded | None:
    """The comment that carries this call's key."""
    found = (await call.http.request("GET", "/tickets/{id}", id=comment.ticket)).json()
    mine = [one for one in found["comments"] if one.get("key") == call.key]
    return ticket.CommentAdded(ticket=comment.ticket, id=mine[0]["id"]) if mine else None


@lab.implements(ticket.comment, repeats=Readable(find_comment, settles_within=SETTLES))
async def add_comment(call: LabCall, comment: ticket.Comment) -> ticket.CommentAdded:
    """Add a comment that carries the call's key."""
    answer = await call.http.request(
        "POST", "/tickets/{id}/comments", id=comment.ticket, json={"text": comment.text, "key": call.key},
        headers=marked(call),
    )  # fmt: skip
    return ticket.CommentAdded(ticket=comment.ticket, id=answer.json()["id"])


@lab.implements(ticket.resolve, repeats=Idempotent())
async def resolve(call: LabCall, end: ticket.Resolution) -> ticket.Ticket:
    """Close the ticket; the reason stands beside its status."""
    answer = await call.http.request(
        "PUT", "/tickets/{id}", id=end.ticket, headers=marked(call),
        json={"status": "resolved", "code": end.code, "resolution": end.text},
    )  # fmt: skip
    return ticket.Ticket(id=end.ticket, status=answer.json()["status"])


@lab.reads(intel.lookup_ip)
async def look_up(call: LabCall, want: intel.LookupIp) -> intel.IpReport:
    """What the lab's little table says."""
    found = (await call.http.request("GET", "/intelligence/addresses/{ip}", ip=want.ip)).json()
    return intel.IpReport(
        ip=want.ip, score=found["score"], country=found["country"], asn=found["asn"], owner=found["owner"]
    )


async def find_message(call: LabCall, message: notify.Message) -> notify.Sent | None:
    """The message that carries this call's key."""
    path, query = "/chat/{channel}/messages", {"key": call.key}
    found = (await call.http.request("GET", path, channel=message.channel, query=query)).json()
    return notify.Sent(channel=message.channel, id=found[0]["id"]) if found else None


@lab.implements(notify.send, repeats=Readable(find_message, settles_within=SETTLES))
async def send(call: LabCall, message: notify.Message) -> notify.Sent:
    """Post to the channel."""
    answer = await call.http.request(
        "POST", "/chat/{channel}/messages", channel=message.channel, json={"text": message.text, "key": call.key},
        headers=marked(call),
    )  # fmt: skip
    return notify.Sent(channel=message.channel, id=answer.json()["id"])


def marked(call: LabCall) -> dict[str, str]:
    """The lab writes the key into its log; it never acts on it."""
    return {"Idempotency-Key": call.key}

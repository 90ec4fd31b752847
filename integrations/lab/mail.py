"""The lab's mail system: messages in all mailboxes, and senders that it refuses."""

from __future__ import annotations

from typing import Any

from integrations.lab import denylist
from integrations.lab.product import SETTLES, LabCall, back, cut, get, lab, send
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import mail

MESSAGE = "/mail/messages/{name}"
SENDERS = "/mail/senders"


@lab.reads(mail.find_messages)
async def find(call: LabCall, want: mail.Search) -> mail.MessageList:
    """The messages that have all that is asked for."""
    query = want.model_dump(mode="json", exclude={"within"}, exclude_none=True)
    rows = await get(call, "/mail/messages", {**query, **back(want.within)})
    return mail.MessageList(messages=[held(mail.MessageFound, one) for one in rows[:MANY]], **cut(rows))


@lab.reads(mail.get_message)
async def read(call: LabCall, which: mail.OneMessage) -> mail.Message:
    """One message; its text is cut at what a result holds."""
    found = await get(call, MESSAGE, name=which.message_id)
    return mail.Message.model_validate({**held(mail.Message, found), "text": found["text"][:16_384]})


@lab.implements(mail.purge_message, repeats=Idempotent())
async def purge(call: LabCall, which: mail.OneMessage) -> mail.MessageState:
    """Take the message out of every mailbox."""
    found = await send(call, "PUT", MESSAGE, {"purged": True}, name=which.message_id)
    return mail.MessageState.model_validate(held(mail.MessageState, found))


@lab.implements(mail.restore_message, repeats=Idempotent())
async def restore(call: LabCall, which: mail.OneMessage) -> mail.MessageState:
    """Put the message back."""
    found = await send(call, "PUT", MESSAGE, {"purged": False}, name=which.message_id)
    return mail.MessageState.model_validate(held(mail.MessageState, found))


@lab.reads(mail.message_state)
async def message_state(call: LabCall, which: mail.OneMessage) -> mail.MessageState:
    """The message as it is."""
    return mail.MessageState.model_validate(held(mail.MessageState, await get(call, MESSAGE, name=which.message_id)))


def held(model: type[mail.MessageFound | mail.MessageState | mail.Message], found: dict[str, Any]) -> dict[str, Any]:
    """What the model takes of all that the mail system says."""
    return {name: found[name] for name in model.model_fields}


async def find_block(call: LabCall, want: mail.BlockSender) -> mail.SenderState | None:
    """The block that this very call has made."""
    entry = await denylist.find(call, SENDERS, sender=want.sender, key=call.key)
    return mail.SenderState(sender=want.sender, blocked=True, entry=entry) if entry else None


@lab.implements(mail.block_sender, repeats=Readable(find_block, settles_within=SETTLES))
async def block(call: LabCall, want: mail.BlockSender) -> mail.SenderState:
    """Add a block."""
    entry = await denylist.add(call, SENDERS, want.reason, sender=want.sender)
    return mail.SenderState(sender=want.sender, blocked=True, entry=entry)


@lab.implements(mail.unblock_sender, repeats=Idempotent())
async def unblock(call: LabCall, want: mail.Sender) -> mail.SenderState:
    """Remove every block of the sender."""
    await denylist.remove(call, SENDERS, sender=want.sender)
    return mail.SenderState(sender=want.sender, blocked=False)


@lab.reads(mail.sender_state)
async def sender_state(call: LabCall, want: mail.Sender) -> mail.SenderState:
    """Whether any block names the sender."""
    entry = await denylist.find(call, SENDERS, sender=want.sender)
    return mail.SenderState(sender=want.sender, blocked=entry is not None, entry=entry)

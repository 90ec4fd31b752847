"""The lab's chat."""

from __future__ import annotations

from integrations.lab.product import SETTLES, LabCall, get, lab, send
from orchestrator.contract import Readable
from orchestrator.contract.capabilities import notify

MESSAGES = "/chat/{name}/messages"


async def find_message(call: LabCall, message: notify.Message) -> notify.Sent | None:
    """The message that carries this call's key."""
    found = await get(call, MESSAGES, {"key": call.key}, name=message.channel)
    return notify.Sent(channel=message.channel, id=found[0]["id"]) if found else None


@lab.implements(notify.send, repeats=Readable(find_message, settles_within=SETTLES))
async def send_message(call: LabCall, message: notify.Message) -> notify.Sent:
    """Post to the channel."""
    body = {"text": message.text, "key": call.key}
    made = await send(call, "POST", MESSAGES, body, name=message.channel)
    return notify.Sent(channel=message.channel, id=made["id"])

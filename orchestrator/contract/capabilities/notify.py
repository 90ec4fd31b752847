"""Tell people."""

from __future__ import annotations

from orchestrator.contract.capability import Capability, Effect, Parameters, Result


class Message(Parameters):
    """Which channel (a name that the site maps), and the text."""

    channel: str
    text: str


class Sent(Result):
    """The message was handed over; `id` is the receiver's name for it."""

    channel: str
    id: str | None = None


send = Capability("notify.send", Message, Sent, Effect.ADDITIVE, "Send a message to a channel.", target="channel")

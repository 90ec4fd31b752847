"""Find a message in all mailboxes, take it out of them and put it back; keep a sender out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import Duration, FileHash, FileRef, MailAddress, Url


def _bare(text: str) -> str:
    name = text.strip().removeprefix("<").removesuffix(">")
    if not name or any(not "!" <= letter <= "~" or letter in "<>" for letter in name):
        raise ValueError("a message id is the text between < and > of the header Message-ID")
    return name


MessageId = Annotated[str, Field(max_length=998), AfterValidator(_bare)]
"""The Message-ID (RFC 5322) without its brackets: the same in every mailbox that the message lies in."""


class Search(Parameters):
    """What the messages have in common: all that is given must hold. `hash` is of an attachment."""

    message_id: MessageId | None = None
    sender: MailAddress | None = None
    url: Url | None = None
    hash: FileHash | None = None
    within: Duration = timedelta(days=7)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.message_id or self.sender or self.url or self.hash):
            raise ValueError("give at least one of message_id, sender, url, hash; all mail is no answer")
        return self


class OneMessage(Parameters):
    """Which message."""

    message_id: MessageId


class Sender(Parameters):
    """Which sender."""

    sender: MailAddress


class BlockSender(Parameters):
    """Which sender, and the words that the mail system keeps beside the entry."""

    sender: MailAddress
    reason: str = ""


class MessageFound(Result):
    """A message and the mailboxes that it lies in; `purged` where it was taken out of them."""

    message_id: MessageId
    received: datetime
    sender: MailAddress
    subject: str = ""
    mailboxes: Annotated[tuple[MailAddress, ...], Field(max_length=MANY)] = ()
    purged: bool = False


class MessageList(Result):
    """The messages, newest first; `truncated` where there were more."""

    messages: Annotated[tuple[MessageFound, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


class Header(Result):
    """A line of the message's head, its name in small letters."""

    name: str
    value: str


class Checks(Result):
    """What the receiving server found of the sender: `pass`, `fail`, `none` and so on, as RFC 8601 has them."""

    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None


class Message(Result):
    """A message as it was received.

    `text` is its readable part, cut at 16,384 characters. `urls` are all links in it, also of its markup.
    `enclosed` names the messages that it carries as attachments: a report of phishing encloses what it reports.
    """

    message_id: MessageId
    received: datetime
    sender: MailAddress
    reply_to: MailAddress | None = None
    recipients: Annotated[tuple[MailAddress, ...], Field(max_length=MANY)] = ()
    subject: str = ""
    text: Annotated[str, Field(max_length=16_384)] = ""
    urls: Annotated[tuple[str, ...], Field(max_length=MANY)] = ()
    headers: Annotated[tuple[Header, ...], Field(max_length=MANY)] = ()
    checks: Checks = Checks()
    attachments: Annotated[tuple[FileRef, ...], Field(max_length=MANY)] = ()
    enclosed: Annotated[tuple[MessageId, ...], Field(max_length=MANY)] = ()


class MessageState(Result):
    """Whether readers can see the message; `mailboxes` are those that it lies in, or was taken out of."""

    message_id: MessageId
    purged: bool
    mailboxes: Annotated[tuple[MailAddress, ...], Field(max_length=MANY)] = ()


class SenderState(Result):
    """Whether the mail system refuses the sender, and since which entry of its own."""

    sender: MailAddress
    blocked: bool
    entry: str | None = None


find_messages = Capability(
    "mail.find_messages",
    Search,
    MessageList,
    Effect.READ,
    "Find messages in all mailboxes by what they have in common.",
)
get_message = Capability(
    "mail.get_message", OneMessage, Message, Effect.READ, "Read a message, its links and attachments.",
    target="message_id", d3fend="D3-MA",
)  # fmt: skip
purge_message = Capability(
    "mail.purge_message", OneMessage, MessageState, Effect.REVERSIBLE,
    "Take a message out of every mailbox; it is kept where no reader sees it, and can be put back.",
    target="message_id", inverse="mail.restore_message", state="mail.message_state", d3fend="D3-ER",
)  # fmt: skip
restore_message = Capability(
    "mail.restore_message", OneMessage, MessageState, Effect.REVERSIBLE,
    "Put a message back into every mailbox that it was taken out of.",
    target="message_id", inverse="mail.purge_message", state="mail.message_state", d3fend="D3-RE",
)  # fmt: skip
message_state = Capability(
    "mail.message_state", OneMessage, MessageState, Effect.READ, "Whether readers can see a message.",
    target="message_id",
)  # fmt: skip
block_sender = Capability(
    "mail.block_sender", BlockSender, SenderState, Effect.REVERSIBLE, "Refuse all mail of a sender.",
    target="sender", inverse="mail.unblock_sender", state="mail.sender_state", d3fend="D3-EF",
)  # fmt: skip
unblock_sender = Capability(
    "mail.unblock_sender", Sender, SenderState, Effect.REVERSIBLE, "Take a sender's mail again.",
    target="sender", inverse="mail.block_sender", state="mail.sender_state",
)  # fmt: skip
sender_state = Capability(
    "mail.sender_state", Sender, SenderState, Effect.READ, "Whether mail of a sender is refused now.", target="sender"
)

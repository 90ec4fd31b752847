"""The systems that the lab plays: one file each, all listed here."""

from __future__ import annotations

from orchestrator.local.lab.systems.chat import Chat
from orchestrator.local.lab.systems.cloud import Cloud
from orchestrator.local.lab.systems.denylist import Denylist
from orchestrator.local.lab.systems.directory import Directory
from orchestrator.local.lab.systems.endpoints import Endpoints
from orchestrator.local.lab.systems.intelligence import Intelligence
from orchestrator.local.lab.systems.mailboxes import Mailboxes
from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, System, World
from orchestrator.local.lab.systems.tickets import Tickets
from orchestrator.local.lab.systems.traffic import Traffic

__all__ = ["Answer", "Request", "Route", "Row", "System", "Systems", "World"]


class Systems:
    """All of them, in one world."""

    def __init__(self, world: World) -> None:
        self.firewall = Denylist("/firewall/blocks", "block", add="block", listed="blocks", remove="unblock")
        self.senders = Denylist(
            "/mail/senders", "sender", add="block_sender", listed="senders", remove="unblock_sender"
        )
        self.domains = Denylist("/dns/blocks", "domain", add="block_domain", listed="domains", remove="unblock_domain")
        self.pages = Denylist("/proxy/blocks", "page", add="block_url", listed="urls", remove="unblock_url")
        self.directory = Directory(world)
        self.tickets = Tickets(world)
        self.chat = Chat()
        self.endpoints = Endpoints(world)
        self.mail = Mailboxes(world)
        self.traffic = Traffic(world)
        self.cloud = Cloud(world)
        self.intelligence = Intelligence(world)

    @property
    def all(self) -> tuple[System, ...]:
        """Each of them."""
        return tuple(vars(self).values())

"""What the lab's systems hold. Nothing is deduplicated: what is asked twice happens twice, so that tests can see it."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACCOUNTS = ("alice", "bob", "carol", "dave", "svc-backup")
KNOWN = {
    "203.0.113.0/25": (97, "NL", 64496, "Example Bulletproof Hosting"),
    "203.0.113.128/25": (60, "US", 64497, "Example Cloud"),
    "198.51.100.0/24": (95, "RO", 64498, "Example Controllers"),
    "192.0.2.0/24": (0, "DE", 64499, "Example University"),
}
"""score, country, AS number and owner of the documentation ranges (RFC 5737, RFC 5398)"""


class LabState:
    """Blocks, accounts, tickets and messages, kept as the log of requests that made them.

    Every request is appended to the log and synced to disk before it is answered; at the next start the log is read
    again, so effects survive.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.blocks: list[dict[str, Any]] = []
        self.accounts = {name: {"id": f"acc-{n}", "name": name, "enabled": True} for n, name in enumerate(ACCOUNTS, 1)}
        self.tickets: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self._path = folder / "requests.jsonl"
        if self._path.exists():
            self._read_again()
            if not self._path.read_bytes().endswith(b"\n"):  # cut off by a kill: the next entry is a line of its own
                with self._path.open("a", encoding="utf-8") as log:
                    log.write("\n")
        self._log = self._path.open("a", encoding="utf-8")

    def apply(self, entry: dict[str, Any]) -> tuple[int, Any]:
        """Log a request and carry it out: status and body of the answer."""
        entry = {"seq": len(self.requests) + 1, "at": datetime.now(UTC).isoformat(), **entry}
        self._log.write(json.dumps(entry) + "\n")
        self._log.flush()
        os.fsync(self._log.fileno())
        self.requests.append(entry)
        return self._carry_out(entry)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _read_again(self) -> None:
        for line in self._path.read_text(encoding="utf-8").splitlines():
            if not line.endswith("}"):
                continue  # the last line of a process that was killed in the middle of it: never answered
            entry = json.loads(line)
            self.requests.append(entry)
            self._carry_out(entry)

    def _carry_out(self, entry: dict[str, Any]) -> tuple[int, Any]:
        if entry.get("dropped"):
            return 503, {"error": "dropped"}
        operation: Callable[..., tuple[int, Any]] = getattr(self, "do_" + entry["operation"])
        return operation(entry.get("body") or {}, entry)

    def do_block(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """Add a block."""
        made = {"id": f"block-{entry['seq']}", "at": entry["at"], "key": entry.get("key"), **body}
        self.blocks.append(made)
        return 201, made

    def do_blocks(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """The blocks of an address."""
        wanted = entry.get("query", {})
        found = [b for b in self.blocks if all(b.get(name) == value for name, value in wanted.items())]
        return 200, found

    def do_unblock(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """Remove one block."""
        left = [b for b in self.blocks if b["id"] != entry["id"]]
        if len(left) == len(self.blocks):
            return 404, {"error": "no such block"}
        self.blocks = left
        return 200, {"deleted": entry["id"]}

    def do_account(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """An account as it is."""
        account = self.accounts.get(entry["id"])
        return (200, account) if account else (404, {"error": "no such account"})

    def do_set_account(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """Enable or disable an account; an unknown one is not made."""
        account = self.accounts.get(entry["id"])
        if account is None:
            return 404, {"error": "no such account"}
        account["enabled"] = bool(body["enabled"])
        return 200, account

    def do_open(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """A new ticket."""
        made = {"id": str(1000 + entry["seq"]), "at": entry["at"], "status": "new", "comments": [], **body}
        self.tickets.append(made)
        return 201, made

    def do_tickets(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """The tickets with an external key."""
        wanted = entry.get("query", {})
        return 200, [t for t in self.tickets if all(t.get(name) == value for name, value in wanted.items())]

    def do_ticket(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """One ticket."""
        found = next((t for t in self.tickets if t["id"] == entry["id"]), None)
        return (200, found) if found else (404, {"error": "no such ticket"})

    def do_comment(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """A comment on a ticket."""
        status, ticket = self.do_ticket(body, entry)
        if status == 200:
            made = {"id": f"comment-{entry['seq']}", **body}
            ticket["comments"].append(made)
            return 201, made
        return status, ticket

    def do_change(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """Another status for a ticket."""
        status, ticket = self.do_ticket(body, entry)
        if status == 200:
            ticket.update(body)
        return status, ticket

    def do_look_up(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """What is known of an address."""
        try:
            address = ipaddress.ip_address(entry["id"])
        except ValueError:
            return 400, {"error": "not an address"}
        for network, (score, country, asn, owner) in KNOWN.items():
            if address in ipaddress.ip_network(network):
                return 200, {"ip": str(address), "score": score, "country": country, "asn": asn, "owner": owner}
        return 200, {"ip": str(address), "score": 0, "country": None, "asn": None, "owner": None}

    def do_message(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """A message in a channel."""
        made = {"id": f"message-{entry['seq']}", "at": entry["at"], "channel": entry["id"], **body}
        self.messages.append(made)
        return 201, made

    def do_messages(self, body: dict[str, Any], entry: dict[str, Any]) -> tuple[int, Any]:
        """The messages of a channel with a key."""
        wanted = {"channel": entry["id"], **entry.get("query", {})}
        return 200, [m for m in self.messages if all(m.get(name) == value for name, value in wanted.items())]

"""What is known of addresses, domains, pages and files; all of it invented, in ranges and names kept for examples."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from orchestrator.local.lab.systems.endpoints import MALWARE, WEB_SHELL
from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World

NETWORKS = {
    "203.0.113.0/25": (97, "NL", 64496, "Example Bulletproof Hosting"),
    "203.0.113.128/25": (60, "US", 64497, "Example Cloud"),
    "198.51.100.0/24": (95, "RO", 64498, "Example Controllers"),
    "192.0.2.0/24": (0, "DE", 64499, "Example University"),
}
"""score, country, AS number and owner of the documentation ranges (RFC 5737, RFC 5398)"""
MINUTES_A_DAY = 1_440


class Intelligence:
    """Scores of 0 to 100; what it does not know it answers with 0."""

    def __init__(self, world: World) -> None:
        self.domains: dict[str, Row] = {
            "evil.example": _known(95, registered=world.ago(3 * MINUTES_A_DAY), registrar="Example Names"),
            "tunnel.example": _known(80, registered=world.ago(9 * MINUTES_A_DAY), registrar="Example Names"),
            "corp.example": _known(0, registered=world.ago(4_000 * MINUTES_A_DAY), registrar="Example Names"),
        }
        self.hashes: dict[str, Row] = {}
        for content, family in ((MALWARE, "Example.Locker"), (WEB_SHELL, "Example.Shell")):
            for algorithm in ("md5", "sha1", "sha256"):
                digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
                self.hashes[digest] = {"score": 99, "known": True, "family": family}

    def routes(self) -> Iterable[Route]:
        """One look-up for each kind."""
        return (
            Route("GET", "/intelligence/addresses/{id}", "look_up", self.address),
            Route("GET", "/intelligence/domains/{id}", "look_up_domain", self.domain),
            Route("GET", "/intelligence/hashes/{id}", "look_up_hash", self.hash),
            Route("GET", "/intelligence/pages", "look_up_url", self.page),
        )

    def shown(self) -> dict[str, list[Row]]:
        """Nothing: it never changes."""
        return {}

    def happens(self, kind: str, fact: Row) -> bool:
        """Somebody finds out that a domain or a file is bad."""
        if kind == "bad_domain":
            self.domains[fact["domain"]] = _known(90, **fact)
        elif kind == "bad_file":
            self.hashes[fact["hash"]] = {"score": 90, "known": True, "family": None, **fact}
        return kind in ("bad_domain", "bad_file")

    def address(self, request: Request) -> Answer:
        """What is known of an address."""
        try:
            address = ipaddress.ip_address(request.id)
        except ValueError:
            return 400, {"error": "not an address"}
        for network, (score, country, asn, owner) in NETWORKS.items():
            if address in ipaddress.ip_network(network):
                return 200, {"ip": str(address), "score": score, "country": country, "asn": asn, "owner": owner}
        return 200, {"ip": str(address), "score": 0, "country": None, "asn": None, "owner": None}

    def domain(self, request: Request) -> Answer:
        """What is known of a domain, or of the one that it lies below."""
        return 200, {**self._of(request.id), "domain": request.id}

    def page(self, request: Request) -> Answer:
        """A page is as bad as its domain; the lab follows no links."""
        url = request.query["url"]
        return 200, {"url": url, "score": self._of(urlsplit(url).hostname or "")["score"], "leads_to": None}

    def hash(self, request: Request) -> Answer:
        """What is known of a file."""
        unknown = {"score": 0, "known": False, "family": None}
        return 200, {**self.hashes.get(request.id, unknown), "hash": request.id}

    def _of(self, name: str) -> Row:
        labels = name.split(".")
        above = (".".join(labels[place:]) for place in range(len(labels)))
        return next((self.domains[one] for one in above if one in self.domains), _known(0))


def _known(score: int, **more: Any) -> Row:
    return {"score": score, "registered": None, "registrar": None, **more}

"""What the resolver and the proxy saw: who asked for which name, who opened which page."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.mailboxes import SIGN_IN
from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, recent


class Traffic:
    """Queries and requests, one row each; `count` stands for many queries of the same kind."""

    def __init__(self, world: World) -> None:
        self.queries: list[Row] = list(_queries(world))
        self.visits: list[Row] = list(_visits(world))

    def routes(self) -> Iterable[Route]:
        """Two reads."""
        return (
            Route("GET", "/dns/clients", "dns_clients", self.clients),
            Route("GET", "/proxy/visits", "visits", self.visited),
        )

    def shown(self) -> dict[str, list[Row]]:
        """Nothing: nobody changes the past."""
        return {}

    def happens(self, kind: str, fact: Row) -> bool:
        """Somebody asks for a name, or opens a page."""
        if kind == "dns_query":
            self.queries.append({"count": 1, "bytes": len(fact["domain"]), "host": None, **fact})
        elif kind == "visit":
            self.visits.append({"method": "GET", "refused": False, "account": None, **fact})
        return kind in ("dns_query", "visit")

    def clients(self, request: Request) -> Answer:
        """Who asked for a domain or a name below it, the busiest first."""
        domain = request.query["domain"]
        asked = [one for one in self.queries if one["domain"] == domain or one["domain"].endswith("." + domain)]
        clients: dict[str, Row] = {}
        for one in reversed(recent(asked, request)):
            new = {"ip": one["ip"], "host": one["host"], "queries": 0, "bytes": 0, "first": one["time"]}
            client = clients.setdefault(one["ip"], new)
            client["queries"] += one["count"]
            client["bytes"] += one["bytes"] * one["count"]
            client["last"] = one["time"]
        return 200, sorted(clients.values(), key=lambda client: -client["queries"])

    def visited(self, request: Request) -> Answer:
        """Who opened a page."""
        return 200, recent([one for one in self.visits if one["url"] == request.query["url"]], request)


def _queries(world: World) -> Iterable[Row]:
    """Everybody looks up colleagues; ws-2 asks for thousands of long names below one domain."""
    for number, (ip, host) in enumerate((("10.20.0.4", "ws-1"), ("10.20.0.5", "ws-2"))):
        yield _query(world, 60 + number, ip, host, "www.corp.example", 3)
    for minutes in range(40, 0, -4):
        yield _query(world, minutes, "10.20.0.5", "ws-2", f"{'a7f3' * 12}.t.tunnel.example", 400)
    yield _query(world, 54, "10.20.0.4", "ws-1", "evil.example", 1)


def _query(world: World, minutes: float, ip: str, host: str, domain: str, count: int) -> Row:
    size = len(domain)
    return {"time": world.ago(minutes), "ip": ip, "host": host, "domain": domain, "count": count, "bytes": size}


def _visits(world: World) -> Iterable[Row]:
    """Two people opened the page that wants their password; one gave it."""
    for minutes, ip, account, method in (
        (54, "10.20.0.4", "alice", "GET"), (40, "10.20.0.5", "bob", "GET"), (39, "10.20.0.5", "bob", "POST"),
    ):  # fmt: skip
        yield {
            "time": world.ago(minutes), "ip": ip, "account": account, "method": method, "url": SIGN_IN, "refused": False
        }  # fmt: skip

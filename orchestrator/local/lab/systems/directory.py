"""The directory: who people are, whether they may sign in, and where they did."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, nothing, recent

PEOPLE = (
    ("alice", "Alice Archer", "Analyst", "Finance", "dave", ("staff", "finance")),
    ("bob", "Bob Baker", "Developer", "Engineering", "dave", ("staff", "engineering", "vpn")),
    ("carol", "Carol Cook", "Administrator", "IT", "dave", ("staff", "it", "domain-admins")),
    ("dave", "Dave Dean", "Director", "Management", None, ("staff", "management")),
    ("svc-backup", "Backup service", None, "IT", "carol", ("services",)),
)
BERLIN = {"ip": "192.0.2.10", "country": "DE", "latitude": 52.52, "longitude": 13.405}
SAO_PAULO = {"ip": "198.51.100.23", "country": "BR", "latitude": -23.55, "longitude": -46.633}
AMSTERDAM = {"ip": "203.0.113.7", "country": "NL", "latitude": 52.37, "longitude": 4.895}


class Directory:
    """Accounts, their sessions and sign-ins; an account that is not there is never made by asking for it."""

    def __init__(self, world: World) -> None:
        self.accounts = {row[0]: _account(number, *row) for number, row in enumerate(PEOPLE, 1)}
        self.sign_ins: list[Row] = list(_before(world))
        self.ended: list[Row] = []

    def routes(self) -> Iterable[Route]:
        """Read and change an account, end its sessions, list its sign-ins."""
        one = "/directory/accounts/{id}"
        return (
            Route("GET", one, "account", self.account),
            Route("PUT", one, "set_account", self.set_account),
            Route("PUT", one + "/password", "reset_password", self.reset_password),
            Route("POST", one + "/endings", "end_sessions", self.end_sessions),
            Route("GET", one + "/endings", "endings", self.endings),
            Route("GET", one + "/sign-ins", "sign_ins", self.signed_in),
        )

    def shown(self) -> dict[str, list[Row]]:
        """All accounts."""
        return {"accounts": list(self.accounts.values())}

    def happens(self, kind: str, fact: Row) -> bool:
        """Somebody signs in, or tries; an account is made."""
        if kind == "sign_in":
            self.sign_ins.append({"ok": True, "mfa": False, **fact})
        elif kind == "account":
            name = fact["name"]
            self.accounts[name] = {**_account(len(self.accounts) + 1, name), **fact}
        return kind in ("sign_in", "account")

    def account(self, request: Request) -> Answer:
        """An account as it is."""
        found = self.accounts.get(request.id)
        return (200, found) if found else nothing("account")

    def set_account(self, request: Request) -> Answer:
        """Enable or disable an account."""
        found = self.accounts.get(request.id)
        if found is None:
            return nothing("account")
        found["enabled"] = bool(request.body["enabled"])
        return 200, found

    def reset_password(self, request: Request) -> Answer:
        """Make an account choose a new password, or not."""
        found = self.accounts.get(request.id)
        if found is None:
            return nothing("account")
        found["must_change"] = bool(request.body["must_change"])
        return 200, found

    def end_sessions(self, request: Request) -> Answer:
        """End all sessions that there are now; each request is one of its own."""
        found = self.accounts.get(request.id)
        if found is None:
            return nothing("account")
        made = request.made("ending", account=request.id, sessions=found["sessions"])
        found["sessions"] = 0
        self.ended.append(made)
        return 201, made

    def endings(self, request: Request) -> Answer:
        """When sessions of an account were ended, by which request."""
        wanted = request.query.get("key")
        return 200, [one for one in self.ended if one["account"] == request.id and one["key"] == wanted]

    def signed_in(self, request: Request) -> Answer:
        """The attempts of an account to sign in."""
        if request.id not in self.accounts:
            return nothing("account")
        return 200, recent([one for one in self.sign_ins if one["account"] == request.id], request)


def _account(
    number: int,
    name: str,
    full: str | None = None,
    title: str | None = None,
    department: str | None = None,
    manager: str | None = None,
    groups: tuple[str, ...] = (),
) -> Row:
    return {
        "id": f"acc-{number}", "name": name, "enabled": True, "must_change": False, "sessions": 2, "full_name": full,
        "mail": f"{name}@corp.example", "title": title, "department": department, "manager": manager,
        "groups": list(groups),
    }  # fmt: skip


def _before(world: World) -> Iterable[Row]:
    """Alice works as always; Bob is in two places at once; Carol's password was guessed."""

    def one(account: str, minutes: float, place: Row, *, ok: bool = True, mfa: bool = True) -> Row:
        return {"account": account, "time": world.ago(minutes), "ok": ok, "mfa": mfa, "application": "vpn", **place}

    yield from (one("alice", minutes, BERLIN) for minutes in (2_900, 1_430, 30))
    yield from (one("bob", minutes, BERLIN) for minutes in (1_500, 80))
    yield one("bob", 35, SAO_PAULO, mfa=False)
    yield from (one("carol", 20 - tried / 4, AMSTERDAM, ok=False, mfa=False) for tried in range(40))
    yield one("carol", 9, AMSTERDAM, mfa=False)

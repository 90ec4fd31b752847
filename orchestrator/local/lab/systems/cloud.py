"""The cloud: keys, whose they are, and what was called with them."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, nothing, recent

LEAKED = "AKIAIOSFODNN7EXAMPLE"
BUILD = "arn:aws:iam::123456789012:user/build"
REPORTING = "arn:aws:iam::123456789012:user/reporting"


class Cloud:
    """Keys and principals; a denial is a policy of ours beside those that the principal has."""

    def __init__(self, world: World) -> None:
        self.keys: dict[str, Row] = {
            LEAKED: _key(LEAKED, BUILD, world.ago(300_000), world.ago(3)),
            "AKIAI44QH8DHBEXAMPLE": _key("AKIAI44QH8DHBEXAMPLE", REPORTING, world.ago(100_000), world.ago(700)),
        }
        self.principals: dict[str, Row] = {name: _principal(name) for name in (BUILD, REPORTING)}
        self.calls: list[Row] = list(_before(world))

    def routes(self) -> Iterable[Route]:
        """Keys, their calls, principals."""
        return (
            Route("GET", "/cloud/keys/{id}", "key", self.key),
            Route("PUT", "/cloud/keys/{id}", "set_key", self.set_key),
            Route("GET", "/cloud/keys/{id}/calls", "calls", self.called),
            Route("GET", "/cloud/principals/{id}", "principal", self.principal),
            Route("PUT", "/cloud/principals/{id}", "set_principal", self.set_principal),
        )

    def shown(self) -> dict[str, list[Row]]:
        """Keys and principals."""
        return {"keys": list(self.keys.values()), "principals": list(self.principals.values())}

    def happens(self, kind: str, fact: Row) -> bool:
        """A key is made, a call is made with one."""
        if kind == "key":
            self.keys[fact["key"]] = {"active": True, "created": None, "last_used": None, **fact}
            self.principals.setdefault(fact["principal"], _principal(fact["principal"]))
        elif kind == "call":
            self.calls.append({"ok": True, "read_only": False, **fact})
        return kind in ("key", "call")

    def key(self, request: Request) -> Answer:
        """A key as it is."""
        found = self.keys.get(request.id)
        return (200, found) if found else nothing("key")

    def set_key(self, request: Request) -> Answer:
        """Take a key out of use, or into it."""
        found = self.keys.get(request.id)
        if found is None:
            return nothing("key")
        found["active"] = bool(request.body["active"])
        return 200, found

    def called(self, request: Request) -> Answer:
        """What was called with a key."""
        if request.id not in self.keys:
            return nothing("key")
        return 200, recent([one for one in self.calls if one["key"] == request.id], request)

    def principal(self, request: Request) -> Answer:
        """Whether everything is denied to a principal."""
        found = self.principals.get(request.id)
        return (200, found) if found else nothing("principal")

    def set_principal(self, request: Request) -> Answer:
        """Deny everything, or take that back."""
        found = self.principals.get(request.id)
        if found is None:
            return nothing("principal")
        denied = bool(request.body["denied"])
        found.update(denied=denied, policy=(found["policy"] or f"deny-{request.seq}") if denied else None)
        return 200, found


def _key(key: str, principal: str, created: str, last_used: str) -> Row:
    return {"key": key, "principal": principal, "active": True, "created": created, "last_used": last_used}


def _principal(name: str) -> Row:
    return {"principal": name, "denied": False, "policy": None}


def _before(world: World) -> Iterable[Row]:
    """The build's key uploads as always; since a few minutes somebody looks around with it from far away."""

    def one(minutes: float, action: str, ip: str, *, ok: bool = True, read_only: bool = False) -> Row:
        return {
            "key": LEAKED, "time": world.ago(minutes), "action": action, "ok": ok, "read_only": read_only, "ip": ip,
            "region": "eu-central-1", "agent": "aws-cli/2",
        }  # fmt: skip

    yield from (one(minutes, "s3:PutObject", "192.0.2.20") for minutes in (900, 600, 300))
    yield one(7, "sts:GetCallerIdentity", "198.51.100.77", read_only=True)
    yield one(6, "iam:ListUsers", "198.51.100.77", ok=False, read_only=True)
    yield one(5, "iam:CreateAccessKey", "198.51.100.77", ok=False)
    yield one(3, "ec2:RunInstances", "198.51.100.77")

"""A product that lives in this process: what it was asked, what took effect, and how it misbehaves on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.actions.acting import Acting, build_acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import Ledger
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import build_site
from orchestrator.contract import Call, Config, Idempotent, Integration, Readable, Repeats, Unrepeatable
from orchestrator.contract.capabilities import firewall, identity, intel, ticket
from orchestrator.language.host import ActionCall, RunContext
from orchestrator.policy.in_force import Fixed
from tests.policy.written import OPEN


@dataclass
class Target:
    """Counts what arrives; `misbehave` is called before the effect, `lose_answer` after it, `hide` at each look.

    While it is `deaf` it says yes to an unblock and does nothing.
    """

    asked: list[str] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    misbehave: Callable[[], None] = lambda: None
    lose_answer: Callable[[], None] = lambda: None
    hide: Callable[[], None] = lambda: None
    deaf: bool = False

    def apply(self, key: str, what: str) -> None:
        """One request: it arrives, takes effect under its key, and is answered."""
        self.asked.append(what)
        self.misbehave()
        self.effects[f"{key}#{len(self.asked)}"] = what
        self.lose_answer()

    def has(self, key: str) -> bool:
        """Whether some request under this key took effect."""
        return any(effect.startswith(key) for effect in self.effects)


def product(target: Target, name: str = "bench") -> Integration[Config]:
    """A product whose firewall can be read back, whose directory may be asked twice, whose tickets can do neither."""
    made: Integration[Config] = Integration(name, "A target in this process", Config)
    readable: Repeats = Readable(lambda call, want: _found(target, call, want), settles_within=0.01)

    @made.implements(firewall.block_ip, repeats=readable)
    async def block(call: Call[Config], want: firewall.BlockIp) -> firewall.IpState:
        target.apply(call.key, f"block {want.ip}")
        target.blocked.add(want.ip)
        return firewall.IpState(ip=want.ip, blocked=True)

    @made.implements(firewall.unblock_ip, repeats=Idempotent())
    async def unblock(call: Call[Config], want: firewall.Ip) -> firewall.IpState:
        target.apply(call.key, f"unblock {want.ip}")
        if not target.deaf:
            target.blocked.discard(want.ip)
        return firewall.IpState(ip=want.ip, blocked=False)

    @made.reads(firewall.ip_state)
    async def ip_state(call: Call[Config], want: firewall.Ip) -> firewall.IpState:
        target.hide()
        return firewall.IpState(ip=want.ip, blocked=want.ip in target.blocked)

    @made.implements(identity.disable_account, repeats=Idempotent())
    async def disable(call: Call[Config], who: identity.Account) -> identity.AccountState:
        target.apply(call.key, f"disable {who.account}")
        return identity.AccountState(account=who.account, enabled=False)

    @made.implements(ticket.open, repeats=Unrepeatable())
    async def open_ticket(call: Call[Config], new: ticket.NewTicket) -> ticket.Ticket:
        target.apply(call.key, f"open {new.title}")
        return ticket.Ticket(id="1")

    @made.reads(intel.lookup_ip)
    async def look_up(call: Call[Config], want: intel.LookupIp) -> intel.IpReport:
        target.apply(call.key, f"look up {want.ip}")
        return intel.IpReport(ip=want.ip, score=90)

    return made


async def _found(target: Target, call: Call[Config], want: firewall.BlockIp) -> firewall.IpState | None:
    return firewall.IpState(ip=want.ip, blocked=True) if target.has(call.key) else None


def acting(catalog: Catalog, ledger: Ledger, target: Target, **options: Any) -> Acting:
    """What acts and undoes where the only product is the target, known as `bench`."""
    products = {"bench": product(target), **options.pop("products", {})}
    mine = Catalog(catalog.capabilities, products)
    site = build_site(mine, options.pop("integrations", {name: {} for name in products}), {})
    lists, own = options.pop("lists", tuple), options.pop("own", ())
    options.setdefault("policy", Fixed(OPEN))
    options["never_touch"] = NeverTouch(mine.capabilities, lists, own)
    return build_acting(mine.capabilities, site, ledger, Sender(ledger, **options.pop("sending", {})), **options)


def gateway(catalog: Catalog, ledger: Ledger, target: Target, **options: Any) -> Gateway:
    """A gateway whose only product is the target."""
    return acting(catalog, ledger, target, **options).gateway


def context(**changes: Any) -> RunContext:
    """The run that the tests act in."""
    fixed: dict[str, Any] = {
        "run": "contain/a/alert-1",
        "playbook": "contain",
        "digest": "sha256:1",
        "event": "lab/alert-1",
        "workflow_id": "contain/a/alert-1",
        "first_run_id": "first",
    }
    return RunContext(**(fixed | changes))


def block(ip: str = "203.0.113.7", **changes: Any) -> ActionCall:
    """A call to block an address."""
    fixed: dict[str, Any] = {
        "step": "block",
        "path": ("block",),
        "action": "firewall.block_ip",
        "parameters": {"ip": ip},
        "expires": 3600.0,
    }
    return ActionCall(**(fixed | changes))

"""CrowdSec's local API: block an address for every bouncer that listens, and let it talk again.

API: https://docs.crowdsec.net, "Local API" (swagger of 1.4). A machine account writes alerts with decisions; a bouncer
key reads decisions. An answer of 201 means that the decision is stored, not that a firewall has it yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.contract import Call, Config, Http, Integration, Readable, Rejected, Secret
from orchestrator.contract.capabilities import firewall

ORIGIN = "tocsin"
FOREVER = "87600h"
"""ten years: CrowdSec wants a duration, and the ledger ends what it began"""


class CrowdSecConfig(Config):
    """Where the local API listens; a machine account and a bouncer key (`cscli machines add`, `cscli bouncers add`)."""

    url: str
    machine_id: str
    password: Secret
    bouncer_key: Secret


async def authorize(config: CrowdSecConfig, http: Http) -> Mapping[str, str]:
    """A machine's token; it lives for an hour."""
    account = {"machine_id": config.machine_id, "password": config.password.get_secret_value(), "scenarios": []}
    answer = (await http.request("POST", "/v1/watchers/login", json=account)).json()
    return {"authorization": f"Bearer {answer['token']}", "x-api-key": config.bouncer_key.get_secret_value()}


crowdsec = Integration(
    "crowdsec", "CrowdSec local API", CrowdSecConfig, base_url=lambda config: config.url, authorize=authorize,
    authorize_for=1800.0,
)  # fmt: skip
CrowdSecCall = Call[CrowdSecConfig]


async def decisions(call: CrowdSecCall, ip: str) -> list[dict[str, Any]]:
    """Every ban of the address that is in force; the API says `null` for none."""
    query = {"ip": ip, "type": "ban"}
    return (await call.http.request("GET", "/v1/decisions", query=query)).json() or []


async def find_block(call: CrowdSecCall, want: firewall.BlockIp) -> firewall.IpState | None:
    """The decision that this very call has made: its scenario carries the call's key."""
    mine = [one for one in await decisions(call, want.ip) if one["scenario"] == scenario(call)]
    return blocked(want.ip, mine[0]) if mine else None


@crowdsec.implements(firewall.block_ip, repeats=Readable(find_block, settles_within=2.0), needs=("machine", "bouncer"))
async def block(call: CrowdSecCall, want: firewall.BlockIp) -> firewall.IpState:
    """Store a ban; the answer is read back, since the ids that the API gives are those of alerts."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = {"scope": "Ip", "value": want.ip, "ip": want.ip}
    decision = {
        "duration": duration(call.until), "origin": ORIGIN, "scenario": scenario(call), "scope": "Ip",
        "type": "ban", "value": want.ip,
    }  # fmt: skip
    alert = {
        "scenario": scenario(call), "scenario_hash": "", "scenario_version": "", "message": want.reason or "tocsin",
        "events_count": 1, "start_at": now, "stop_at": now, "capacity": 0, "leakspeed": "0s", "simulated": False,
        "events": [], "source": source, "decisions": [decision],
    }  # fmt: skip
    await call.http.request("POST", "/v1/alerts", json=[alert])
    found = await find_block(call, want)
    if found is None:
        raise Rejected("the decision was accepted and is not listed; a profile or whitelist of CrowdSec removed it")
    return found


async def find_unblock(call: CrowdSecCall, want: firewall.Ip) -> firewall.IpState | None:
    """Whether nothing of ours bans the address any more."""
    left = [one for one in await decisions(call, want.ip) if one["origin"] == ORIGIN]
    return None if left else firewall.IpState(ip=want.ip, blocked=False)


@crowdsec.implements(firewall.unblock_ip, repeats=Readable(find_unblock, settles_within=2.0), needs=("machine",))
async def unblock(call: CrowdSecCall, want: firewall.Ip) -> firewall.IpState:
    """Delete the bans that Tocsin made; those of others stay, and the state says so."""
    for one in await decisions(call, want.ip):
        if one["origin"] == ORIGIN:
            # deleting nothing is answered 200 as well: what counts is the list afterwards
            await call.http.request("DELETE", "/v1/decisions/{id}", id=str(one["id"]), accept=(404, 500))
    left = await decisions(call, want.ip)
    if any(one["origin"] == ORIGIN for one in left):
        raise Rejected("the ban is still listed after it was deleted")
    return blocked(want.ip, left[0]) if left else firewall.IpState(ip=want.ip, blocked=False)


@crowdsec.reads(firewall.ip_state, needs=("bouncer",))
async def ip_state(call: CrowdSecCall, want: firewall.Ip) -> firewall.IpState:
    """Whether any ban of the address is in force, whoever made it."""
    found = await decisions(call, want.ip)
    return blocked(want.ip, found[0]) if found else firewall.IpState(ip=want.ip, blocked=False)


def scenario(call: CrowdSecCall) -> str:
    """What the decision is listed under: it names the call, so that a lost answer can be looked up."""
    return f"tocsin/{call.key[:32]}"


def duration(until: datetime | None) -> str:
    """Go's form of a duration, from now."""
    if until is None:
        return FOREVER
    return f"{max(1, round((until - datetime.now(UTC)).total_seconds()))}s"


def blocked(ip: Any, decision: Mapping[str, Any]) -> firewall.IpState:
    """The state that a decision stands for."""
    return firewall.IpState(ip=ip, blocked=True, entry=str(decision["id"]))

"""Keep an address from talking to what the firewall protects."""

from __future__ import annotations

from orchestrator.contract.capability import Capability, Effect, Parameters, Result
from orchestrator.contract.values import IpAddress


class BlockIp(Parameters):
    """Which address, and the words that the firewall keeps beside the entry."""

    ip: IpAddress
    reason: str = ""


class Ip(Parameters):
    """Which address."""

    ip: IpAddress


class IpState(Result):
    """Whether the firewall blocks the address, and since which entry of its own."""

    ip: IpAddress
    blocked: bool
    entry: str | None = None


block_ip = Capability(
    "firewall.block_ip", BlockIp, IpState, Effect.REVERSIBLE, "Drop all traffic from an address.",
    target="ip", inverse="firewall.unblock_ip", state="firewall.ip_state", d3fend="D3-ITF",
)  # fmt: skip
unblock_ip = Capability(
    "firewall.unblock_ip", Ip, IpState, Effect.REVERSIBLE, "Let an address talk again.",
    target="ip", inverse="firewall.block_ip", state="firewall.ip_state",
)  # fmt: skip
ip_state = Capability("firewall.ip_state", Ip, IpState, Effect.READ, "Whether an address is blocked now.", target="ip")

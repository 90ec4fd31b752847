"""The lab's firewall: addresses that are blocked."""

from __future__ import annotations

from integrations.lab import denylist
from integrations.lab.product import SETTLES, LabCall, lab
from orchestrator.contract import Idempotent, Readable
from orchestrator.contract.capabilities import firewall

BLOCKS = "/firewall/blocks"


async def find_block(call: LabCall, want: firewall.BlockIp) -> firewall.IpState | None:
    """The block that this very call has made."""
    entry = await denylist.find(call, BLOCKS, ip=want.ip, key=call.key)
    return firewall.IpState(ip=want.ip, blocked=True, entry=entry) if entry else None


@lab.implements(firewall.block_ip, repeats=Readable(find_block, settles_within=SETTLES))
async def block(call: LabCall, want: firewall.BlockIp) -> firewall.IpState:
    """Add a block."""
    return firewall.IpState(ip=want.ip, blocked=True, entry=await denylist.add(call, BLOCKS, want.reason, ip=want.ip))


@lab.implements(firewall.unblock_ip, repeats=Idempotent())
async def unblock(call: LabCall, want: firewall.Ip) -> firewall.IpState:
    """Remove every block of the address."""
    await denylist.remove(call, BLOCKS, ip=want.ip)
    return firewall.IpState(ip=want.ip, blocked=False)


@lab.reads(firewall.ip_state)
async def ip_state(call: LabCall, want: firewall.Ip) -> firewall.IpState:
    """Whether any block names the address."""
    entry = await denylist.find(call, BLOCKS, ip=want.ip)
    return firewall.IpState(ip=want.ip, blocked=entry is not None, entry=entry)

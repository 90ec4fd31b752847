"""The lab's cloud: keys, what was called with them, and whose they are."""

from __future__ import annotations

from integrations.lab.product import LabCall, back, cut, get, lab, send
from orchestrator.contract import MANY, Idempotent
from orchestrator.contract.capabilities import cloud

KEY = "/cloud/keys/{name}"
PRINCIPAL = "/cloud/principals/{name}"


@lab.implements(cloud.deactivate_key, repeats=Idempotent())
async def deactivate(call: LabCall, which: cloud.Key) -> cloud.KeyState:
    """Take the key out of use."""
    return cloud.KeyState.model_validate(await send(call, "PUT", KEY, {"active": False}, name=which.key))


@lab.implements(cloud.activate_key, repeats=Idempotent())
async def activate(call: LabCall, which: cloud.Key) -> cloud.KeyState:
    """Let the key be used again."""
    return cloud.KeyState.model_validate(await send(call, "PUT", KEY, {"active": True}, name=which.key))


@lab.reads(cloud.key_state)
async def key_state(call: LabCall, which: cloud.Key) -> cloud.KeyState:
    """The key as it is."""
    return cloud.KeyState.model_validate(await get(call, KEY, name=which.key))


@lab.reads(cloud.list_key_activity)
async def activity(call: LabCall, want: cloud.KeyCalls) -> cloud.KeyActivity:
    """What was called with the key."""
    rows = await get(call, KEY + "/calls", back(want.within), name=want.key)
    seen = [{name: one.get(name) for name in cloud.CloudCall.model_fields} for one in rows[:MANY]]
    return cloud.KeyActivity(key=want.key, calls=seen, **cut(rows))


@lab.implements(cloud.deny_principal, repeats=Idempotent())
async def deny(call: LabCall, who: cloud.Principal) -> cloud.PrincipalState:
    """Deny everything."""
    found = await send(call, "PUT", PRINCIPAL, {"denied": True}, name=who.principal)
    return cloud.PrincipalState.model_validate(found)


@lab.implements(cloud.allow_principal, repeats=Idempotent())
async def allow(call: LabCall, who: cloud.Principal) -> cloud.PrincipalState:
    """Take the denial back."""
    found = await send(call, "PUT", PRINCIPAL, {"denied": False}, name=who.principal)
    return cloud.PrincipalState.model_validate(found)


@lab.reads(cloud.principal_state)
async def principal_state(call: LabCall, who: cloud.Principal) -> cloud.PrincipalState:
    """The principal as it is."""
    return cloud.PrincipalState.model_validate(await get(call, PRINCIPAL, name=who.principal))

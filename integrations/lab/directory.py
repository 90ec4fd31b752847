"""The lab's directory: who may sign in, who people are, and where they signed in."""

from __future__ import annotations

from typing import Any

from integrations.lab.product import SETTLES, LabCall, back, cut, get, lab, send
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import identity

ACCOUNT = "/directory/accounts/{name}"


@lab.implements(identity.disable_account, repeats=Idempotent())
async def disable(call: LabCall, who: identity.Account) -> identity.AccountState:
    """Stop the account from signing in."""
    return shown(who, await send(call, "PUT", ACCOUNT, {"enabled": False}, name=who.account))


@lab.implements(identity.enable_account, repeats=Idempotent())
async def enable(call: LabCall, who: identity.Account) -> identity.AccountState:
    """Let the account sign in again."""
    return shown(who, await send(call, "PUT", ACCOUNT, {"enabled": True}, name=who.account))


@lab.reads(identity.account_state)
async def account_state(call: LabCall, who: identity.Account) -> identity.AccountState:
    """The account as it is."""
    return shown(who, await get(call, ACCOUNT, name=who.account))


def shown(who: identity.Account, found: dict[str, Any]) -> identity.AccountState:
    """What the directory says of the account."""
    return identity.AccountState(account=who.account, enabled=found["enabled"], id=found["id"])


async def find_ending(call: LabCall, who: identity.Account) -> identity.SessionsEnded | None:
    """The ending of sessions that this very call has made: a second one would end sessions that began since."""
    found = await get(call, ACCOUNT + "/endings", {"key": call.key}, name=who.account)
    return identity.SessionsEnded(account=who.account, sessions=found[0]["sessions"]) if found else None


@lab.implements(identity.end_sessions, repeats=Readable(find_ending, settles_within=SETTLES))
async def end_sessions(call: LabCall, who: identity.Account) -> identity.SessionsEnded:
    """Sign the account out everywhere."""
    made = await send(call, "POST", ACCOUNT + "/endings", {}, name=who.account)
    return identity.SessionsEnded(account=who.account, sessions=made["sessions"])


@lab.implements(identity.force_password_reset, repeats=Idempotent())
async def reset(call: LabCall, who: identity.Account) -> identity.PasswordReset:
    """Ask for a new password at the next sign-in."""
    found = await send(call, "PUT", ACCOUNT + "/password", {"must_change": True}, name=who.account)
    return identity.PasswordReset(account=who.account, must_change=found["must_change"])


@lab.reads(identity.account_profile)
async def profile(call: LabCall, who: identity.Account) -> identity.AccountProfile:
    """Who it is; the manager's mail address is read from the manager's own account."""
    found = await get(call, ACCOUNT, name=who.account)
    manager = await get(call, ACCOUNT, name=found["manager"]) if found["manager"] else None
    return identity.AccountProfile(
        account=who.account, name=found["full_name"], mail=found["mail"], title=found["title"],
        department=found["department"], manager=found["manager"], manager_mail=manager["mail"] if manager else None,
    )  # fmt: skip


@lab.reads(identity.account_groups)
async def groups(call: LabCall, who: identity.Account) -> identity.AccountGroups:
    """The groups of the account."""
    found = (await get(call, ACCOUNT, name=who.account))["groups"]
    return identity.AccountGroups(account=who.account, groups=found[:MANY], **cut(found))


@lab.reads(identity.list_sign_ins)
async def sign_ins(call: LabCall, want: identity.SignIns) -> identity.SignInList:
    """When and from where the account signed in, or tried."""
    rows = await get(call, ACCOUNT + "/sign-ins", back(want.within), name=want.account)
    seen = [{name: one.get(name) for name in identity.SignIn.model_fields} for one in rows[:MANY]]
    return identity.SignInList(account=want.account, sign_ins=seen, **cut(rows))

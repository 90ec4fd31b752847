"""OpenLDAP with the password policy overlay: lock an account for good, and unlock it.

`pwdAccountLockedTime` of 000001010000Z means locked until an administrator unlocks it (section
5.3.3 of draft-behera-ldap-password-policy-10). A bind that fails says only "invalid credentials", so the state is
read from the entry, never from a bind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPSocketOpenError
from ldap3.utils.conv import escape_filter_chars

from orchestrator.contract import (
    ActionFailed,
    Call,
    Config,
    Conflict,
    Forbidden,
    Idempotent,
    Integration,
    InvalidCall,
    NotFound,
    Rejected,
    Secret,
    TargetUnavailable,
    TimedOut,
    Unauthorized,
)
from orchestrator.contract.capabilities import identity

LOCKED = "pwdAccountLockedTime"
FOR_GOOD = "000001010000Z"
FAILURES: dict[int, type[ActionFailed]] = {
    8: Unauthorized, 16: Rejected, 19: Rejected, 20: Conflict, 32: NotFound, 48: Unauthorized, 49: Unauthorized,
    50: Forbidden, 51: TargetUnavailable, 52: TargetUnavailable, 53: Rejected,
}  # fmt: skip
"""LDAP result codes (RFC 4511, appendix A) as failures; any other is a refusal"""


class OpenLdapConfig(Config):
    """The server, who we are there, and below which entry accounts are found by which attribute."""

    url: str
    bind_dn: str
    password: Secret
    base_dn: str
    account_attribute: str = "uid"
    start_tls: bool = False


openldap = Integration("openldap", "OpenLDAP", OpenLdapConfig)
LdapCall = Call[OpenLdapConfig]


@openldap.implements(identity.disable_account, repeats=Idempotent(), needs=(f"write {LOCKED}",))
async def disable(call: LdapCall, who: identity.Account) -> identity.AccountState:
    """Lock the account until it is unlocked."""
    return await in_thread(call, lambda directory: change(directory, call, who, [FOR_GOOD]))


@openldap.implements(identity.enable_account, repeats=Idempotent(), needs=(f"write {LOCKED}",))
async def enable(call: LdapCall, who: identity.Account) -> identity.AccountState:
    """Unlock the account, whatever had locked it."""
    return await in_thread(call, lambda directory: change(directory, call, who, []))


@openldap.reads(identity.account_state)
async def account_state(call: LdapCall, who: identity.Account) -> identity.AccountState:
    """Whether the account is locked."""
    return await in_thread(call, lambda directory: state(directory, call, who))


def change(
    directory: ldap3.Connection, call: LdapCall, who: identity.Account, locked: list[str]
) -> identity.AccountState:
    """Set or clear the lock, then read it back: what is told is what the directory holds.

    A lock that too many wrong passwords made has a time and ends by itself; it is replaced by one that does not.
    """
    dn, held = entry(directory, call, who)
    if held != locked:
        call.in_time()
        directory.modify(dn, {LOCKED: [(ldap3.MODIFY_REPLACE, locked)]})  # type: ignore[no-untyped-call]
        raise_for(directory)
        dn, held = entry(directory, call, who)
    if held != locked:
        raise Rejected("the directory took the change and the account is as it was")
    return shown(who, dn, held)


def state(directory: ldap3.Connection, call: LdapCall, who: identity.Account) -> identity.AccountState:
    """The account as it is."""
    return shown(who, *entry(directory, call, who))


def shown(who: identity.Account, dn: str, held: list[str]) -> identity.AccountState:
    """What an entry means: any lock keeps the account from signing in."""
    return identity.AccountState(account=who.account, enabled=not held, id=dn)


def entry(directory: ldap3.Connection, call: LdapCall, who: identity.Account) -> tuple[str, list[str]]:
    """Name and lock of the one entry of this account.

    None or several are failures, since the wrong person would be hit.
    """
    wanted = f"({call.config.account_attribute}={escape_filter_chars(who.account)})"
    directory.search(call.config.base_dn, wanted, ldap3.SUBTREE, attributes=[LOCKED], size_limit=2)
    if directory.result["result"] != 4:  # sizeLimitExceeded: more than one, told below
        raise_for(directory)
    entries = [one for one in directory.response or [] if one["type"] == "searchResEntry"]
    if not entries:
        raise NotFound(f"no account {who.account} below {call.config.base_dn}")
    if len(entries) > 1:
        raise InvalidCall(f"several accounts are named {who.account} below {call.config.base_dn}")
    held = entries[0]["raw_attributes"].get(LOCKED) or []
    return entries[0]["dn"], [value.decode() for value in held]


Work = Callable[[ldap3.Connection], identity.AccountState]


async def in_thread(call: LdapCall, work: Work) -> identity.AccountState:
    """Do the work on a connection of its own, away from the event loop; the library blocks."""
    return await asyncio.to_thread(connected, call, work)


def connected(call: LdapCall, work: Work) -> identity.AccountState:
    """Bind, work, unbind; every error of the library becomes a failure with a kind."""
    seconds = max(1, int(call.seconds_left))
    server = ldap3.Server(call.config.url, connect_timeout=min(5, seconds), get_info=ldap3.NONE)
    password = call.config.password.get_secret_value()
    directory = ldap3.Connection(
        server, call.config.bind_dn, password, auto_referrals=False, receive_timeout=seconds, raise_exceptions=False
    )
    try:
        if call.config.start_tls and not directory.start_tls():
            raise TargetUnavailable("the directory does not start TLS", in_doubt=False)
        if not directory.bind():
            raise_for(directory)
        return work(directory)
    except LDAPSocketOpenError:
        raise TargetUnavailable("the directory cannot be reached", in_doubt=False) from None
    except LDAPException as error:
        raise TimedOut(f"the directory gave no whole answer ({type(error).__name__})", in_doubt=True) from None
    finally:
        directory.unbind()


def raise_for(directory: ldap3.Connection) -> None:
    """Raise the failure that the last result stands for; returns for success."""
    code = directory.result["result"]
    if code:
        words = f"{directory.result['description']} {directory.result['message']}".strip()
        raise FAILURES.get(code, Rejected)(f"the directory says: {words[:200]}")

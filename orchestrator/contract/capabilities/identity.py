"""Stop an account from signing in, and let it back; see who it is and where it signed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import AccountName, Duration, IpAddress, MailAddress


class Account(Parameters):
    """Which account, by the name that its directory knows."""

    account: AccountName


class SignIns(Parameters):
    """Whose sign-ins, and how far back."""

    account: AccountName
    within: Duration = timedelta(days=1)


class AccountState(Result):
    """Whether the account may sign in; `id` is the directory's own name of it."""

    account: AccountName
    enabled: bool
    id: str | None = None


class SessionsEnded(Result):
    """How many sessions ended, where the directory counts them."""

    account: AccountName
    sessions: int | None = None


class PasswordReset(Result):
    """Whether a new password must be chosen at the next sign-in."""

    account: AccountName
    must_change: bool


class AccountProfile(Result):
    """Who it is, as far as the directory knows: their mail address, and their manager's."""

    account: AccountName
    name: str | None = None
    mail: MailAddress | None = None
    title: str | None = None
    department: str | None = None
    manager: AccountName | None = None
    manager_mail: MailAddress | None = None


class AccountGroups(Result):
    """The groups that the account is in, also by way of other groups where the directory resolves them."""

    account: AccountName
    groups: Annotated[tuple[str, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


class SignIn(Result):
    """One attempt to sign in. `ok` says whether it succeeded, `mfa` whether a second factor was given."""

    time: datetime
    ip: IpAddress
    ok: bool
    mfa: bool = False
    country: str | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    application: str | None = None
    agent: str | None = None


class SignInList(Result):
    """The attempts, newest first; `truncated` where there were more."""

    account: AccountName
    sign_ins: Annotated[tuple[SignIn, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


disable_account = Capability(
    "identity.disable_account", Account, AccountState, Effect.REVERSIBLE, "Stop an account from signing in.",
    target="account", inverse="identity.enable_account", state="identity.account_state", d3fend="D3-AL",
)  # fmt: skip
enable_account = Capability(
    "identity.enable_account", Account, AccountState, Effect.REVERSIBLE, "Let an account sign in again.",
    target="account", inverse="identity.disable_account", state="identity.account_state", d3fend="D3-RUAA",
)  # fmt: skip
account_state = Capability(
    "identity.account_state", Account, AccountState, Effect.READ, "Whether an account may sign in.", target="account"
)
# irreversible, not additive: a session that ended cannot be given back, and work in it may be lost
end_sessions = Capability(
    "identity.end_sessions", Account, SessionsEnded, Effect.IRREVERSIBLE,
    "Sign an account out everywhere; it may sign in again.", target="account", d3fend="D3-ST",
)  # fmt: skip
# irreversible: many directories refuse the old password from now on, and none can take it back once one was chosen
force_password_reset = Capability(
    "identity.force_password_reset", Account, PasswordReset, Effect.IRREVERSIBLE,
    "Make an account choose a new password at its next sign-in.", target="account", d3fend="D3-PR",
)  # fmt: skip
account_profile = Capability(
    "identity.account_profile", Account, AccountProfile, Effect.READ, "Whose account it is, and who their manager is.",
    target="account",
)  # fmt: skip
account_groups = Capability(
    "identity.account_groups", Account, AccountGroups, Effect.READ, "The groups of an account.", target="account"
)
list_sign_ins = Capability(
    "identity.list_sign_ins", SignIns, SignInList, Effect.READ, "When and from where an account signed in, or tried.",
    target="account", d3fend="D3-UGLPA",
)  # fmt: skip

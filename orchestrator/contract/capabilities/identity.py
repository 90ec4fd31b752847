"""Stop an account from signing in, and let it back."""

from __future__ import annotations

from orchestrator.contract.capability import Capability, Effect, Parameters, Result
from orchestrator.contract.values import AccountName


class Account(Parameters):
    """Which account, by the name that its directory knows."""

    account: AccountName


class AccountState(Result):
    """Whether the account may sign in; `id` is the directory's own name of it."""

    account: AccountName
    enabled: bool
    id: str | None = None


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

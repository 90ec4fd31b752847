"""Take a leaked key of a cloud out of use, see what was done with it, deny everything to whose it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import Duration, IpAddress

KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/_+=.:@-]{1,256}$")]
"""The public part of a key, `AKIA...` for instance; never its secret."""
PrincipalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9/_+=.,:@|-]{1,512}$")]
"""A user, role or service account by its full name, an ARN for instance."""


class Key(Parameters):
    """Which key."""

    key: KeyId


class KeyCalls(Parameters):
    """Of which key, and how far back."""

    key: KeyId
    within: Duration = timedelta(days=1)


class Principal(Parameters):
    """Which user, role or service account."""

    principal: PrincipalId


class KeyState(Result):
    """Whether the key may be used, and whose it is: what `cloud.deny_principal` takes."""

    key: KeyId
    active: bool
    principal: PrincipalId | None = None
    created: datetime | None = None
    last_used: datetime | None = None


class CloudCall(Result):
    """One call to the cloud. `action` is service and verb (`iam:CreateUser`); `ip` is none where a service called."""

    time: datetime
    action: str
    ok: bool
    read_only: bool = False
    ip: IpAddress | None = None
    region: str | None = None
    resource: str | None = None
    agent: str | None = None


class KeyActivity(Result):
    """What was called with the key, newest first; `truncated` where there was more."""

    key: KeyId
    calls: Annotated[tuple[CloudCall, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


class PrincipalState(Result):
    """Whether everything is denied to the principal, by which policy of ours."""

    principal: PrincipalId
    denied: bool
    policy: str | None = None


deactivate_key = Capability(
    "cloud.deactivate_key", Key, KeyState, Effect.REVERSIBLE, "Take a key out of use.",
    target="key", inverse="cloud.activate_key", state="cloud.key_state", d3fend="D3-CR",
)  # fmt: skip
activate_key = Capability(
    "cloud.activate_key", Key, KeyState, Effect.REVERSIBLE, "Let a key be used again.",
    target="key", inverse="cloud.deactivate_key", state="cloud.key_state",
)  # fmt: skip
key_state = Capability(
    "cloud.key_state", Key, KeyState, Effect.READ, "Whether a key may be used, and whose it is.", target="key"
)
list_key_activity = Capability(
    "cloud.list_key_activity", KeyCalls, KeyActivity, Effect.READ, "What was called with a key.", target="key"
)
# a key that is out of use still leaves the sessions that were made with it: those only a denial ends
deny_principal = Capability(
    "cloud.deny_principal", Principal, PrincipalState, Effect.REVERSIBLE,
    "Deny everything to a user, role or service account, also in sessions that it has.",
    target="principal", inverse="cloud.allow_principal", state="cloud.principal_state", d3fend="D3-UAP",
)  # fmt: skip
allow_principal = Capability(
    "cloud.allow_principal", Principal, PrincipalState, Effect.REVERSIBLE, "Take our denial back.",
    target="principal", inverse="cloud.deny_principal", state="cloud.principal_state",
)  # fmt: skip
principal_state = Capability(
    "cloud.principal_state", Principal, PrincipalState, Effect.READ, "Whether everything is denied to a principal now.",
    target="principal",
)  # fmt: skip

"""What intake asks of its collaborators: to record what it read, and to start runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from orchestrator.alerts.alert import Alert


class StartRequest(BaseModel):
    """One run to start, or to join. `document` is the playbook; `alert` is what the run carries of the alert.

    `bundle` holds the sub-playbooks that it calls. One that may not start a run only joins an open one. A run by hand
    may have `inputs` instead of an alert, and names who wants it.
    """

    model_config = ConfigDict(frozen=True)

    playbook: str
    digest: str
    document: dict[str, Any]
    bundle: dict[str, Any] = {}
    mode: str
    title: str
    how: str = "alert"
    alert: dict[str, Any]
    inputs: dict[str, Any] = {}
    requester: str | None = None
    may_start: bool = True
    alert_key: str
    severity: str
    group_key: str | None
    join: float
    workflow_id: str
    run: str
    reason: dict[str, Any]

    @cached_property
    def content(self) -> str:
        """The digest of what the run carries of the alert: recorded here, and compared when the run begins."""
        return content_digest(self.run, self.alert_key, self.severity, self.alert, self.inputs)


def content_digest(
    run: str, alert_key: str, severity: str, alert: dict[str, Any], inputs: dict[str, Any] | None = None
) -> str:
    """SHA-256 of what a run carries, in hex: the same before and after its way through Temporal."""
    return hashlib.sha256(encoded([run, alert_key, severity, alert, *([inputs] if inputs else [])])).hexdigest()


def encoded(value: object) -> bytes:
    """The one spelling of some JSON. A stranger may have sent it, so numbers of any size are fine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Started(StrEnum):
    """What became of a request."""

    STARTED = "started"
    JOINED = "joined"
    ALREADY = "already"
    NOTHING = "nothing"


class Starter(Protocol):
    """Starts runs. Raises `Unavailable` to be asked again, `DeadLetter` where it never can."""

    async def start(self, requests: Sequence[StartRequest]) -> list[Started]:
        """What became of each of these, which share one workflow id: the first starts it or joins it, the rest join.

        Doing it again changes nothing.
        """
        ...


class Chosen(Protocol):
    """A playbook that an alert starts, ready to be asked for."""

    def request(self, alert: Alert) -> StartRequest:
        """The request; raises `DeadLetter` where the alert is too large for a run."""
        ...

    @property
    def told(self) -> dict[str, Any]:
        """Playbook and reason, for the audit."""
        ...


class Matcher(Protocol):
    """Chooses playbooks."""

    def choose(self, alert: Alert) -> Sequence[Chosen]:
        """Every playbook that the alert starts."""
        ...

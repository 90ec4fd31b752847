"""What intake asks of its collaborators: to record what it read, and to start runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from orchestrator.alerts.alert import Alert


class StartRequest(BaseModel):
    """One run to start, or to join. `document` is the playbook; `alert` is what the run carries of the alert."""

    model_config = ConfigDict(frozen=True)

    playbook: str
    digest: str
    document: dict[str, Any]
    mode: str
    title: str
    alert: dict[str, Any]
    alert_key: str
    severity: str
    group_key: str | None
    join: float
    workflow_id: str
    run: str
    reason: dict[str, Any]


class Started(StrEnum):
    """What became of a request."""

    STARTED = "started"
    JOINED = "joined"
    ALREADY = "already"


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

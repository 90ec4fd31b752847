"""What Tocsin itself did before: "the third time this month"."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from orchestrator.contract.capability import Capability, Effect, Parameters, Result
from orchestrator.contract.values import Duration, Severity

MOST = 1_000
Short = Annotated[str, Field(min_length=1, max_length=1_024)]
Limit = Annotated[int, Field(ge=1, le=MOST)]


class PastEffects(Parameters):
    """Effects on what: an address, account, host ... by itself, or with its kind before it (`account:alice`).

    `capability` leaves only effects of one verb. `own` counts what this run itself did, too. `limit` bounds the list,
    never the count.
    """

    target: Short
    capability: Short | None = None
    within: Duration = timedelta(days=30)
    own: bool = False
    limit: Limit = 100


class PastRuns(Parameters):
    """Runs of which playbook, with which `key`, or that did something about which target; all given must hold.

    `own` counts this run itself, too. `limit` bounds the list, never the count.
    """

    playbook: Short | None = None
    key: Short | None = None
    target: Short | None = None
    within: Duration = timedelta(days=30)
    own: bool = False
    limit: Limit = 100

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.playbook or self.key or self.target):
            raise ValueError("give at least one of playbook, key, target")
        return self


class PastEffect(Result):
    """An effect that took place. `state` is `done`, `undone`, or `unknown` where its answer was lost for good."""

    at: datetime
    run: str
    playbook: str
    capability: str
    integration: str
    target: str
    state: str
    until: datetime | None = None


class EffectList(Result):
    """How many there were, and the newest of them; `truncated` where the list holds fewer than the count."""

    count: int
    effects: Annotated[tuple[PastEffect, ...], Field(max_length=MOST)] = ()
    truncated: bool = False


class PastRun(Result):
    """A run. `state` is `running` or how it ended; `severity` is the highest that it had seen."""

    started: datetime
    run: str
    playbook: str
    mode: str
    state: str
    severity: Severity | None = None
    key: str | None = None
    failed_step: str | None = None
    ended: datetime | None = None


class RunList(Result):
    """How many there were, and the newest of them; `truncated` where the list holds fewer than the count."""

    count: int
    runs: Annotated[tuple[PastRun, ...], Field(max_length=MOST)] = ()
    truncated: bool = False


effects = Capability(
    "history.effects", PastEffects, EffectList, Effect.READ, "What Tocsin did to a target before, in live runs."
)
runs = Capability("history.runs", PastRuns, RunList, Effect.READ, "Which runs there were before.")

"""What `steps.<id>.output` is for each kind of step: the same models when a playbook is checked and when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import GenericAlias
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from orchestrator.contract import Capability
from orchestrator.language.typed import Spec


class Output(BaseModel):
    """A frozen output."""

    model_config = ConfigDict(frozen=True)


class ApprovalOutput(Output):
    """Of an approval: who decided, when, how far that is known, what they said; `auto` where nobody was asked."""

    by: str | None = None
    at: datetime | None = None
    trust: str | None = None
    note: str = ""
    auto: bool = False


class Counts(Output):
    """How many items a loop had, and what became of them."""

    total: int
    succeeded: int
    failed: int


class Refused(Output):
    """An integration that did not answer, and why."""

    integration: str
    kind: str
    message: str


def annotated_output(fields: Mapping[str, Spec]) -> dict[str, Any]:
    """Of a question: its fields, and who answered."""
    own = {name: spec.annotation | None if spec.may_be_absent else spec.annotation for name, spec in fields.items()}
    return {**own, "by": str | None, "at": datetime | None, "trust": str | None}


@lru_cache(maxsize=500)
def all_routes_of(capability: Capability[Any, Any]) -> type[BaseModel]:
    """Of a read that asks every integration: the answers, and who gave none."""
    answers: Any = GenericAlias(tuple, (capability.gives, ...))
    return create_model(
        f"All{capability.gives.__name__}", __base__=Output, answers=(answers, ()), failed=(tuple[Refused, ...], ())
    )

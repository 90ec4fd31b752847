"""What `steps.<id>.output` is for each kind of step: the same models when a playbook is checked and when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

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
        f"All of {capability.name}", __base__=Output, answers=(answers, ()), failed=(tuple[Refused, ...], ())
    )


def completed(model: type[BaseModel], default: Any) -> Any:
    """An author's `default:` as the output of a model: typed, with the model's own defaults for what it leaves out."""
    if not isinstance(default, Mapping):
        return default
    own = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    return own | {name: _typed(model, name, value) for name, value in default.items()}


def _typed(model: type[BaseModel], name: str, value: Any) -> Any:
    field = model.model_fields.get(name)
    if field is None:
        return value
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(annotation).validate_python(value)

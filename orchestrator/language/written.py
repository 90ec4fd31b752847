"""What all parts of a document share, and the kinds of text in it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orchestrator.language.durations import parse_duration


class Doc(BaseModel):
    """A part of the document; frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _duration(value: Any) -> str:
    parse_duration(value)
    return str(value).strip()


def _condition(value: Any) -> Any:
    # `when: true` is YAML's own truth value, and means the same in an expression
    return str(value).lower() if isinstance(value, bool) else value


def _bare(value: Any) -> Any:
    # `switch: 5`, `items: [a, b]`: a value of YAML's own stands for itself
    return _condition(str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)


Duration = Annotated[str, BeforeValidator(_duration), WithJsonSchema({"format": "Duration"})]
"""A literal with a unit: 90s, 30m, 24h, 7d."""
Condition = Annotated[str, BeforeValidator(_condition), WithJsonSchema({"format": "Condition"})]
"""A bare expression that holds or does not."""
Value = Annotated[str, BeforeValidator(_bare), WithJsonSchema({"format": "Value"})]
"""A bare expression."""
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Technique = Annotated[str, Field(pattern=r"^T[0-9]{4}(\.[0-9]{3})?$")]
PlaybookName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]

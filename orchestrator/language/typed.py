"""The types that authors name: of a playbook's inputs, and of the fields of a question."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from orchestrator.alerts.alert import SeverityField
from orchestrator.contract.values import AccountName, Domain, FileHash, HostName, IpAddress, Network
from orchestrator.language.wording import worded

TypeName = Literal[
    "text", "number", "boolean", "address", "network", "domain", "hash", "account", "host", "mail", "url", "time",
    "severity", "any",
]  # fmt: skip
MEANING: Mapping[str, Any] = {
    "text": Annotated[str, Field(max_length=16_384)],
    "number": int | float,
    "boolean": bool,
    "address": IpAddress,
    "network": Network,
    "domain": Domain,
    "hash": FileHash,
    "account": AccountName,
    "host": HostName,
    "mail": Annotated[str, Field(pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,253}$")],
    "url": Annotated[str, Field(max_length=8_192, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x1f]+$")],
    "time": datetime,
    "severity": SeverityField,
    "any": Any,
}
"""What each word means in the model of values; the same words wherever a type is named."""


class Spec(BaseModel):
    """A type: a word, one of a few words (`choice`), or a list of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: TypeName | None = Field(None, description="one value of this type")
    choice: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(None, description="one of these words")
    list: TypeName | None = Field(None, description="any number of values of this type")
    label: str | None = Field(None, description="what people read beside it")
    optional: bool = Field(False, description="it may be left out")
    default: Any = Field(None, description="its value where it is left out")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Spec:
        if sum(one is not None for one in (self.type, self.choice, self.list)) != 1:
            raise ValueError(f"say one of `type`, `choice`, `list`; types: {', '.join(get_args(TypeName))}")
        if self.default is not None:
            self.validated(self.default)
        return self

    @property
    def annotation(self) -> Any:
        """The type of the value where there is one."""
        if self.choice is not None:
            return choice_of(self.choice)
        if self.list is not None:
            item = MEANING[self.list]
            return GenericAlias(tuple, (item, ...))
        return MEANING[self.type or "any"]

    @property
    def may_be_absent(self) -> bool:
        """Whether an expression may find nothing there."""
        return self.optional and self.default is None

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return not self.optional and self.default is None

    def validated(self, value: Any) -> Any:
        """The typed value; raises `ValueError` with the reason. There are no conversions: "10" is not 10."""
        if self.list is None:
            return _valid(self.annotation, value)
        if not isinstance(value, list | tuple):
            raise ValueError("a list is expected")
        return tuple(_valid(MEANING[self.list], one) for one in value)

    def imagined(self) -> Any:
        """A least value, for shadow mode."""
        if self.default is not None:
            return self.validated(self.default)
        if self.choice is not None:
            return self.choice[0]
        return () if self.list is not None else self.validated(_LEAST[self.type or "any"])


_LEAST: Mapping[str, Any] = {
    "text": "imagined", "number": 0, "boolean": False, "address": "192.0.2.1", "network": "192.0.2.0/24",
    "domain": "imagined.example", "hash": "0" * 64, "account": "imagined", "host": "imagined",
    "mail": "imagined@example.org", "url": "https://imagined.example/", "time": "2026-01-01T00:00:00Z",
    "severity": "informational", "any": "imagined",
}  # fmt: skip


def _named(value: Any) -> Any:
    """`account` is short for `{type: account}`, `[a, b]` for a choice."""
    if isinstance(value, str):
        return {"type": value}
    return {"choice": value} if isinstance(value, list) else value


TypeSpec = Annotated[Spec, BeforeValidator(_named)]


@lru_cache(maxsize=2_000)
def choice_of(words: tuple[str, ...]) -> type[StrEnum]:
    """The type that has just these words as its values."""
    return StrEnum("Choice", {f"_{index}": word for index, word in enumerate(words)})  # type: ignore[return-value]


def _valid(annotation: Any, value: Any) -> Any:
    strict = annotation in (bool, int | float)  # where pydantic would read a number out of a text
    try:
        return _adapter(annotation).validate_python(value, strict=strict)
    except ValidationError as error:
        message, hint = worded("the value", error.errors(include_url=False)[0])
        raise ValueError(f"{message}; {hint}" if hint else message) from None


@lru_cache(maxsize=2_000)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def validate_all(specs: Mapping[str, Spec], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, defaults put in; raises `ValueError` that names every one that does not fit."""
    mistakes = [f"`{name}` is unknown; known: {', '.join(specs) or 'none'}" for name in given if name not in specs]
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        value = given.get(name)
        value = spec.default if value is None else value
        try:
            if value is not None:
                values[name] = spec.validated(value)
            elif spec.is_required:
                mistakes.append(f"`{name}` is missing")
            else:
                values[name] = None
        except ValueError as error:
            mistakes.append(f"`{name}`: {error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return values

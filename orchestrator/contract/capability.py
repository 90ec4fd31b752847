"""Capabilities: the typed verbs that playbooks use, said once for all vendors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import UnionType
from typing import Any, ClassVar, Generic, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo

from orchestrator.contract.values import Domain, FileHash, IpAddress, MailAddress

MANY = 500
"""how many items a list in a result has at most: results travel with the run; there is a `truncated` beside it"""


class Effect(StrEnum):
    """What an action leaves behind at its target."""

    READ = "read"
    ADDITIVE = "additive"
    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"

    @property
    def mutates(self) -> bool:
        """True unless the action only reads."""
        return self is not Effect.READ


class Parameters(BaseModel):
    """What a capability takes; frozen, and an unknown name is a mistake.

    Of `ANY_OF` at least one has to be given: what is left out altogether would mean everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    ANY_OF: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.ANY_OF and not any(getattr(self, name) for name in self.ANY_OF):
            raise ValueError(f"give at least one of {', '.join(self.ANY_OF)}")
        return self


class Result(BaseModel):
    """What a capability gives; every field has a type, so that playbooks are checked before they run."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Parameters)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Capability(Generic[P, R]):
    """A verb such as `firewall.block_ip`.

    `target` names the parameter that says what is acted upon; `parts` names those that with it tell one effect from
    another, such as two files of one machine. `inverse` names the capability that takes the effect back; it takes the
    same-named parameters. `state` names the read that tells how the target is now.
    """

    name: str
    takes: type[P]
    gives: type[R]
    effect: Effect
    summary: str
    target: str | None = None
    parts: tuple[str, ...] = ()
    inverse: str | None = None
    state: str | None = None
    d3fend: str | None = None

    def target_of(self, parameters: P) -> str:
        """What these parameters act upon, as `kind:value` in its one spelling; the capability's name where none."""
        if self.target is None:
            return self.name
        value = getattr(parameters, self.target)
        return f"{getattr(value, 'kind', self.target)}:{value}"

    def effect_of(self, parameters: P) -> str:
        """Which effect on its target this is: what two calls must share to be one effect with two holds."""
        given = parameters.model_dump(mode="json", include=set(self.parts))
        return " ".join([self.target_of(parameters), *(f"{name}:{given[name]}" for name in self.parts)])

    def undo_parameters(self, parameters: P, inverse: Capability[Parameters, Result]) -> dict[str, object]:
        """What the inverse has to be called with to take this call back."""
        given = parameters.model_dump(mode="json")
        return {name: given[name] for name in inverse.takes.model_fields if name in given}

    def imagine(self, parameters: P) -> R:
        """A minimal result that this call could have had: for shadow mode and for simulated actions.

        What the result says again of the parameters is taken from them; the rest are defaults or the least value.
        """
        given = parameters.model_dump(mode="json")
        fields = {
            name: given[name] if given.get(name) is not None else _least(field)
            for name, field in self.gives.model_fields.items()
            if field.is_required() or given.get(name) is not None
        }
        return self.gives.model_validate(fields)


def completed(field: FieldInfo, given: Any) -> Any:
    """A value that somebody wrote for a field, with the least value of what its objects need and it leaves out."""
    return _completed(field.annotation, given)


def _completed(kind: Any, given: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        kind = next((one for one in get_args(kind) if one is not type(None)), kind)
    if isinstance(given, list) and get_origin(kind) in (list, tuple):
        return [_completed(get_args(kind)[0], one) for one in given]
    if isinstance(given, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields
        least = {name: _least(inner) for name, inner in fields.items() if inner.is_required() and name not in given}
        own = {name: completed(fields[name], one) if name in fields else one for name, one in given.items()}
        return least | own
    return given


_LEAST: dict[type[Any], Any] = {
    bool: False, int: 0, float: 0.0, datetime: datetime.fromtimestamp(0, UTC), IpAddress: "0.0.0.0",  # noqa: S104
    Domain: "imagined.invalid", MailAddress: "nobody@imagined.invalid", FileHash: "0" * 64, str: "imagined",
}  # fmt: skip
"""the least value of each type; the first that fits counts"""


def _least(field: FieldInfo) -> Any:
    """The least value of a field that has no default."""
    kind: Any = field.annotation
    if get_origin(kind) in (Union, UnionType):
        if type(None) in get_args(kind):
            return None
        kind = get_args(kind)[0]
    if get_origin(kind) in (list, tuple, dict):
        return {} if get_origin(kind) is dict else []
    if issubclass(kind, BaseModel):
        return {name: _least(inner) for name, inner in kind.model_fields.items() if inner.is_required()}
    if issubclass(kind, Enum):
        return next(iter(kind))
    return next(value for known, value in _LEAST.items() if issubclass(kind, known))

"""How a product is taught to Tocsin: its settings, and one function for each capability that it implements.

Duties. The gateway validates parameters, decides whether to send, records, retries and reconciles; the function sends
one request (or reads and sends) and turns the answer into the capability's result. It never sleeps, never retries and
never swallows a failure: what the client raises already has its failure kind. Whatever reads the state again after an
answer was lost is named in `repeats`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from orchestrator.contract.capability import Capability, Parameters, Result
from orchestrator.contract.values import FileRef

P = TypeVar("P", bound=Parameters)
R = TypeVar("R", bound=Result)
C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """The settings of one configured integration; secrets are of type `Secret`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(Protocol):
    """An answer of the target, read whole and within the size cap."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in small letters."""
        ...

    @property
    def body(self) -> bytes:
        """The body as it came."""
        ...

    @property
    def text(self) -> str:
        """The body as text."""
        ...

    def json(self) -> Any:
        """The body as JSON; raises `TargetUnavailable` where it is none (in doubt after a mutating call)."""
        ...


class Http(Protocol):
    """The guarded client: one host, no redirects, one deadline, typed failures, no secret in any error.

    `path` is a template such as `/api/v1/users/{id}`; `segments` fill it, percent-encoded. `accept` names statuses of
    400 and above that the caller wants to see instead of the failure they stand for.
    """

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        **segments: str,
    ) -> Answer:
        """Send one request and give its answer."""
        ...


@dataclass(frozen=True)
class Call(Generic[C]):
    """One call of one action.

    `key` is the ledger's key of the effect (64 hexadecimal digits, the same on every attempt): use it as idempotency
    key or store it at the target. `until` is when the effect shall end, where the target can end it by itself.
    `seconds_left` is what remains of the deadline when the function is entered. `approval` and `reason` say who
    wanted it, for the target's own log. `in_time` raises where the time to send is over: `http` asks it before each
    request, and who reaches the target by another way asks it directly before what changes something.
    """

    config: C
    http: Http
    key: str
    seconds_left: float
    until: datetime | None = None
    run: str = ""
    in_time: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Idempotent:
    """Sending the same call again changes nothing more."""


@dataclass(frozen=True)
class Readable:
    """Whether the call took effect can be read: `find` gives its result, or None where it did not happen.

    `settles_within` is how long, in seconds, an unanswered call can still take effect at the target; reading earlier
    than that proves nothing.
    """

    find: Callable[[Call[Any], Any], Awaitable[Result | None]]
    settles_within: float


@dataclass(frozen=True)
class Unrepeatable:
    """Neither: after a lost answer a person decides."""


Repeats = Idempotent | Readable | Unrepeatable


@dataclass(frozen=True)
class Implementation:
    """How one product does one capability. `needs` names the rights that the credentials must have."""

    capability: Capability[Any, Any]
    run: Callable[[Call[Any], Any], Awaitable[Result]]
    repeats: Repeats
    needs: tuple[str, ...] = ()


@dataclass
class Integration(Generic[C]):
    """A product: its name in settings, its settings' model, and what it implements.

    `base_url` gives the one address that its HTTP client may talk to, or None where it speaks another protocol.
    `authorize` gives the headers of every request; they are kept for `authorize_for` seconds and asked for again, once,
    after a 401. `basic_auth` gives user and password instead, where that is all the product wants. `keeps` gives the
    bytes of files that its actions spoke of.
    """

    name: str
    title: str
    config: type[C]
    base_url: Callable[[C], str] | None = None
    authorize: Callable[[C, Http], Awaitable[Mapping[str, str]]] | None = None
    authorize_for: float = 1800.0
    basic_auth: Callable[[C], tuple[str, str]] | None = None
    implementations: dict[str, Implementation] = field(default_factory=dict)
    keeps: Callable[[Call[C], FileRef], Awaitable[bytes]] | None = None

    def keeps_files(
        self, function: Callable[[Call[C], FileRef], Awaitable[bytes]]
    ) -> Callable[[Call[C], FileRef], Awaitable[bytes]]:
        """Register the function below as what gives the bytes of this product's files; `NotFound` where it has none."""
        self.keeps = function
        return function

    def implements(
        self, capability: Capability[P, R], *, repeats: Repeats, needs: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Call[C], P], Awaitable[R]]], Callable[[Call[C], P], Awaitable[R]]]:
        """Register the function below as this product's way to do `capability`."""

        def register(function: Callable[[Call[C], P], Awaitable[R]]) -> Callable[[Call[C], P], Awaitable[R]]:
            if capability.name in self.implementations:
                raise ValueError(f"{self.name} implements {capability.name} twice")
            self.implementations[capability.name] = Implementation(capability, function, repeats, needs)
            return function

        return register

    def reads(
        self, capability: Capability[P, R], *, needs: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Call[C], P], Awaitable[R]]], Callable[[Call[C], P], Awaitable[R]]]:
        """Register a function that only reads; it may be sent as often as wanted."""
        if capability.effect.mutates:
            raise ValueError(f"{capability.name} changes its target; use implements(..., repeats=...)")
        return self.implements(capability, repeats=Idempotent(), needs=needs)

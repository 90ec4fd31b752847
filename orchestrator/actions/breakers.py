"""Breakers: an integration that fails is left alone by all workers until one call has found that it answers again.

What Postgres has is what counts, so a storm that one worker meets stops all. Two more are left alone: who asked for it
(Retry-After), until that time and then until one call is answered; and who refused our credentials, until a person has
changed the settings or closes the breaker, since every further call could lock the service account.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.http import LONGEST_SAID
from orchestrator.actions.site import Configured
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import to_json
from orchestrator.errors import (
    ActionFailed,
    FailureKind,
    Forbidden,
    InvalidCall,
    RateLimited,
    RefusedByPolicy,
    SentTooLate,
    TargetUnavailable,
    TimedOut,
    Unauthorized,
)

log = structlog.get_logger()
FAILURES = 5
"""failures that open a breaker, where at least half of the calls since the first of them failed"""
WITHIN = 60.0
"""seconds from the first failure in which those count together"""
FIRST_PAUSE = 5.0
"""seconds until the first probe; each probe that fails doubles that"""
LONGEST_PAUSE = 30.0
"""seconds between probes at most, so that what is owed is done within a minute of the target's return"""
PAGE_AT = 3
"""the failed probe at which people are told that something waits to be taken back"""
SPARE = 5.0
"""seconds beside its time that a probe may take to tell what came of it"""

LET_THROUGH = text("SELECT tocsin.let_through(:name, CAST(:not_mine AS text[]), CAST(:lease AS float))")
TROUBLED = text("""
SELECT integration FROM tocsin.breaker WHERE state = 'open' OR failures > 0
UNION SELECT integration FROM tocsin.refused_settings
""")
TOLD = text("SELECT tocsin.breaker_told(:name, CAST(:call AS jsonb))")
CLOSE = text("SELECT tocsin.close_breaker(:name, CAST(:who AS jsonb))")
STANDING = text("""
SELECT integration, cause, why, opened_at, probe_at, failures FROM tocsin.breaker WHERE state = 'open'
UNION ALL
SELECT integration, 'refused', why, refused_at, NULL, 0 FROM tocsin.refused_settings WHERE NOT replaced
ORDER BY integration, opened_at
""")
Came = Literal["answered", "failing", "limited", "refused", "unused"]
RULES = {
    "most": FAILURES, "within": WITHIN, "first": FIRST_PAUSE, "longest": LONGEST_PAUSE, "longest_said": LONGEST_SAID,
    "page_at": PAGE_AT,
}  # fmt: skip


class LeftAlone(ActionFailed):
    """An integration is left alone now; nothing was sent. `retry_after` is when that may be over, where anybody knows.

    To a run it is the failure that the integration itself gave, so what a playbook says of that holds.
    """

    in_doubt = False

    def __init__(self, kind: FailureKind, message: str, retry_after: float | None = None) -> None:
        self.kind = kind
        super().__init__(message, retry_after=retry_after)


class Pass(NamedTuple):
    """Leave to call an integration once. `watched`: somebody waits for what comes of it, as its `probe` perhaps."""

    to: Configured
    watched: bool = False
    probe: str | None = None


class Standing(BaseModel):
    """A breaker that is open: why, since when, and when the next probe is due (none: a person has to act)."""

    model_config = ConfigDict(frozen=True)

    integration: str
    cause: Literal["failing", "limited", "refused"]
    why: str
    opened_at: datetime
    probe_at: datetime | None
    failures: int = 0

    def __str__(self) -> str:
        again = f"next probe {self.probe_at:%H:%M:%SZ}" if self.probe_at else f"{HOW_TO} {self.integration}"
        return f"{self.integration} is left alone since {self.opened_at:%Y-%m-%d %H:%M:%SZ}: {self.why}; {again}"


HOW_TO = "change its settings and start the workers anew, or: tocsin breakers close"


class Door(Protocol):
    """Asked before each call to an integration, and told what came of it. Raises `Unavailable` where nobody can say."""

    async def enter(self, to: Configured, seconds: float) -> Pass:
        """Leave to call it, for so long; raises `LeftAlone`."""
        ...

    async def standing(self, to: Configured) -> LeftAlone | None:
        """Why it is left alone now; None where it may be called."""
        ...

    async def answered(self, leave: Pass) -> None:
        """It answered."""
        ...

    async def failed(self, leave: Pass, failure: ActionFailed, *, glance: bool = False) -> None:
        """It failed so. That a `glance` took too long says nothing about the target."""
        ...


class Always:
    """Lets everybody through, and remembers nothing."""

    async def enter(self, to: Configured, seconds: float) -> Pass:
        """See `Door.enter`."""
        return Pass(to)

    async def standing(self, to: Configured) -> LeftAlone | None:
        """See `Door.standing`."""
        return None

    async def answered(self, leave: Pass) -> None:
        """See `Door.answered`."""

    async def failed(self, leave: Pass, failure: ActionFailed, *, glance: bool = False) -> None:
        """See `Door.failed`."""


class Breakers:
    """The doors that Postgres keeps, the same for every process."""

    def __init__(self, engine: AsyncEngine, *, salt: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._engine = engine
        self._salt = salt
        self._mine: dict[tuple[str, str], bool] = {}
        self._under_way: asyncio.Task[frozenset[str]] | None = None
        self._after_it: asyncio.Task[frozenset[str]] | None = None

    async def enter(self, to: Configured, seconds: float) -> Pass:
        """See `Door.enter`."""
        if to.own or to.name not in await self._troubled():
            return Pass(to)
        return await self._asked(to, seconds + SPARE)

    async def standing(self, to: Configured) -> LeftAlone | None:
        """See `Door.standing`."""
        try:
            if not to.own:
                await self._asked(to, None)
        except LeftAlone as refusal:
            return refusal
        return None

    async def answered(self, leave: Pass) -> None:
        """See `Door.answered`; where nobody waits for that, nothing is recorded."""
        if leave.watched:
            await self._tell(leave, "answered")

    async def failed(self, leave: Pass, failure: ActionFailed, *, glance: bool = False) -> None:
        """See `Door.failed`."""
        came = "unused" if glance and isinstance(failure, TimedOut) else came_of(failure)
        if not leave.to.own and (leave.watched or came not in ("answered", "unused")):
            await self._tell(leave, came, failure)

    async def _troubled(self) -> frozenset[str]:
        """Whom anything is known of, as it is now: one look answers all who asked before it began."""
        if self._after_it is None:
            self._after_it = asyncio.create_task(self._look(self._under_way))
            self._after_it.add_done_callback(
                lambda look: look.cancelled() or look.exception()
            )  # if nobody waits for it
        return await asyncio.shield(self._after_it)

    async def _look(self, before: asyncio.Task[frozenset[str]] | None) -> frozenset[str]:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._after_it = self._after_it, None
        async with single_statement(self._engine) as connection:
            return frozenset((await connection.execute(TROUBLED)).scalars())

    async def _asked(self, to: Configured, lease: float | None) -> Pass:
        while True:
            not_mine = [one for (name, one), mine in self._mine.items() if name == to.name and not mine]
            said = await self._said(LET_THROUGH, {"name": to.name, "not_mine": not_mine, "lease": lease})
            if said["verdict"] == "go":
                return Pass(to, said.get("watched", False), said.get("probe"))
            if said["verdict"] != "whose":
                raise left_alone(to, said)
            for one in said["fingerprints"]:
                if await self._is_mine(to, one):
                    raise LeftAlone(FailureKind.UNAUTHORIZED, f"{to.name} is left alone: it refused these credentials; "
                                    f"{HOW_TO} {to.name}")  # fmt: skip

    async def _is_mine(self, to: Configured, fingerprint: str) -> bool:
        place = (to.name, fingerprint)
        if place not in self._mine:
            salt = fingerprint.partition("$")[0]
            self._mine[place] = await asyncio.to_thread(fingerprint_of, to, salt) == fingerprint
        return self._mine[place]

    async def _tell(self, leave: Pass, came: Came, failure: ActionFailed | None = None) -> None:
        to = leave.to
        call: dict[str, Any] = {**RULES, "came": came, "probe": leave.probe}
        if failure is not None:
            call |= {"why": failure.message, "pause": failure.retry_after}
        if came == "refused":
            call["fingerprint"] = await asyncio.to_thread(fingerprint_of, to, self._salt())
        told = await self._said(TOLD, {"name": to.name, "call": to_json(call)})
        if told == "opened":
            log.warning("breaker.opened", integration=to.name, cause=came, why=call["why"])
        elif told == "closed":
            log.info("breaker.closed", integration=to.name)

    async def _said(self, statement: Any, values: dict[str, Any]) -> Any:
        async with single_statement(self._engine) as connection:
            return (await connection.execute(statement, values)).scalar_one()


async def close_breaker(engine: AsyncEngine, name: str, *, why: str, who: str, trust: str = "unverified") -> bool:
    """Let an integration be called again, whatever it did; False where it is not left alone."""
    values = {"name": name, "who": to_json({"by": who, "trust": trust, "why": why})}
    async with single_statement(engine) as connection:
        return bool((await connection.execute(CLOSE, values)).scalar_one())


async def open_breakers(engine: AsyncEngine) -> list[Standing]:
    """Who is left alone now."""
    async with single_statement(engine) as connection:
        return [Standing.model_validate(dict(row)) for row in (await connection.execute(STANDING)).mappings()]


def left_alone(to: Configured, said: dict[str, Any]) -> LeftAlone:
    """What a run is told of a breaker that is open."""
    wait = float(said["wait"])
    kind = FailureKind.RATE_LIMITED if said["verdict"] == "limited" else FailureKind.UNAVAILABLE
    return LeftAlone(kind, f"{to.name} is left alone, for {wait:.0f} s more at least: {said['why']}", wait)


def came_of(failure: ActionFailed) -> Came:
    """What a failure says about the target: a refused request is an answer like any other."""
    match failure:
        case InvalidCall() | RefusedByPolicy() | LeftAlone() | SentTooLate():
            return "unused"
        case Forbidden() | TimedOut() | TargetUnavailable():
            return "failing"
        case Unauthorized():
            return "refused"
        case RateLimited():
            return "limited"
    return "answered"


def fingerprint_of(to: Configured, salt: str) -> str:
    """Tells these settings from others, and does not give them away: to try a password costs as much as scrypt does."""
    settings = orjson.dumps(to.config.model_dump(), default=_plain, option=orjson.OPT_SORT_KEYS)
    return f"{salt}${hashlib.scrypt(settings, salt=salt.encode(), n=2**14, r=8, p=1, dklen=32).hex()}"


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

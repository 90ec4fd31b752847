"""One request from its intent to its outcome: send, and where the answer was lost find out what happened.

The rules. Nothing is sent before the intent is committed. Bytes leave only before `send_before`. A key with an open
send is never sent again before that has passed and the target has shown (or its nature guarantees) that a second send
does no harm. What cannot be known is recorded as unknown, for a person.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from orchestrator.actions.breakers import Always, Door, LeftAlone
from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.kill_switch import Halted
from orchestrator.actions.ledger import Ledger, Outcome, Verdict
from orchestrator.actions.site import Configured
from orchestrator.contract import Call, Capability, Effect, Idempotent, Implementation, Parameters, Readable, Result
from orchestrator.errors import (
    ActionFailed,
    FailureKind,
    RefusedByPolicy,
    Rejected,
    SentTooLate,
    TargetUnavailable,
    TimedOut,
    UnknownOutcome,
)

MOST_SENDS = 3
PATIENCE = 10.0
"""seconds to wait, after a lost answer, for an integration that is left alone: time for a first probe and its answer"""
LOOK_AGAIN = 0.5
"""seconds between two looks at whether an effect is there"""


def frozen_proof_clock() -> float:
    """Seconds on a clock that goes on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


async def always() -> None:
    """The permit of what no rail has a say in, such as a look at the target."""


@dataclass(frozen=True)
class Shipment:
    """All that the sending of one request needs to know. `timeout` is in seconds and bounds one send.

    `permit` is asked directly before each send, and raises `RefusedByPolicy` where it must not be. A `glance` has
    so little time that to be too slow for it says nothing about the target.
    """

    key: str
    run: str
    request: CanonicalRequest
    parameters: Parameters
    effect: Effect
    to: Configured
    timeout: float
    permit: Callable[[], Awaitable[None]] = always
    glance: bool = False

    @property
    def implementation(self) -> Implementation:
        """How the product does it."""
        return self.to.implementation(self.request.capability)


class Seen(NamedTuple):
    """Whether an effect was seen at its target, why not, and how long that took."""

    seen: bool
    why: str
    milliseconds: float


def shown_by(result: Mapping[str, Any] | None) -> dict[str, bool]:
    """What a target shows for as long as an effect stands: what its result says with yes or no."""
    return {name: value for name, value in (result or {}).items() if isinstance(value, bool)}


class Sender:
    """Sends what the ledger allows, and reconciles what it left open."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        doors: Door | None = None,
        send_within: float = 5.0,
        clock: Callable[[], float] = frozen_proof_clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.send_within = send_within
        self.doors: Door = doors or Always()
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep

    @property
    def clock(self) -> Callable[[], float]:
        """The clock that deadlines of sending are on."""
        return self._clock

    @property
    def sleep(self) -> Callable[[float], Awaitable[None]]:
        """What waits."""
        return self._sleep

    async def carry_out(self, shipment: Shipment, verdict: Verdict, asked_at: float) -> Outcome:
        """Bring the request to an outcome, from what the ledger said to its intent at `asked_at` (on the clock).

        Raises `Halted` where another send is needed and a kill switch is thrown: the intent stays open until then.
        """
        if verdict.verdict == "open":
            verdict, asked_at, known = await self._reopen(shipment, verdict)
            if known is not None:
                return known
        for _ in range(MOST_SENDS):
            try:
                await shipment.permit()
            except RefusedByPolicy as refusal:
                return await self._not_again(shipment, verdict, refusal)
            try:
                return await self._send(shipment, verdict, asked_at)
            except LeftAlone as refusal:
                return await self._not_again(shipment, verdict, refusal)
            except ActionFailed as failure:
                if not (failure.in_doubt and shipment.effect.mutates):
                    return await self._failed(shipment, verdict, failure)
                lost = failure
            verdict, asked_at, known = await self._find_out(shipment, verdict, lost)
            if known is not None:
                return known
        return await self._unknown(shipment, verdict, f"no answer to {MOST_SENDS} sends: {lost.message}")

    async def see(self, shipment: Shipment, capability: Capability[Any, Any], result: Mapping[str, Any]) -> Seen:
        """Read the target back until it shows what the action says that it did, for as long as one send may take."""
        began = self._clock()
        wanted = shown_by(result)
        while True:
            try:
                shown = await self.look(shipment, capability)
            except ActionFailed:
                shown = {}
            if shown is None:
                return Seen(False, f"{shipment.to.name} cannot show the effect of {capability.name}", 0.0)
            took = (self._clock() - began) * 1000
            if wanted and wanted.items() <= shown.items():
                return Seen(True, "", took)
            if took >= shipment.timeout * 1000:
                return Seen(False, "the target said yes, and does not show the effect", took)
            await self._sleep(LOOK_AGAIN)

    async def look(self, shipment: Shipment, capability: Capability[Any, Any]) -> dict[str, Any] | None:
        """How the target is now; None where it cannot show that. Raises `ActionFailed` where it does not answer."""
        reading = shipment.to.product.implementations.get(capability.state or "")
        if reading is None:
            return None
        given = {name: shipment.request.parameters[name] for name in reading.capability.takes.model_fields}
        parameters = reading.capability.takes.model_validate(given)
        call = self._call(shipment, None, lambda: None)
        found = await self._through(shipment, lambda: reading.run(call, parameters))
        return found.model_dump(mode="json") if found is not None else {}

    async def _send(self, shipment: Shipment, verdict: Verdict, asked_at: float) -> Outcome:
        latest = asked_at + self.send_within

        def in_time() -> None:
            if self._clock() > latest:
                raise SentTooLate("held up for too long before sending; nothing was sent")

        in_time()
        began = self._clock()
        call = self._call(shipment, verdict.until, in_time)
        result = await self._through(shipment, lambda: shipment.implementation.run(call, shipment.parameters))
        outcome = Outcome(
            state="done",
            send=verdict.sends,
            how="answered",
            result=result.model_dump(mode="json"),
            milliseconds=(self._clock() - began) * 1000,
        )
        await self._ledger.conclude(shipment.key, outcome)
        return outcome

    async def _reopen(self, shipment: Shipment, verdict: Verdict) -> tuple[Verdict, float, Outcome | None]:
        """An earlier worker left this open: let its time to send pass, then find out."""
        await self._sleep(verdict.wait)
        if not shipment.effect.mutates:
            return await self._again(shipment, verdict, "reads may be repeated")
        return await self._find_out(shipment, verdict, TimedOut("the worker that sent it is gone"))

    async def _find_out(
        self, shipment: Shipment, verdict: Verdict, lost: ActionFailed
    ) -> tuple[Verdict, float, Outcome | None]:
        """After a lost answer: a new permission to send, or the outcome."""
        repeats = shipment.implementation.repeats
        if isinstance(repeats, Idempotent):
            await self._patiently(shipment)
            return await self._again(shipment, verdict, "idempotent")
        if not isinstance(repeats, Readable):
            return verdict, 0.0, await self._unknown(shipment, verdict, lost.message)
        # an unanswered call can take effect at the target until then; reading earlier would double it
        await self._sleep(repeats.settles_within)
        await self._patiently(shipment)
        try:
            call = self._call(shipment, verdict.until, lambda: None)
            found = await self._through(shipment, lambda: repeats.find(call, shipment.parameters))
        except ActionFailed as failure:
            return (
                verdict,
                0.0,
                await self._unknown(shipment, verdict, f"{lost.message}; reading back: {failure.message}"),
            )
        if found is None:
            return await self._again(shipment, verdict, "read back: not there")
        outcome = Outcome(state="done", send=verdict.sends, how="read_back", result=found.model_dump(mode="json"))
        await self._ledger.conclude(shipment.key, outcome)
        return verdict, 0.0, outcome

    async def _patiently(self, shipment: Shipment) -> None:
        """Wait a little while the integration is left alone: what cannot be looked up is for a person to find out."""
        waited = 0.0
        while waited < PATIENCE and (refusal := await self.doors.standing(shipment.to)) and refusal.retry_after:
            pause = min(refusal.retry_after, PATIENCE - waited)
            await self._sleep(pause)
            waited += pause

    async def _again(self, shipment: Shipment, verdict: Verdict, why: str) -> tuple[Verdict, float, Outcome | None]:
        asked_at = self._clock()
        again = await self._ledger.resend(shipment.key, verdict.sends, self.send_within, why)
        if again.switch is not None:
            raise Halted(again.switch)
        if again.verdict == "lost":
            return again, asked_at, await self._unknown(shipment, verdict, "another worker has taken it over")
        return again, asked_at, None

    async def _failed(self, shipment: Shipment, verdict: Verdict, failure: ActionFailed) -> Outcome:
        unknown = failure.kind is FailureKind.UNKNOWN_OUTCOME
        outcome = Outcome(
            state="unknown" if unknown else "failed",
            send=verdict.sends,
            how="answered",
            error_kind=failure.kind,
            error_message=failure.message,
            retry_after=failure.retry_after,
        )
        await self._ledger.conclude(shipment.key, outcome)
        return outcome

    async def _through(self, shipment: Shipment, work: Callable[[], Awaitable[Any]]) -> Any:
        """What an integration answers, where its breaker lets us call it; raises `LeftAlone` where it does not."""
        leave = await self.doors.enter(shipment.to, shipment.timeout)
        try:
            result = await _bounded(shipment, work())
        except ActionFailed as failure:
            let_go(failure)
            await self.doors.failed(leave, failure, glance=shipment.glance)
            raise
        await self.doors.answered(leave)
        return result

    async def _not_again(self, shipment: Shipment, verdict: Verdict, refusal: ActionFailed) -> Outcome:
        """Refused before any send, nothing happened; after a send that was not read back, nobody knows."""
        read_back = isinstance(shipment.implementation.repeats, Readable)
        if verdict.sends > 1 and not read_back:
            return await self._unknown(shipment, verdict, f"it was sent before, and is not sent again: {refusal}")
        return await self._failed(shipment, verdict, refusal)

    async def _unknown(self, shipment: Shipment, verdict: Verdict, why: str) -> Outcome:
        return await self._failed(shipment, verdict, UnknownOutcome(f"whether it happened is not known: {why}"))

    def _call(self, shipment: Shipment, until: datetime | None, before_send: Callable[[], None]) -> Call[Any]:
        return Call(
            config=shipment.to.config,
            http=shipment.to.client(shipment.timeout, before_send),
            key=shipment.key,
            seconds_left=shipment.timeout,
            until=until,
            run=shipment.run,
            in_time=before_send,
        )


def let_go(failure: BaseException | None) -> None:
    """Free what the failed call held: a failure keeps its frames, and these a whole answer, until it is recorded."""
    while failure is not None:
        traceback.clear_frames(failure.__traceback__)
        failure = failure.__cause__ or failure.__context__


async def _bounded(shipment: Shipment, work: Awaitable[Any]) -> Any:
    """Run a function of an integration within the time of a send; whatever it raises becomes a failure with a kind."""
    name = f"{shipment.to.name} ({shipment.request.capability})"
    try:
        async with asyncio.timeout(shipment.timeout):
            result = await work
    except TimeoutError:
        raise TimedOut(f"{name}: no whole answer within {shipment.timeout:g} s") from None
    except ActionFailed:
        raise
    except (ValidationError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # the integration could not read the answer: the call may well have taken effect
        raise TargetUnavailable(
            f"{name}: the answer is not what the integration expects ({type(error).__name__})", in_doubt=True
        ) from error
    if result is not None and not isinstance(result, Result):
        raise Rejected(f"{name}: gave {type(result).__name__} instead of a result", in_doubt=True)
    return result

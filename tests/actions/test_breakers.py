"""Breakers: who fails, asks for it or refuses us is left alone by all workers, and called again when that is over.

What was called and when is told by the target's own log.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting, build_acting
from orchestrator.actions.breakers import (
    FAILURES,
    Breakers,
    came_of,
    close_breaker,
    open_breakers,
)
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import Site, build_site
from orchestrator.audit.reading import about
from orchestrator.contract import Call, Config, Idempotent, Integration, Secret
from orchestrator.contract.capabilities import identity, intel
from orchestrator.errors import (
    ActionFailed,
    Conflict,
    FailureKind,
    Forbidden,
    InvalidCall,
    NotFound,
    RateLimited,
    Rejected,
    SentTooLate,
    TargetUnavailable,
    TimedOut,
    Unauthorized,
    UnknownOutcome,
)
from orchestrator.language.host import ActionCall, ActionOutcome, UndoCall
from tests.actions.bench_target import Target, acting, block, context
from tests.actions.hostile import Hostile, hostile


class Settings(Config):
    """Where it is, and who we are there."""

    url: str
    password: Secret = Secret("right")


def reputation() -> Integration[Settings]:
    """A product behind HTTP, whose target may be hostile."""
    made = Integration("reputation", "What a hostile target says", Settings, base_url=lambda config: config.url)

    @made.reads(intel.lookup_ip)
    async def look_up(call: Call[Settings], want: intel.LookupIp) -> intel.IpReport:
        answer = await call.http.request("GET", "/ip/{ip}", ip=want.ip)
        return intel.IpReport(ip=want.ip, score=answer.json()["score"])

    @made.implements(identity.disable_account, repeats=Idempotent())
    async def disable(call: Call[Settings], who: identity.Account) -> identity.AccountState:
        await call.http.request("POST", "/disable/{account}", account=who.account)
        return identity.AccountState(account=who.account, enabled=False)

    return made


Worker = Callable[..., Acting]


@pytest.fixture(scope="module")
def _process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with hostile(tmp_path_factory.mktemp("hostile")) as target:
        yield target


@pytest.fixture
def storm(_process: Hostile) -> Hostile:
    """The hostile target, friendly and with an empty log."""
    _process.become("ok")
    _process._log.write_text("")
    return _process


@pytest.fixture
async def worker(catalog: Catalog, engine: AsyncEngine, storm: Hostile) -> AsyncIterator[Worker]:
    """Another worker, with settings that may differ."""
    sites: list[Site] = []

    def made(**settings: Any) -> Acting:
        products = {"reputation": reputation()}
        site = build_site(Catalog(catalog.capabilities, products), {"reputation": {"url": storm.url, **settings}}, {})
        sites.append(site)
        ledger = PostgresLedger(engine)
        sender = Sender(ledger, doors=Breakers(engine), sleep=no_time)
        guard = NeverTouch(catalog.capabilities, tuple, ())
        return build_acting(catalog.capabilities, site, ledger, sender, never_touch=guard)

    yield made
    for site in sites:
        await site.close()


async def no_time(seconds: float) -> None:
    """Waiting that takes none."""


numbers = iter(range(1, 100_000))


def look(**changes: Any) -> ActionCall:
    """Another look-up."""
    fixed: dict[str, Any] = {"path": ("look", str(next(numbers))), "timeout": 5.0}
    return ActionCall(**({"step": "look", "action": "intel.lookup_ip", "parameters": {"ip": "203.0.113.7"}} | fixed
                         | changes))  # fmt: skip


def disable(**changes: Any) -> ActionCall:
    """Another change at the target."""
    return look(step="disable", action="identity.disable_account", parameters={"account": "eve"}, **changes)


async def act(made: Acting, call: ActionCall | None = None) -> ActionOutcome:
    """One action."""
    return await made.gateway.act(context(), call or look(), ())


def kind(outcome: ActionOutcome) -> FailureKind | None:
    """The kind of its failure."""
    return outcome.error.kind if outcome.error else None


async def pass_by(engine: AsyncEngine, seconds: float) -> None:
    """Let so much time go by for the breakers."""
    async with engine.begin() as connection:
        await connection.execute(
            text("""UPDATE tocsin.breaker SET probe_at = probe_at - make_interval(secs => :s),
                since = since - make_interval(secs => :s), probe_until = probe_until - make_interval(secs => :s)"""),
            {"s": seconds},
        )


async def told(engine: AsyncEngine, name: str = "reputation") -> list[str]:
    """What the audit has of it."""
    return [one.type for one in await about(engine, name)]


@pytest.mark.parametrize("mode", ["503", "garbage"])
async def test_after_five_failures_nobody_calls_it_until_one_probe_has_found_it_well(
    worker: Worker, storm: Hostile, engine: AsyncEngine, mode: str
) -> None:
    """Two workers, one breaker. What is not called fails at once, with the time of the next probe."""
    one, other = worker(), worker()
    storm.become(mode)
    for made in (one, other, one, other, one):
        assert kind(await act(made)) is FailureKind.UNAVAILABLE
    assert len(storm.requests) == FAILURES == 5

    storm.become("ok")
    refused = [await act(made, call) for made in (one, other) for call in (look(), disable())]

    assert {kind(outcome) for outcome in refused} == {FailureKind.UNAVAILABLE}
    assert all(
        outcome.error and outcome.error.retry_after and 4 < outcome.error.retry_after <= 5 for outcome in refused
    )
    assert len(storm.requests) == 5

    await pass_by(engine, 5)
    assert (await act(other)).error is None
    assert (await act(one)).error is None
    assert len(storm.requests) == 7
    assert await told(engine) == ["breaker.opened", "breaker.closed"]


async def test_four_failures_leave_it_closed(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """The neighbour that passes."""
    made = worker()
    storm.become("503")
    for _ in range(4):
        await act(made)
    storm.become("ok")

    assert (await act(made)).error is None
    assert len(storm.requests) == 5
    assert await told(engine) == []


async def test_failures_among_more_answers_do_not_open_it(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """A target that fails now and then is still of use; when it does nothing else any more, it opens."""
    made = worker()
    for _ in range(8):
        for mode in ("503", "ok", "ok"):
            storm.become(mode)
            await act(made)
    assert len(storm.requests) == 24
    assert await open_breakers(engine) == []

    storm.become("503")
    while not await open_breakers(engine):
        await act(made)
    assert len(storm.requests) == 24 + 8


async def test_failures_long_ago_do_not_count(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """Those of one minute count together."""
    made = worker()
    storm.become("503")
    for _ in range(4):
        await act(made)
    await pass_by(engine, 61)
    for _ in range(4):
        await act(made)
    assert await open_breakers(engine) == []
    await act(made)
    assert [one.cause for one in await open_breakers(engine)] == ["failing"]


async def test_one_probe_at_a_time_and_each_that_fails_doubles_the_pause(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """Twenty calls on two workers at the moment when a probe is due are one request."""
    workers = worker(), worker()
    storm.become("503")
    for _ in range(5):
        await act(workers[0])
    pauses = []
    for _ in range(4):
        (standing,) = await open_breakers(engine)
        pauses.append(await waits(engine))
        await pass_by(engine, pauses[-1])
        before = len(storm.requests)
        outcomes = await asyncio.gather(*(act(made) for made in workers for _ in range(10)))
        assert len(storm.requests) == before + 1
        assert {kind(outcome) for outcome in outcomes} == {FailureKind.UNAVAILABLE}

    assert standing.integration == "reputation"
    assert [round(pause) for pause in pauses] == [5, 10, 20, 30]
    assert await told(engine) == ["breaker.opened", *["breaker.probe_failed"] * 4]


async def waits(engine: AsyncEngine) -> float:
    """Seconds until the next probe."""
    async with engine.connect() as connection:
        asked = text("SELECT extract(epoch FROM probe_at - clock_timestamp()) FROM tocsin.breaker")
        return float((await connection.execute(asked)).scalar_one())


async def test_a_probe_whose_worker_died_holds_up_nobody_for_long(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """Its time passes, and another one goes."""
    made = worker()
    storm.become("503")
    for _ in range(5):
        await act(made)
    storm.become("ok")
    await pass_by(engine, 5)
    to = build_site(Catalog({}, {"reputation": reputation()}), {"reputation": {"url": storm.url}}, {}).named(
        "reputation"
    )
    assert to is not None
    assert (await Breakers(engine).enter(to, 5.0)).probe

    assert kind(await act(made)) is FailureKind.UNAVAILABLE
    await pass_by(engine, 10)
    assert (await act(made)).error is None


async def test_no_call_before_retry_after_by_any_worker(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """Two workers call without rest; the target's log has nothing until a second after its answer, then one call."""
    one, other = worker(), worker()
    storm.become("429:1")
    first = await act(one)
    assert (kind(first), first.error and first.error.retry_after) == (FailureKind.RATE_LIMITED, 1.0)
    outcomes = [await act(other, disable())]
    while kind(outcomes[-1]) is FailureKind.RATE_LIMITED and len(storm.requests) == 1:
        outcomes += await asyncio.gather(act(one), act(other))
    assert outcomes[0].error
    assert outcomes[0].error.message.startswith("reputation is left alone, for 1 s more at least: answered 429")

    (began, _), (again, _) = storm.requests
    assert again - began >= 1.0
    assert "breaker.probe_failed" not in await told(engine)


async def test_what_a_target_says_of_its_own_time_is_kept_to(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """An hour at most; five seconds where it says none. After it one call finds out whether all may."""
    made = worker()
    for mode, seconds in (("503:120", 120), ("429:999999999", 3600), ("429", 5)):
        before = len(storm.requests)
        storm.become(mode)
        await act(made)
        assert seconds - 2 < await waits(engine) <= seconds

        await pass_by(engine, seconds - 2)
        assert kind(await act(made)) is FailureKind.RATE_LIMITED
        assert len(storm.requests) == before + 1

        storm.become("ok")
        await pass_by(engine, 2)
        assert (await act(made)).error is None
        assert (await act(made)).error is None
        assert len(storm.requests) == before + 3


async def test_credentials_that_are_refused_are_used_once(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """One call, however many workers, however long; also what changes something. Other settings may be tried."""
    old, same = worker(), worker()
    storm.become("401")
    assert kind(await act(old)) is FailureKind.UNAUTHORIZED
    for made in (old, same):
        for call in (look(), disable()):
            assert kind(await act(made, call)) is FailureKind.UNAUTHORIZED
    await pass_by(engine, 10**7)
    assert kind(await act(same)) is FailureKind.UNAUTHORIZED
    assert len(storm.requests) == 1

    storm.become("ok")
    mended = worker(password="changed")
    assert (await act(mended)).error is None
    assert kind(await act(old)) is FailureKind.UNAUTHORIZED, "it still has the old ones"
    assert await open_breakers(engine) == []
    assert await told(engine) == ["breaker.opened", "breaker.closed"]
    assert len(storm.requests) == 2


async def test_a_person_lets_refused_credentials_be_used_again(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """The account was mended at the target, so the settings are right. The audit has who, and pages for the refusal."""
    made = worker()
    storm.become("401")
    await act(made)
    storm.become("ok")
    (standing,) = await open_breakers(engine)
    assert (standing.cause, standing.probe_at) == ("refused", None)
    assert str(standing).endswith("tocsin breakers close reputation")

    assert await close_breaker(engine, "reputation", why="unlocked", who="alice")
    assert not await close_breaker(engine, "reputation", why="unlocked", who="alice")

    assert (await act(made)).error is None
    opened, closed = await about(engine, "reputation")
    assert (opened.type, opened.body["cause"], opened.body["page"]) == ("breaker.opened", "refused", True)
    assert (closed.type, closed.body["by"], closed.body["why"]) == ("breaker.closed", "alice", "unlocked")


async def test_what_is_kept_of_refused_settings_gives_no_password_away(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """A salt and what scrypt makes of it; two of the same password differ."""
    storm.become("401")
    await act(worker(password="a canary in a coal mine"))
    await close_breaker(engine, "reputation", why="a test", who="alice")
    await act(worker(password="a canary in a coal mine"))
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT to_jsonb(r)::text FROM tocsin.refused_settings r"))).scalar_one()
    assert "canary" not in row


async def test_a_missing_right_is_no_wrong_password(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """After 403 the next one may ask: it counts as a failure, and a storm of these opens the breaker too."""
    made = worker()
    storm.become("403")
    for _ in range(5):
        assert kind(await act(made)) is FailureKind.UNAUTHORIZED
    assert len(storm.requests) == 5
    assert kind(await act(made)) is FailureKind.UNAVAILABLE


async def test_a_refused_request_is_an_answer(worker: Worker, storm: Hostile, engine: AsyncEngine) -> None:
    """However often: the target is well."""
    made = worker()
    for mode in ("404", "400", "409"):
        storm.become(mode)
        for _ in range(8):
            await act(made)
    assert len(storm.requests) == 24
    assert await open_breakers(engine) == []


@pytest.mark.parametrize(
    ("failure", "came"),
    [
        (TimedOut("x"), "failing"), (TargetUnavailable("x"), "failing"), (Forbidden("x"), "failing"),
        (RateLimited("x"), "limited"), (Unauthorized("x"), "refused"), (NotFound("x"), "answered"),
        (Conflict("x"), "answered"), (Rejected("x"), "answered"), (UnknownOutcome("x"), "answered"),
        (InvalidCall("x"), "unused"), (SentTooLate("x"), "unused"),
    ],
)  # fmt: skip
def test_what_each_failure_says_about_the_target(failure: ActionFailed, came: str) -> None:
    """Only what is of its own making counts against it."""
    assert came_of(failure) == came


async def test_bombs_drips_and_garbage_take_neither_memory_nor_time(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """Forty actions at once, at a target that sends 200 MB as some thousand bytes, noise, floods and drips for ever."""
    made = worker()
    mine = psutil.Process(os.getpid())
    await act(made)
    before = mine.memory_info().rss
    seen: list[int] = []
    watching = asyncio.create_task(watch(mine, seen))
    loop = asyncio.get_running_loop()
    for mode in ("bomb", "garbage", "flood", "drip"):
        storm.become(mode)
        began = loop.time()
        outcomes = await asyncio.gather(*(act(made, look(timeout=2.0)) for _ in range(40)))
        assert all(outcome.error for outcome in outcomes)
        assert loop.time() - began < 30
        assert storm.requests[-1][1] == mode
        await close_breaker(engine, "reputation", why="the next one", who="a test")
    watching.cancel()
    assert max(seen) - before < 50 * 2**20


async def watch(mine: psutil.Process, seen: list[int]) -> None:
    """Look at the memory at each turn of the loop that is a hundredth of a second off."""
    while True:
        seen.append(mine.memory_info().rss)
        await asyncio.sleep(0.01)


async def test_an_undo_waits_for_the_breaker_and_is_the_probe(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """It is no failed attempt, it is not lost, and nobody is paged for waiting."""
    made = acting(catalog, ledger, target, sending={"doors": Breakers(engine)})
    await made.gateway.act(context(), block(), ())
    await fall(made, target)
    asked = len(target.asked)

    done = await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())

    assert done.error
    assert done.error.message.startswith("bench is left alone")
    assert (len(target.asked), target.blocked) == (asked, {"203.0.113.7"})
    assert "action.undo_failed" not in await told(engine, context().run)
    assert await ledger.due(10) == [], "not before the next probe"

    target.misbehave = target.hide = lambda: None
    await pass_by(engine, 5)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.taking_back SET next_at = clock_timestamp()"))
    (shared,) = await ledger.due(10)
    assert await made.undoing.end(shared, by="expiry") is None
    assert target.blocked == set()
    assert await told(engine, "bench") == ["breaker.opened", "breaker.closed"]


def down() -> None:
    """What a target does that is away."""
    raise TargetUnavailable("away")


async def fall(made: Acting, target: Target) -> None:
    """The target goes away, and five calls find out."""
    target.misbehave = target.hide = down
    for _ in range(5):
        await made.gateway.act(context(), look(), ())


async def test_people_are_told_once_that_something_waits_to_be_taken_back(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """At the third probe that fails; not where nothing is owed."""
    made = acting(catalog, ledger, target, sending={"doors": Breakers(engine)})
    await made.gateway.act(context(), block(), ())
    await fall(made, target)
    for _ in range(4):
        await pass_by(engine, 30)
        await made.gateway.act(context(), look(), ())
    assert [one.body.get("page") for one in await about(engine, "bench")][1:] == [False] * 4

    await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())
    for _ in range(3):
        await pass_by(engine, 30)
        await made.gateway.act(context(), look(), ())
    assert [one.body.get("page") for one in await about(engine, "bench")][5:] == [True, False, False]


async def test_what_was_there_before_us_is_not_taken_back_because_nobody_could_look(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """Where the look at a target is not let through, no intent is recorded: the further attempt looks first."""
    target.blocked.add("203.0.113.7")
    made = acting(catalog, ledger, target, sending={"doors": Breakers(engine)})
    await fall(made, target)
    refused = await made.gateway.act(context(), block(), ())
    assert (kind(refused), refused.error and refused.error.retry_after is not None) == (FailureKind.UNAVAILABLE, True)

    target.misbehave = target.hide = lambda: None
    await pass_by(engine, 5)
    assert (await made.gateway.act(context(), block(attempt=2), ())).error is None
    await made.undoing.undo(context(), UndoCall(step="back", path=("back",)), ())
    assert target.blocked == {"203.0.113.7"}


async def test_a_lost_answer_waits_for_the_breaker_before_a_person_is_asked(
    catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine
) -> None:
    """The send that opened the breaker is looked up when a probe is due, and not taken for failed."""
    waited: list[float] = []

    async def later(seconds: float) -> None:
        waited.append(seconds)
        if seconds > 1:
            target.lose_answer = lambda: None
            await pass_by(engine, seconds)

    def lose() -> None:
        raise TimedOut("no answer")

    made = acting(catalog, ledger, target, sending={"doors": Breakers(engine), "sleep": later})
    target.misbehave = down
    for _ in range(4):
        await made.gateway.act(context(), look(), ())
    target.misbehave, target.lose_answer = lambda: None, lose

    outcome = await made.gateway.act(context(), block(), ())

    assert outcome.error is None
    assert target.asked.count("block 203.0.113.7") == 1
    assert max(waited) > 4


async def test_a_further_send_that_is_not_let_through_leaves_unknown_what_the_first_did(
    worker: Worker, storm: Hostile, engine: AsyncEngine
) -> None:
    """Never recorded as failed: it may have happened, so it has to be undone in time."""
    made = worker()
    storm.become("503")
    for _ in range(4):
        await act(made)

    outcome = await act(made, disable())

    assert len(storm.requests) == 5
    assert kind(outcome) is FailureKind.UNKNOWN_OUTCOME

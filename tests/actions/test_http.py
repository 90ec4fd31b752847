"""The guarded client against a server that misbehaves: nothing leaves for elsewhere, nothing grows, nothing leaks."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from orchestrator.actions.http import GuardedHttp, WholeAnswer, raise_for
from orchestrator.contract import (
    ActionFailed,
    Conflict,
    Http,
    InvalidCall,
    NotFound,
    RateLimited,
    Rejected,
    TargetUnavailable,
    TimedOut,
    Unauthorized,
)
from orchestrator.errors import SettingsError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server with one handler for every path; gives its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def asked(url: str, method: str = "GET", path: str = "/x", *, seconds: float = 5.0, **given: object) -> object:
    client = GuardedHttp(url, most_bytes=100_000)
    try:
        return await client.for_call(seconds).request(method, path, **given)  # type: ignore[arg-type]
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (302, Rejected), (400, Rejected), (401, Unauthorized), (403, Unauthorized), (404, NotFound), (409, Conflict),
        (412, Conflict), (422, Rejected), (429, RateLimited), (500, TargetUnavailable), (503, TargetUnavailable),
    ],
)  # fmt: skip
async def test_every_status_has_its_failure(serve: Serve, status: int, failure: type[ActionFailed]) -> None:
    """A vendor's number becomes one of the ten kinds; a redirect is not followed."""

    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/x", "a redirect was followed"
        return web.Response(
            status=status, headers={"Location": "/elsewhere", "Retry-After": "7"} if status in (302, 429) else {}
        )

    with pytest.raises(failure) as told:
        await asked(await serve(answer))

    if failure is RateLimited:
        assert told.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ("120", 120, 120), (" 7 ", 7, 7), ("99999999999999999999", 3600, 3600), ("9" * 400, 3600, 3600),
        ("{soon}", 90, 100),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("Wed, 21 Oct 2315 07:28:00 GMT", 3600, 3600),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0), ("soon", None, None), ("-5", None, None), ("\u00b2", None, None),
    ],
)  # fmt: skip
def test_both_forms_of_retry_after_are_read_and_neither_is_believed_for_more_than_an_hour(
    said: str, low: float | None, high: float | None
) -> None:
    """Seconds or a date; what is neither is none."""
    soon = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    answer = WholeAnswer(429, {"retry-after": said.replace("{soon}", soon)}, b"")
    with pytest.raises(RateLimited) as told:
        raise_for(answer)
    seconds = told.value.retry_after
    assert seconds is None if low is None or high is None else low <= (seconds or 0) <= high


@pytest.mark.parametrize("value", ["..", ".", "", "...", "a\r\nb", "a\0b"])
async def test_a_segment_never_leaves_its_place_in_the_path(serve: Serve, value: str) -> None:
    """What could walk up, vanish or break the line is refused before anything is sent."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({})

    with pytest.raises(InvalidCall):
        await asked(await serve(answer), path="/users/{id}/lock", id=value)
    assert seen == []


@pytest.mark.parametrize("value", ["../../admin", "a/b", "a?b=c", "a#b", "%2e%2e", "ü", "a b", "{id}"])
async def test_hostile_text_in_a_segment_arrives_as_that_text(serve: Serve, value: str) -> None:
    """The literal text arrives, in its one place."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({})

    await asked(await serve(answer), path="/users/{id}/lock", id=value)

    from urllib.parse import unquote  # noqa: PLC0415

    start, middle, end = seen[0].rpartition("/lock")[0].partition("/users/")
    assert (start, middle) == ("", "/users/")
    assert "/" not in end
    assert unquote(end) == value


async def test_a_header_cannot_begin_another(serve: Serve) -> None:
    """A line break in a header is refused before anything is sent."""

    async def answer(request: web.Request) -> web.Response:
        raise AssertionError("it was sent")

    with pytest.raises(InvalidCall):
        await asked(await serve(answer), headers={"x-reason": "a\r\nx-admin: 1"})


async def test_a_bomb_ends_at_the_cap(serve: Serve) -> None:
    """A hundred megabytes in a hundred kilobytes: refused at the cap, not inflated."""
    bomb = gzip.compress(b"\0" * 100_000_000)

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    with pytest.raises(TargetUnavailable, match="larger than"):
        await asked(await serve(answer))


async def test_a_slow_answer_ends_at_the_deadline_and_is_in_doubt(serve: Serve) -> None:
    """One byte now and then: the whole call is bounded, and a write may have happened."""

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.05)

    with pytest.raises(TimedOut) as told:
        await asked(await serve(drip), "POST", seconds=0.4)
    assert told.value.in_doubt


async def test_a_cut_answer_leaves_a_write_in_doubt_and_a_read_not(serve: Serve) -> None:
    """The connection ends in the middle: only what could have changed something is in doubt."""

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    url = await serve(cut)
    for method, doubt in (("POST", True), ("GET", False)):
        with pytest.raises(ActionFailed) as told:
            await asked(url, method)
        assert told.value.in_doubt is doubt


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "GET"])
async def test_a_request_that_got_no_answer_is_not_sent_again(serve: Serve, method: str) -> None:
    """Whether to repeat is decided by who records it; also where the connection had answered before."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.method)
        if len(seen) == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    client = GuardedHttp(await serve(answer)).for_call(5.0)
    await client.request(method, "/x")
    with pytest.raises(TimedOut):
        await client.request(method, "/x", json={})
    assert seen == [method, method]


async def test_nobody_listening_is_no_doubt() -> None:
    """Nothing was sent, so nothing happened."""
    with pytest.raises(TargetUnavailable) as told:
        await asked("http://127.0.0.1:9", "POST")
    assert not told.value.in_doubt


async def test_an_expired_login_is_renewed_once_and_by_one_call(serve: Serve) -> None:
    """Two calls with an old token: one new login, both succeed; a login that never helps is `unauthorized`."""
    logins: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/login":
            logins.append("login")
            return web.json_response({"token": f"t{len(logins)}"})
        good = request.headers.get("Authorization") == "Bearer t2"
        return web.json_response({}, status=200 if good else 401)

    async def authorize(http: Http) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {(await http.request('POST', '/login')).json()['token']}"}

    client = GuardedHttp(await serve(answer), authorize=authorize)
    http = client.for_call(5)

    await asyncio.gather(http.request("GET", "/a"), http.request("GET", "/b"))
    assert len(logins) == 2

    for _ in range(3):
        await http.request("GET", "/c")
    assert len(logins) == 2
    await client.close()


async def test_the_last_word_before_sending_is_the_gateways(serve: Serve) -> None:
    """What `before_send` refuses never leaves."""

    async def answer(request: web.Request) -> web.Response:
        raise AssertionError("it was sent")

    def too_late() -> None:
        raise TargetUnavailable("too late")

    client = GuardedHttp(await serve(answer))
    with pytest.raises(TargetUnavailable, match="too late"):
        await client.for_call(5, too_late).request("POST", "/x")
    await client.close()


@pytest.mark.parametrize("url", ["ftp://x", "http://user:pw@host/", "//host", "file:///etc/passwd", "http://h/?a=b"])
def test_an_address_that_is_none_is_refused_when_it_is_configured(url: str) -> None:
    """Addresses come from the settings alone, and carry no credentials."""
    with pytest.raises(SettingsError):
        GuardedHttp(url)

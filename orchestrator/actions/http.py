"""The guarded HTTP client: the one way in which an integration reaches its product, and the only importer of httpx.

One host; path segments percent-encoded, never walking up; no redirects, no proxies of the environment; one deadline;
answers read in bounded steps, whatever they claim to be; failures with a kind and without addresses or secrets.
"""

from __future__ import annotations

import asyncio
import email.utils
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from orchestrator.contract import (
    ActionFailed,
    Conflict,
    Forbidden,
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

MOST_BYTES = 8 * 1024 * 1024
STEP = 64 * 1024
LARGE = 64 * 1024
MOST_LARGE = 2
"""answers larger than that are read so many at a time from one integration: 16 MiB at most, however many ask"""
LONGEST_SAID = 3600.0
"""seconds of a Retry-After that are believed: a target that says more is asked once an hour"""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FORBIDDEN = frozenset("\r\n\0")


@dataclass(frozen=True)
class WholeAnswer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    mutating: bool = False

    @property
    def text(self) -> str:
        """The body as UTF-8, with what is none replaced."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON; an answer that is none leaves in doubt what a mutating call did."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise TargetUnavailable("the answer is not JSON", in_doubt=self.mutating) from None


@dataclass
class _Login:
    """Headers of a login, kept until they are too old; one login at a time."""

    ask: Callable[[Http], Awaitable[Mapping[str, str]]]
    lasts: float
    headers: Mapping[str, str] | None = None
    since: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self, http: Http) -> Mapping[str, str]:
        """The headers, asked for where there are none or they are old."""
        async with self.lock:
            if self.headers is None or time.monotonic() - self.since > self.lasts:
                self.headers, self.since = await self.ask(http), time.monotonic()
            return self.headers

    def forget(self, refused: Mapping[str, str]) -> None:
        """The target refuses these headers; the next call asks anew, unless somebody has done so already."""
        if self.headers is refused:
            self.headers = None


class _Broken(aiohttp.ClientConnectionError):
    """The connection broke while a request was under way."""


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: the client would by itself send a PUT or DELETE again that got no answer."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken("no answer") from error


def _session() -> aiohttp.ClientSession:
    tls = httpx.create_ssl_context()
    connector = aiohttp.TCPConnector(ssl=tls, limit=100)
    # what is buffered before anybody reads it counts for each connection, so the default of 256 KiB is much
    return aiohttp.ClientSession(connector=connector, middlewares=(_send_once,), read_bufsize=STEP)


class GuardedHttp:
    """The client of one configured integration."""

    def __init__(
        self,
        base_url: str,
        *,
        authorize: Callable[[Http], Awaitable[Mapping[str, str]]] | None = None,
        authorize_for: float = 1800.0,
        basic_auth: tuple[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise SettingsError("the address of an integration is http(s)://host[:port][/path], without user or query")
        self._base = base_url.rstrip("/")
        self._login = _Login(authorize, authorize_for) if authorize else None
        self._most_bytes = most_bytes
        self._large = asyncio.Semaphore(MOST_LARGE)
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=_session),
            auth=httpx.BasicAuth(*basic_auth) if basic_auth else None,
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 - the deadline of each call is the one that counts
        )

    def for_call(self, seconds: float, before_send: Callable[[], None] = lambda: None) -> Http:
        """The client for one call: everything it sends ends within `seconds`; `before_send` may still refuse."""
        return _CallHttp(self, seconds, before_send)

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def send(self, request: _Request, seconds: float, before_send: Callable[[], None]) -> WholeAnswer:
        """One request with the login's headers; a login that is refused is renewed once."""
        deadline = time.monotonic() + seconds
        if self._login is None:
            return await self._once(request, {}, deadline, before_send)
        # a login must not carry the login's own headers, so it gets a client without them
        plain = _PlainHttp(self, seconds, before_send)
        held = await self._login.current(plain)
        answer = await self._once(request, held, deadline, before_send)
        if answer.status == 401:  # refused before it did anything: a second send doubles nothing
            self._login.forget(held)
            held = await self._login.current(plain)
            answer = await self._once(request, held, deadline, before_send)
        return answer

    async def _once(
        self, request: _Request, login: Mapping[str, str], deadline: float, before_send: Callable[[], None]
    ) -> WholeAnswer:
        headers = {"accept-encoding": "identity", **request.headers, **login}
        _refuse_line_breaks(headers)
        before_send()
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await self._exchange(request, headers)
        except TimeoutError:
            raise TimedOut("no whole answer in time", in_doubt=request.mutates) from None
        except (httpx.TransportError, httpx.StreamError) as error:
            if never_connected(error):
                raise TargetUnavailable("no connection to the target", in_doubt=False) from None
            raise TimedOut("the connection broke before the answer was whole", in_doubt=request.mutates) from None

    async def _exchange(self, request: _Request, headers: Mapping[str, str]) -> WholeAnswer:
        async with self._client.stream(
            request.method, self._base + request.path, params=request.query, content=request.body, headers=headers
        ) as answer:
            body = await self._read(answer, request)
            return WholeAnswer(answer.status_code, dict(answer.headers), body, request.mutates)

    async def _read(self, answer: httpx.Response, request: _Request) -> bytes:
        inflate = _inflater(answer.headers.get("content-encoding", "identity"), request)
        body = bytearray()
        async with AsyncExitStack() as held:
            alone = False
            async for chunk in answer.aiter_raw(STEP):
                inflate(chunk, body, self._most_bytes)
                if len(body) > self._most_bytes:
                    why = f"the answer is larger than {self._most_bytes} bytes"
                    raise TargetUnavailable(why, in_doubt=request.mutates)
                if len(body) > LARGE and not alone:
                    await held.enter_async_context(self._large)
                    alone = True
            return bytes(body)


def never_connected(error: BaseException) -> bool:
    """Whether no byte can have left. httpx calls a connection that the server closed a failed one as well."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _inflater(encoding: str, request: _Request) -> Callable[[bytes, bytearray, int], None]:
    """How to add a chunk to the body; what was compressed unasked is inflated in steps that stop at the cap."""
    if encoding in ("", "identity"):
        return lambda chunk, body, most: body.extend(chunk)
    if encoding not in ("gzip", "deflate"):
        raise TargetUnavailable("the answer is compressed in a way that nobody asked for", in_doubt=request.mutates)
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def inflate(chunk: bytes, body: bytearray, most: int) -> None:
        while chunk and len(body) <= most:
            try:
                body.extend(machine.decompress(chunk, STEP))
            except zlib.error:
                raise TargetUnavailable("the answer is not what it claims to be", in_doubt=request.mutates) from None
            chunk = machine.unconsumed_tail

    return inflate


@dataclass(frozen=True)
class _Request:
    """A request as it goes out, its path relative to the base address."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def mutates(self) -> bool:
        """Whether a lost answer leaves something in doubt."""
        return self.method not in READING


@dataclass(frozen=True)
class _CallHttp:
    """What an integration holds: the contract's `Http` for one call."""

    client: GuardedHttp
    seconds: float
    before_send: Callable[[], None]

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
    ) -> WholeAnswer:
        """See `orchestrator.contract.Http`."""
        body, kind = _body(json, data, text)
        request = _Request(method.upper(), fill(path, segments), query or {}, {**kind, **(headers or {})}, body)
        answer = await self._send(request)
        if answer.status not in accept:
            raise_for(answer)
        return answer

    async def _send(self, request: _Request) -> WholeAnswer:
        return await self.client.send(request, self.seconds, self.before_send)


class _PlainHttp(_CallHttp):
    """The same without the login's headers: for the login itself."""

    async def _send(self, request: _Request) -> WholeAnswer:
        deadline = time.monotonic() + self.seconds
        return await self.client._once(request, {}, deadline, self.before_send)  # noqa: SLF001 - of this module


class NoHttp:
    """For products that speak another protocol: any request is a mistake of the integration."""

    async def request(self, method: str, path: str, **_: Any) -> WholeAnswer:
        """Refuse."""
        raise InvalidCall("this integration has no base_url, so it cannot send HTTP requests")


def fill(path: str, segments: Mapping[str, str]) -> str:
    """The path with its segments percent-encoded; refuses what would leave its place in the path."""
    encoded = {}
    for name, value in segments.items():
        # the transport decodes %2E%2E and walks up, so dots alone never go out, encoded or not
        if not value or value.strip(".") == "" or _FORBIDDEN & set(value):
            raise InvalidCall(f"the value of {{{name}}} cannot stand in a path")
        encoded[name] = quote(value, safe="")
    try:
        return path.format(**encoded)
    except (KeyError, IndexError):
        raise InvalidCall(f"the path {path} names a segment that was not given") from None


def raise_for(answer: WholeAnswer) -> None:
    """Raise the failure that the answer's status stands for; returns for 2xx."""
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"answered {status}"
    if status == 401:
        raise Unauthorized(f"{said}: it does not accept our credentials")
    if status == 403:
        raise Forbidden(f"{said}: our credentials lack a right, or it knows none of them")
    if status == 404:
        raise NotFound(f"{said}: no such thing")
    if status in (409, 412):
        raise Conflict(f"{said}: its state is not the one expected{_excerpt(answer)}")
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise RateLimited(f"{said}: asked to slow down", retry_after=_retry_after(answer.headers.get("retry-after")))
    if status >= 500:
        raise TargetUnavailable(f"{said}{_excerpt(answer)}", in_doubt=answer.mutating)
    if status < 400:
        raise Rejected(f"{said}: a redirect, which is not followed; check the configured address")
    raise Rejected(f"{said}{_excerpt(answer)}")


def _excerpt(answer: WholeAnswer) -> str:
    """The first words of an error, printable; no more than a person needs to recognise it."""
    words = " ".join(answer.text[:200].split())
    shown = "".join(letter for letter in words if letter.isprintable())
    return f": {shown}" if shown else ""


def _retry_after(value: str | None) -> float | None:
    """Seconds from now, from either form of the header (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return min(float(value), LONGEST_SAID)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, when.timestamp() - time.time()), LONGEST_SAID)


def _body(json: Any, data: Mapping[str, str] | None, text: str | None) -> tuple[bytes | None, dict[str, str]]:
    if json is not None:
        return orjson.dumps(json), {"content-type": "application/json"}
    if data is not None:
        encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in data.items())
        return encoded.encode(), {"content-type": "application/x-www-form-urlencoded"}
    if text is not None:
        return text.encode(), {"content-type": "text/plain; charset=utf-8"}
    return None, {}


def _refuse_line_breaks(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if _FORBIDDEN & set(value):
            raise InvalidCall(f"the header {name} has a line break in it")


__all__ = ["ActionFailed", "GuardedHttp", "NoHttp", "WholeAnswer", "fill", "raise_for"]

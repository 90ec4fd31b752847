"""The lab's HTTP service: a REST API behind a token, and a page that shows what happened.

The API's table of contents is `LabState.routes`; each system brings its part.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from orchestrator.local.lab.page import page
from orchestrator.local.lab.state import LabState

MODES = ("ok", "cut_answer", "drop", "slow", "limited", "unavailable", "lie")
"""How a path may behave: `cut_answer` applies and then drops the connection, `drop` drops it before, `lie` says 200
and does nothing, `limited` is 429 with Retry-After 1, `slow` waits for `Lab.slow` seconds before it applies."""


class Lab:
    """The service on a loopback port. `misbehave` sets how an operation behaves, for the next `times` requests."""

    def __init__(self, folder: Path, *, port: int = 0, token: str | None = None) -> None:
        self.state = LabState(folder)
        self.token = token or secrets.token_urlsafe(24)
        self.url = ""
        self.slow = 2.0
        self._port = port
        self._modes: dict[str, tuple[str, int]] = {}
        self._runner: web.AppRunner | None = None

    def misbehave(self, operation: str, mode: str, times: int = 1_000_000) -> None:
        """From now on this operation behaves so."""
        if mode not in MODES:
            raise ValueError(f"no mode {mode}; known: {', '.join(MODES)}")
        if operation not in {route.operation for route in self.state.routes}:
            raise ValueError(f"the lab has no operation {operation}")
        self._modes[operation] = (mode, times)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_get("/", self._page)
        app.router.add_get("/state", self._state)
        for route in self.state.routes:
            app.router.add_route(route.method, route.path, self._handler(route.operation))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()
        self.state.close()

    def _handler(self, operation: str) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._authorised(request):
                return web.json_response({"error": "wrong token"}, status=401)
            try:
                body = json.loads(await request.read() or b"{}")
            except json.JSONDecodeError:
                return web.json_response({"error": "not JSON"}, status=400)
            entry = {
                "method": request.method,
                "path": request.path,
                "operation": operation,
                "key": request.headers.get("Idempotency-Key"),
                "id": request.match_info.get("id"),
                "query": dict(request.query),
                "body": body,
            }
            return await self._answer(request, operation, entry)

        return handle

    def _authorised(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    async def _answer(self, request: web.Request, operation: str, entry: dict[str, Any]) -> web.StreamResponse:
        mode = self._mode(operation)
        if mode in ("drop", "limited", "unavailable", "lie"):
            self.state.apply({**entry, "dropped": mode})
            refusals = {
                "limited": lambda: web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "1"}),
                "unavailable": lambda: web.json_response({"error": "down"}, status=503),
                "lie": lambda: web.json_response({"id": "0"}, status=200),
            }
            return refusals[mode]() if mode in refusals else _cut(request)
        if mode == "slow":
            await asyncio.sleep(self.slow)
        status, body = self.state.apply(entry)
        return _cut(request) if mode == "cut_answer" else _told(status, body)

    def _mode(self, operation: str) -> str:
        mode, times = self._modes.get(operation, ("ok", 0))
        if times <= 0:
            return "ok"
        self._modes[operation] = (mode, times - 1)
        return mode

    async def _page(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'"
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return web.Response(text=page(nonce), content_type="text/html", headers=headers)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state.shown(), headers={"Cache-Control": "no-store"})


def _told(status: int, body: Any) -> web.Response:
    """Bytes as they are, for nobody's browser to open; everything else as JSON."""
    if isinstance(body, bytes):
        kept = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, status=status, content_type="application/octet-stream", headers=kept)
    return web.json_response(body, status=status)


def _cut(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()

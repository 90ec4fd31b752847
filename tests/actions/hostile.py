"""A hostile target in a process of its own: it logs each request before it misbehaves. `python -m` it with two files.

The first names the mode, one word, read anew for each request; to the second each request adds a line: when, method,
path, mode. It says the port on its first line.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from aiohttp import web

SMALL = b'{"score": 90}'
BOMB = 200 * 1024 * 1024
"""bytes that a bomb comes to"""


async def serve(mode: Path, log: Path) -> None:
    """Serve until the process is ended."""
    app = web.Application()

    async def answer(request: web.Request) -> web.StreamResponse:
        how = mode.read_text().strip()
        with log.open("ab") as lines:
            lines.write(f"{time.time()} {request.method} {request.path} {how}\n".encode())
            lines.flush()
            os.fsync(lines.fileno())
        return await respond(request, how)

    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def respond(request: web.Request, how: str) -> web.StreamResponse:
    """An answer of this kind: a status with what follows it as Retry-After, or something that is none."""
    word, _, said = how.partition(":")
    if word.isdigit():
        headers = {"Retry-After": said} if said else {}
        return web.Response(status=int(word), body=SMALL, headers=headers)
    if word == "garbage":
        return web.Response(body=os.urandom(4096), content_type="application/json")
    if word == "bomb":
        return await pour(request, bombs(), {"Content-Encoding": "gzip"})
    if word == "flood":
        return await pour(request, floods(), {})
    if word == "drip":
        return await pour(request, drips(), {})
    return web.Response(body=SMALL, content_type="application/json")


async def pour(request: web.Request, parts: AsyncIterator[bytes], headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
    await response.prepare(request)
    async for part in parts:
        await response.write(part)
    return response


async def bombs() -> AsyncIterator[bytes]:
    """Some thousand bytes that inflate to very many."""
    squeeze = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for _ in range(BOMB // 2**20):
        yield squeeze.compress(bytes(2**20))
    yield squeeze.flush()


async def floods() -> AsyncIterator[bytes]:
    """As much as is still taken, and no end."""
    yield b" " * (7 * 2**20)
    async for drop in drips():
        yield drop


async def drips() -> AsyncIterator[bytes]:
    """A byte a second, for ever."""
    while True:
        yield b" "
        await asyncio.sleep(1)


class Hostile:
    """What a test sees of it: the modes it may set, and what has arrived."""

    def __init__(self, url: str, mode: Path, log: Path) -> None:
        self.url = url
        self._mode = mode
        self._log = log

    def become(self, mode: str) -> None:
        """From the next request on."""
        self._mode.write_text(mode)

    @property
    def requests(self) -> list[tuple[float, str]]:
        """When each request came, and in which mode it found the target."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(float(line.split()[0]), line.split()[3]) for line in lines]


@contextmanager
def hostile(folder: Path) -> Iterator[Hostile]:
    """The target, in its process, until the end."""
    mode, log = folder / "mode", folder / "log"
    mode.write_text("ok")
    process = Popen([sys.executable, "-m", __name__, str(mode), str(log)], stdout=PIPE, stderr=DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield Hostile(f"http://127.0.0.1:{process.stdout.readline().strip()}", mode, log)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))

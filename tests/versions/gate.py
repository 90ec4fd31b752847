"""A way to a server that can be shut."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Gate:
    """Passes connections on to a port of this machine, as long as it is open."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.refused = 0
        self._behind = port
        self._open = True
        self._through: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def shut(self) -> None:
        """Cut every connection, and let none through."""
        self._open = False
        for writer in self._through:
            writer.transport.abort()

    def open(self) -> None:
        """Let connections through again."""
        self._open = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()
        if self._server:
            self._server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            self.refused += 1
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        self._through |= {writer, inner_writer}
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        self._through -= {writer, inner_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()

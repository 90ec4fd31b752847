"""A part of the local stack: how to start one server, and how to know that it serves."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Ports = Mapping[str, int]


@dataclass(frozen=True)
class Launch:
    """A command to run in the background in the part's folder, its environment, and the signal that asks it to end."""

    command: list[str]
    environment: dict[str, str]
    stop: signal.Signals = signal.SIGTERM


class Part(Protocol):
    """One server of the stack. `ports` names the ports that it needs, the client's first."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the ports that it needs."""
        ...

    async def prepare(self, folder: Path, ports: Ports) -> Launch:
        """Make the folder ready and say what to run; raises `StackError` with the reason where that cannot be."""
        ...

    async def healthy(self, folder: Path, ports: Ports) -> bool:
        """Whether it answers what clients will ask."""
        ...

    def address(self, folder: Path, ports: Ports) -> dict[str, str]:
        """Where clients find it: fields of `Endpoints`."""
        ...

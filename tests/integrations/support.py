"""Call an implementation as the gateway does, against a server that runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.site import Configured, build_site
from orchestrator.contract import Call, Integration, Readable


def configured(product: Integration[Any], **settings: Any) -> Configured:
    """The product as settings would configure it."""
    catalog = Catalog({name: one.capability for name, one in product.implementations.items()}, {product.name: product})
    found = build_site(catalog, {product.name: settings}, {}).named(product.name)
    assert found is not None
    return found


class Caller:
    """Calls by capability name, each with a key of its own unless one is given."""

    def __init__(self, target: Configured) -> None:
        self.target = target
        self._number = 0

    async def __call__(
        self, capability: str, *, key: str | None = None, until: datetime | None = None, **given: Any
    ) -> Any:
        return await self.ask(capability, given, key=key, until=until)

    async def ask(
        self, capability: str, given: Mapping[str, Any], *, key: str | None = None, until: datetime | None = None
    ) -> Any:
        """The same with the parameters in one piece: some are called `key` themselves."""
        implementation = self.target.implementation(capability)
        return await implementation.run(self._call(key, until), implementation.capability.takes(**given))

    async def find(self, capability: str, *, key: str, **given: Any) -> Any:
        """What reading back finds of a call, as after a lost answer."""
        implementation = self.target.implementation(capability)
        assert isinstance(implementation.repeats, Readable)
        return await implementation.repeats.find(self._call(key, None), implementation.capability.takes(**given))

    def _call(self, key: str | None, until: datetime | None) -> Call[Any]:
        self._number += 1
        name = key or f"{time.time_ns()}-{self._number}"
        return Call(
            config=self.target.config,
            http=self.target.client(20.0, lambda: None),
            key=hashlib.sha256(name.encode()).hexdigest(),
            seconds_left=20.0,
            until=until,
            run="test/a/1",
        )


def need(*programs: str, root: bool = False) -> None:
    """Skip where the machine lacks what the real system needs."""
    missing = [name for name in programs if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)} (.ci/packages.sh installs it)")
    if root and os.geteuid() != 0:
        pytest.skip("network namespaces need root")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], *, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for something outside; fails with the reason where it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come within {seconds} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

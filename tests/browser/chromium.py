"""A real Chromium, by the WebDriver protocol of chromedriver: a few verbs, each of which waits for what it needs."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from orchestrator.local.part import Launch
from orchestrator.settings import child_environment
from tests.integrations.support import free_port, need
from tests.servers import a_server

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the protocol gives to references
CONTROL, LEFT = "\ue009", "\ue012"
KEYS = (("keyDown", 1), ("keyUp", -1))
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
NOT_NOW = ("stale element reference", "element click intercepted", "element not interactable")


class Browser:
    """One window. What is looked for is named by XPath, and waited for."""

    def __init__(self, client: aiohttp.ClientSession, session: str) -> None:
        self._client = client
        self._session = session

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self._ask("POST", "url", url=url)

    async def see(self, xpath: str, *, within: float = 60.0) -> str:
        """Wait until it is there to be seen; its reference."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            for found in await self._ask("POST", "elements", using="xpath", value=xpath):
                if await self._shown(found[ELEMENT]):
                    return str(found[ELEMENT])
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not within {within:g} s: {xpath}; the page says:\n{await self.text('//body')}")
            await asyncio.sleep(0.05)

    async def click(self, xpath: str) -> None:
        """Click on it, as soon as nothing lies over it."""
        for _ in range(100):
            try:
                await self._ask("POST", f"element/{await self._centred(xpath)}/click")
            except NotNow:
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError(f"cannot be clicked: {xpath}")

    async def select(self, xpath: str) -> str:
        """Select all of its text; what is selected, to the letter."""
        await self._run(
            "focus(); getSelection().selectAllChildren(arguments[0])", {ELEMENT: await self._centred(xpath)}
        )
        return str(await self._run("return getSelection().toString()"))

    async def press(self, *keys: str) -> None:
        """Press these keys at once where the cursor is, as in `press(CONTROL, "v")`."""
        actions = [{"type": kind, "value": key} for kind, order in KEYS for key in keys[::order]]
        await self._act({"type": "key", "id": "keyboard", "actions": actions})

    async def type(self, text: str) -> None:
        """Press these keys one after another."""
        for key in text:
            await self.press(key)

    async def leave(self) -> None:
        """Take the cursor out of where it is."""
        await self._run("document.activeElement.blur()")

    @asynccontextmanager
    async def inside(self, xpath: str) -> AsyncIterator[None]:
        """What happens in the block happens inside this frame."""
        await self._ask("POST", "frame", id={ELEMENT: await self.see(xpath)})
        yield
        await self._ask("POST", "frame/parent")

    async def text(self, xpath: str) -> str:
        """What it says."""
        (found, *_) = await self._ask("POST", "elements", using="xpath", value=xpath)
        return str(await self._ask("GET", f"element/{found[ELEMENT]}/text"))

    async def picture(self, file: Path) -> None:
        """Keep what the window shows."""
        await asyncio.to_thread(file.write_bytes, base64.b64decode(await self._ask("GET", "screenshot")))

    async def _centred(self, xpath: str) -> str:
        """Its reference, with the page moved so that no bar at an edge lies over it."""
        found = await self.see(xpath)
        await self._run("arguments[0].scrollIntoView({block: 'center'})", {ELEMENT: found})
        return found

    async def _shown(self, element: str) -> bool:
        try:
            return bool(await self._ask("GET", f"element/{element}/displayed"))
        except NotNow:
            return False

    async def _run(self, script: str, *arguments: Any) -> Any:
        return await self._ask("POST", "execute/sync", script=script, args=arguments)

    async def _act(self, source: dict[str, Any]) -> None:
        await self._ask("POST", "actions", actions=[source])

    async def _ask(self, method: str, path: str, **given: Any) -> Any:
        body = given if method == "POST" else None
        async with self._client.request(method, f"session/{self._session}/{path}", json=body) as answer:
            value = (await answer.json())["value"]
        if answer.status == 200:
            return value
        if value["error"] in NOT_NOW:
            raise NotNow(value["error"])
        raise AssertionError(f"{path}: {value['error']}: {value['message']}")


class NotNow(Exception):
    """The page is moving: the element is covered, or was replaced by another."""


@asynccontextmanager
async def chromium(folder: Path, *, width: int = 1280, height: int = 1000) -> AsyncIterator[Browser]:
    """A browser with a profile of its own; skips where this machine has none."""
    need("chromium", "chromedriver")
    port = free_port()
    launch = Launch([str(shutil.which("chromedriver")), f"--port={port}"], child_environment(HOME=str(folder)))
    async with (
        aiohttp.ClientSession(base_url=f"http://127.0.0.1:{port}/") as client,
        a_server(launch, folder, lambda: _ready(client)),
    ):
        session = await _session(client, folder, f"--window-size={width},{height}")
        yield Browser(client, session)
        await client.delete(f"session/{session}")


async def _session(client: aiohttp.ClientSession, folder: Path, size: str) -> str:
    profile = f"--user-data-dir={folder / 'profile'}"
    options = {"binary": shutil.which("chromium"), "args": [*OPTIONS, size, profile]}
    wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
    async with client.post("session", json=wanted) as answer:
        made = (await answer.json())["value"]
    assert answer.status == 200, made
    return str(made["sessionId"])


async def _ready(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("status") as answer:
            return bool((await answer.json())["value"]["ready"])
    except aiohttp.ClientError:
        return False

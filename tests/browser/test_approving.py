"""An analyst answers in Temporal's own UI: opens the run, reads the card, sends the Signal, and sees the run go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.local.endpoints import Endpoints
from tests.browser.chromium import CONTROL, Browser
from tests.workflow.bench import Bench, ask, block, playbook

pytestmark = pytest.mark.timeout(300)  # a browser on a busy machine
CARD = "//iframe[@id='user-metadata-current-details']"
ANSWER = "//p/code[starts-with(., '{')]"
DIALOG = "//dialog[@open]"


@pytest.mark.parametrize(("signal", "sent"), [("approve", ["block 203.0.113.7"]), ("deny", [])])
async def test_the_answer_is_copied_from_the_card_and_pasted_as_it_is(
    bench: Bench, browser: Browser, stack: Endpoints, signal: str, sent: list[str]
) -> None:
    """Three clicks select it, and nothing has to be typed; the page shows that the run went on to its end."""
    made = playbook([ask(), block()], why="Somebody guesses passwords.")
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        await open_card(browser, stack, handle)
        async with browser.inside(CARD):
            assert "firewall.block_ip at bench on ip:203.0.113.7" in await browser.text("//body")
            assert json.loads(await browser.text(ANSWER)) == {"step": "sure", "digest": row.digest}
            await browser.click_thrice(ANSWER)
            await browser.press(CONTROL, "c")
        await send_signal(browser, signal)
        await browser.see("//*[normalize-space()='Completed' or normalize-space()='COMPLETED']")
    assert bench.target.asked == sent


async def open_card(browser: Browser, stack: Endpoints, handle: WorkflowHandle[Any, Any]) -> None:
    await browser.open(f"{stack.temporal_ui}/namespaces/default/workflows/{handle.id.replace('/', '%2F')}")
    await browser.click("//a[contains(., 'User Metadata')]")
    await browser.see(CARD)


async def send_signal(browser: Browser, name: str) -> None:
    """More Actions, Send a Signal, choose it, paste, submit."""
    await browser.click("//button[contains(., 'More Actions')]")
    await browser.click("//*[@role='menuitem'][contains(., 'Send a Signal')]")
    await browser.click(f"{DIALOG}//button[@aria-controls='signal-select-select']")
    await browser.click(f"{DIALOG}//li[@role='option'][.//span[normalize-space()='{name}']]")
    await browser.click(f"{DIALOG}//*[contains(@class, 'cm-content')]")
    await browser.press(CONTROL, "v")
    await browser.click(f"{DIALOG}//button[contains(., 'Submit')]")

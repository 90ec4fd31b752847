"""An analyst answers in Temporal's own UI: opens the run, reads the card, sends the Signal, and sees the run go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.local.endpoints import Endpoints
from tests.browser.chromium import CONTROL, LEFT, Browser
from tests.workflow.bench import Bench, ask, block, playbook

pytestmark = pytest.mark.timeout(300)  # a browser on a busy machine
CARD = "//iframe[@id='user-metadata-current-details']"
ANSWER = "//p/code[starts-with(., '{')]"
DIALOG = "//dialog[@open]"


@pytest.mark.parametrize(("signal", "sent"), [("approve", ["block 203.0.113.7"]), ("deny", [])])
async def test_the_answer_is_copied_from_the_card_and_pasted(
    bench: Bench, browser: Browser, stack: Endpoints, signal: str, sent: list[str]
) -> None:
    """Selected, copied, pasted. Nobody signs in to the local UI, so a name is all that has to be typed.

    The page shows that the run went on to its end.
    """
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        row = await bench.asked(handle)
        await open_card(browser, stack, handle)
        async with browser.inside(CARD):
            assert "firewall.block_ip at bench on ip:203.0.113.7" in await browser.text("//body")
            assert json.loads(await browser.text(ANSWER)) == {"step": "sure", "digest": row.digest, "by": ""}
            copied = await browser.select(ANSWER)
            await browser.press(CONTROL, "c")
        between_the_quotes = LEFT * len(copied.rpartition('"')[2] + '"')
        await send_signal(browser, signal, between_the_quotes + "carol")
        await browser.see("//*[normalize-space()='Completed']")
    assert await bench.judged(handle) == [("counted", signal)]
    assert bench.target.asked == sent
    (decided,) = await bench.questions.listed(handle.id)
    assert decided.decision is not None
    assert (decided.decision["by"], decided.decision["trust"]) == ("carol", "unverified")


async def open_card(browser: Browser, stack: Endpoints, handle: WorkflowHandle[Any, Any]) -> None:
    await browser.open(f"{stack.temporal_ui}/namespaces/default/workflows/{handle.id.replace('/', '%2F')}")
    await browser.click("//a[contains(., 'User Metadata')]")
    await browser.see(CARD)


async def send_signal(browser: Browser, signal: str, keys: str) -> None:
    """More Actions, Send a Signal, choose it, paste, press these keys, submit."""
    await browser.click("//button[contains(., 'More Actions')]")
    await browser.click("//*[@role='menuitem'][contains(., 'Send a Signal')]")
    await browser.click(f"{DIALOG}//button[@aria-controls='signal-select-select']")
    await browser.click(f"{DIALOG}//li[@role='option'][.//span[normalize-space()='{signal}']]")
    await browser.click(f"{DIALOG}//*[contains(@class, 'cm-content')]")
    await browser.press(CONTROL, "v")
    await browser.type(keys)
    await browser.leave()  # the input is laid out anew then, and the button below it moves
    await browser.click(f"{DIALOG}//button[contains(., 'Submit')]")

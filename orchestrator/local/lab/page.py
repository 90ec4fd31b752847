"""The lab's page. It reads `/state` and writes text nodes only, so nothing that an alert carried is ever markup."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "page.html"


def page(nonce: str) -> str:
    """The page, its style and script allowed by the nonce alone."""
    return PAGE.read_text(encoding="utf-8").replace("{nonce}", nonce)

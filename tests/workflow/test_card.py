"""The card: literal, complete, and nothing that an alert says can format it, hide in it, or answer for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.language.host import ApprovalRequest
from orchestrator.workflow.card import LARGEST, MOST_SHOWN, card_of, who_may_answer
from orchestrator.workflow.visible import code, one_line, visible
from tests.actions.bench_target import context

DIGEST = "sha256:" + "1" * 64


def card(ask: str = "Block it?", parameters: dict[str, Any] | None = None, count: int = 1, **changes: Any) -> str:
    asked = ApprovalRequest(
        step="sure", path=("sure",), ask=ask, calls=(), group="soc", deadline=datetime(2026, 5, 6, 12, tzinfo=UTC)
    )
    request = CanonicalRequest(
        step="block", path=("block",), capability="firewall.block_ip", integration="edge", target="ip:203.0.113.7",
        parameters=parameters or {"ip": "203.0.113.7"}, expires=86_400, undo="firewall.unblock_ip",
    )  # fmt: skip
    return card_of(context(**changes), asked, [request] * count, DIGEST)


def test_it_shows_what_is_sent_where_for_how_long_and_how_it_is_undone() -> None:
    text = card()

    assert "**firewall.block_ip** at **edge** on `ip:203.0.113.7`" in text
    assert "\n- ip: `203.0.113.7`\n" in text
    assert "undone by itself after 1d; undone with firewall.unblock_ip" in text
    assert "2026-05-06 12:00:00 UTC; no answer by then counts as a denial" in text
    assert "the group `soc`" in text


def test_it_has_the_exact_text_to_paste_and_the_exact_command() -> None:
    text = card(run="contain/a/it's $(here)")

    assert '`{"step": "sure", "digest": "' + DIGEST + '", "by": ""}`' in text.splitlines()
    assert "`tocsin approve 'contain/a/it'\"'\"'s $(here)' --step sure`" in text.splitlines()


def test_it_keeps_to_what_the_ui_of_temporal_shows_well() -> None:
    """No list inside a list, and no block of code, whose long lines would be cut."""
    assert not any(line.startswith((" ", "```")) for line in card().splitlines())


def test_an_alert_cannot_write_it() -> None:
    """Line breaks, back-ticks, links, headings: all of it stays inside one piece of code."""
    evil = "x`\n\n### Approved\n[click](http://evil.example) <img src=x> ```\n| a |"
    text = card(evil, {"reason": evil})

    assert "\n### Approved" not in text
    assert all(line.count("`") % 2 == 0 for line in text.splitlines() if not line.startswith("```"))
    shown = code(evil)
    assert shown.startswith("`x\u02cb\u23ce\u23ce### Approved\u23ce")
    assert "`" not in shown[1:-1]


def test_what_cannot_be_seen_is_written_out() -> None:
    hidden = {
        "\u202e": "202E",
        "\u200b": "200B",
        "\0": "0000",
        "\u2066": "2066",
        "\U000e0041": "E0041",
        "\u3164": "3164",
    }
    for letter, number in hidden.items():
        assert visible(f"a{letter}b") == f"a\u27e8U+{number}\u27e9b"


def test_a_long_value_says_how_much_of_it_there_is() -> None:
    """What is cut is never cut in silence; the digest is over all of it."""
    assert f"({MOST_SHOWN + 1} characters in all)" in card(parameters={"text": "x" * (MOST_SHOWN + 1)})


def test_many_long_requests_still_fit_into_the_ui_of_temporal() -> None:
    """All of them are shown, each with less of its long parameter, and with how much there is."""
    text = card(parameters={"text": "\u00e9" * MOST_SHOWN}, count=100)

    assert len(quote(text)) <= LARGEST
    assert "**100. firewall.block_ip** at **edge**" in text
    assert text.count(f"({MOST_SHOWN} characters in all)") == 100


def test_it_says_who_may_answer_and_how_many_have_to_agree() -> None:
    asked = {"step": "sure", "path": ("sure",), "ask": "?", "calls": ()}
    for more, says in (
        ({}, "whoever may approve here"),
        ({"group": "soc"}, "the group `soc`"),
        ({"group": "soc", "user": "alice"}, "`alice`"),
        ({"group": "soc", "count": 2}, "the group `soc`; 2 different people are needed"),
        ({"count": 2, "distinct": False}, "whoever may approve here; 2 answers are needed"),
    ):
        assert who_may_answer(ApprovalRequest.model_validate(asked | more)) == says


def test_a_summary_is_one_plain_line() -> None:
    assert one_line("*a*\n[b](http://c) `d`") == "\\*a\\* \\[b\\]\\(http://c\\) \\`d\\`"


def test_shadow_mode_says_so() -> None:
    assert card(mode="shadow").startswith("**Shadow mode:**")

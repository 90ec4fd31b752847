"""What the report counts, and that it claims to know no more than was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.actions.shadow import rows_of, said_of

WHEN = datetime(2026, 5, 6, tzinfo=UTC)
BY_ALICE = {"status": "succeeded", "by": "alice"}


def action(**changes: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {
        "run": "contain/a/1", "step": "block", "playbook": "contain", "capability": "firewall.block_ip",
        "integration": "edge", "target": "ip:203.0.113.7", "intended_at": WHEN, "mode_why": "p.yaml:3: x",
        "opinions": None, "decision": None,
    }  # fmt: skip
    return fixed | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing"),
        ({"decision": {"status": "succeeded", "by": None, "auto": True}}, "nothing"),
        ({"decision": BY_ALICE}, "agreed"),
        ({"opinions": [True]}, "agreed"),
        ({"opinions": [True, False]}, "disagreed"),
        ({"opinions": [False], "decision": BY_ALICE}, "disagreed"),
    ],
)
def test_only_what_people_said_counts_and_one_no_outweighs_all(changes: dict[str, Any], said: str) -> None:
    """An approval that passed by itself is nobody's word."""
    assert said_of(action(**changes)) == said


def test_what_people_denied_counts_only_where_it_would_not_have_been_sent() -> None:
    """The card had marked that; a denial of what is live, and one that nobody gave, are no word about shadow."""
    request = {"capability": "firewall.block_ip"}
    asked = {"playbook": "contain", "request": [request, request], "shadowed": ["p.yaml:3: x", ""]}
    denied = {**asked, "decision": {"status": "denied", "by": "alice"}}
    expired = {**asked, "decision": {"status": "denied", "by": None}}

    (row,) = rows_of([], [denied, expired], [])

    assert (row.actions, row.denied, row.agreement) == (0, 1, 0.0)


def test_what_a_rail_refused_is_a_row_of_its_own_where_nothing_else_was_in_shadow() -> None:
    """It would not have been sent live either."""
    refused = [{"playbook": "contain", "capability": "identity.disable_account", "count": 2}]
    first, second = rows_of([action()], [], refused)
    assert (first.actions, first.refused, first.agreement) == (1, 0, None)
    assert (second.capability, second.actions, second.refused) == ("identity.disable_account", 0, 2)


ACTIONS = st.lists(
    st.builds(
        action,
        playbook=st.sampled_from(["a", "b"]), target=st.sampled_from(["ip:1", "ip:2"]), run=st.sampled_from(["1", "2"]),
        opinions=st.sampled_from([None, [True], [False], [True, False]]), decision=st.sampled_from([None, BY_ALICE]),
    )
)  # fmt: skip


@given(actions=ACTIONS)
def test_every_action_is_counted_once_and_said_to_be_one_thing(actions: list[dict[str, Any]]) -> None:
    """However they are mixed; a share is a share, or unknown."""
    rows = rows_of(actions, [], [])
    assert sum(row.actions for row in rows) == len(actions)
    for row in rows:
        assert row.agreed + row.disagreed + row.unknown == row.actions
        assert row.targets == len(row.most) <= row.actions
        assert (row.agreement is None) is (row.agreed + row.disagreed == 0)

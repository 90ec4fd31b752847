"""What changed between two versions of a playbook, in its author's words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.language.yaml_reader import read_yaml
from orchestrator.versions.compare import Difference, compare, compare_called

BEFORE = """
title: Contain
attack: [T1110]
trigger: {match: alert.severity >= "high"}
steps:
  - {id: look, action: intel.lookup_ip, with: {ip: "{{ alert.source.ip }}"}, timeout: 5s}
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 24h}
  - parallel:
      - {id: ticket, action: ticket.open, with: {title: one, tags: [{id: a}, {id: b}]}}
      - {id: disable, action: identity.disable_account, with: {account: x}, for: 8h}
on_failure:
  - {action: notify.send, with: {channel: soc, text: failed}}
tests:
  - {name: starts, alert: {severity: high}, expect: {starts: true}}
  - {name: does not, alert: {severity: low}, expect: {starts: false}}
"""
DOCUMENT = read_yaml(BEFORE, "contain.yaml").data


def after(change: Callable[[dict[str, Any]], None]) -> list[Difference]:
    """The differences that a change makes; none of the ways back may be missing."""
    new = copy.deepcopy(DOCUMENT)
    change(new)
    found = compare(DOCUMENT, new)
    back = compare(new, DOCUMENT)
    assert sorted(one.kind for one in found) == sorted(
        {"added": "removed", "removed": "added"}.get(one.kind, one.kind) for one in back
    )
    return found


def test_a_version_does_not_differ_from_itself() -> None:
    assert compare(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


def test_keys_of_the_playbook_and_of_a_step_are_told_with_old_and_new_value() -> None:
    """The step is named, wherever it stands."""

    def change(new: dict[str, Any]) -> None:
        new["trigger"]["match"] = "true"
        new["steps"][1]["for"] = "48h"
        new["steps"][2]["parallel"][1]["with"]["account"] = "y"

    assert after(change) == [
        Difference("changed", "", "trigger.match", 'alert.severity >= "high"', "true"),
        Difference("changed", "step block", "for", "24h", "48h"),
        Difference("changed", "step disable", "with.account", "x", "y"),
    ]


def test_keys_that_came_and_went_are_told_one_by_one() -> None:
    def change(new: dict[str, Any]) -> None:
        new["mode"] = "shadow"
        del new["steps"][0]["timeout"]

    assert after(change) == [
        Difference("added", "", "mode", new="shadow"),
        Difference("removed", "step look", "timeout", "5s"),
    ]


def test_a_step_that_came_is_shown_whole_with_its_place_and_moves_no_other() -> None:
    """Nothing is said of the list that holds it, nor of the steps behind it."""
    note = {"id": "note", "action": "ticket.comment", "with": {"text": "x"}}

    def change(new: dict[str, Any]) -> None:
        new["steps"][2]["parallel"].insert(1, note)
        new["steps"].insert(0, {**note, "id": "first"})

    assert after(change) == [
        Difference("added", "step first", new={**note, "id": "first"}, place="first"),
        Difference("added", "step note", new=note, place="after `ticket` in steps.parallel"),
    ]


def test_a_step_that_went_is_shown_as_it_was() -> None:
    assert after(lambda new: new["steps"].pop(1)) == [
        Difference("removed", "step block", old=DOCUMENT["steps"][1]),
    ]


def test_steps_in_another_order_or_another_list_have_moved() -> None:
    """Their own keys are still compared."""

    def change(new: dict[str, Any]) -> None:
        block = new["steps"].pop(1)
        block["for"] = "1h"
        new["steps"][1]["parallel"].append(block)

    assert after(change) == [
        Difference("changed", "step block", "for", "24h", "1h"),
        Difference("moved", "step block", old="after `look`", new="after `disable` in steps.parallel"),
    ]

    def swap(new: dict[str, Any]) -> None:
        new["steps"][:2] = reversed(new["steps"][:2])

    moved = after(swap)
    assert [(one.kind, one.old, one.new) for one in moved] in (
        [("moved", "first", "after `block`")],
        [("moved", "after `look`", "first")],
    )


def test_a_group_that_came_names_the_steps_that_it_took_in() -> None:
    """The list without a name is no news beside its steps."""

    def change(new: dict[str, Any]) -> None:
        new["steps"][:2] = [{"id": "both", "do": new["steps"][:2], "timeout": "1m"}]

    assert after(change) == [
        Difference("added", "step both", new={"id": "both", "do": ["look", "block"], "timeout": "1m"}, place="first"),
        Difference("moved", "step look", old="first", new="first in both.do"),
        Difference("moved", "step block", old="after `look`", new="after `look` in both.do"),
    ]


def test_steps_without_an_id_go_by_their_place() -> None:
    def change(new: dict[str, Any]) -> None:
        new["on_failure"][0]["with"]["text"] = "it failed"
        new["on_failure"].append({"action": "ticket.open"})

    assert after(change) == [
        Difference("changed", "", "on_failure[0].with.text", "failed", "it failed"),
        Difference("added", "", "on_failure[1]", new={"action": "ticket.open"}),
    ]


def test_tests_go_by_their_names() -> None:
    def change(new: dict[str, Any]) -> None:
        new["tests"][0]["alert"]["severity"] = "critical"
        new["tests"][1]["name"] = "stays away"

    assert after(change) == [
        Difference("changed", "test starts", "alert.severity", "high", "critical"),
        Difference("removed", "test does not", old=DOCUMENT["tests"][1]),
        Difference(
            "added", "test stays away", new={**DOCUMENT["tests"][1], "name": "stays away"}, place="after `starts`"
        ),
    ]


def test_what_only_looks_like_a_step_is_data() -> None:
    """A parameter may be a list of things with ids."""

    def change(new: dict[str, Any]) -> None:
        new["steps"][2]["parallel"][0]["with"]["tags"].pop(0)

    assert after(change) == [Difference("removed", "step ticket", "with.tags[0]", {"id": "a"})]


def test_another_version_of_a_sub_playbook_is_told_where_its_callers_stayed_as_they_were() -> None:
    """Those that are no longer called, or called for the first time, are told by their steps."""
    old = {"same": {"document": 1}, "other": {"document": 1}, "gone": {"document": 1}}
    new = {"same": {"document": 1}, "other": {"document": 2}, "come": {"document": 1}}
    assert compare_called(old, new) == [Difference("changed", "playbook other")]


@pytest.mark.parametrize("value", [None, [], {}, "", 0, [None], [[]], [{"id": 3}], [{"id": "look"}, {"id": "look"}]])
def test_no_shape_of_a_document_is_too_odd(value: Any) -> None:
    """Versions of other releases are compared too."""
    for key in ("steps", "tests", "trigger", "with"):
        odd = {**DOCUMENT, key: value}
        assert compare(odd, odd) == []
        compare(odd, DOCUMENT)
        compare(DOCUMENT, odd)

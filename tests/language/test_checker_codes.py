"""Every kind of finding: a playbook in which it is found, and a near one in which it is not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.language.checking import CODES
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList
from tests.conftest import ROOT
from tests.language.checked import TESTS, all_of, codes, only, site, steps, sub, told

LOOK = """
- id: look
  action: intel.lookup_ip
  with: {ip: "{{ alert.source.ip }}"}
"""
FIXED = LOOK.replace('"{{ alert.source.ip }}"', "%s")
BLOCK = """
- id: block
  action: firewall.block_ip
  with: {ip: "{{ alert.source.ip }}"}
  for: 1h
"""
SURE = """
- id: sure
  approval: {ask: "Sure?", covers: [block], within: 1h%s}
"""
SESSIONS = """
- id: out
  action: identity.end_sessions
  with: {account: "{{ alert.user.name }}"}
"""
ASK = """
- id: asked
  ask: {text: "Which?", fields: {verdict: [good, bad]}}
"""
BAD = 'steps.asked.output.verdict == "bad"'
SCORE = "- stop: success\n  message: '{{ steps.look.output.score }}'"
WAIT = "- wait: {for: 1s}"
CLOCK = 'title: A\ntrigger: {schedule: {cron: "%s"}}\n%s'
NETWORKS = site(own=("network", ["10.0.0.0/8"]))
LARGE = site(large=("text", [f"entry {number}" for number in range(1_001)]))
EXAMPLES: dict[str, tuple[str, str]] = {
    "yaml": (steps(LOOK) + "a: [b", steps(LOOK)),
    "too_large": (f"{steps(LOOK)}# {'x' * 1_048_576}", f"{steps(LOOK)}# {'x' * 1_000}"),
    "too_deep": (steps(f"{LOOK}  default: {'[' * 50}{']' * 50}"), steps(LOOK)),
    "anchor": (steps(f"{LOOK}  name: &a look"), steps(f'{LOOK}  name: "&a look"')),
    "tag": (steps(f"{LOOK}  name: !!str look"), steps(f'{LOOK}  name: "!!str look"')),
    "duplicate_key": (steps(f"{LOOK}  timeout: 1s\n  timeout: 2s"), steps(f"{LOOK}  timeout: 1s")),
    "shape": ("- a\n", steps(LOOK)),
    "unknown_key": (steps(f"{LOOK}  on_eror: continue"), steps(f"{LOOK}  on_error: fail")),
    "missing_key": (steps(LOOK).replace("title: A playbook\n", ""), steps(LOOK)),
    "step_kind": (steps(f"{LOOK}  stop: success"), steps(f"{LOOK}- stop: success")),
    "value": (steps(f"{LOOK}  timeout: 5"), steps(f"{LOOK}  timeout: 5s")),
    "expression": (steps(f"{LOOK}  when: alert.user ="), steps(f"{LOOK}  when: alert.user")),
    "type": (steps(f"{LOOK}  when: alert.sorce.ip"), steps(f"{LOOK}  when: alert.source.ip")),
    "unknown_action": (steps(LOOK.replace("lookup", "lokup")), steps(LOOK)),
    "unknown_parameter": (steps(LOOK.replace("{ip:", "{it: 1, ip:")), steps(LOOK)),
    "missing_parameter": (steps(LOOK.replace('ip: "{{ alert.source.ip }}"', "")), steps(LOOK)),
    "parameter": (steps(FIXED % "1.2.3"), steps(FIXED % "1.2.3.4")),
    "never_touch": (
        steps(f"{BLOCK}".replace('"{{ alert.source.ip }}"', '"::ffff:127.0.0.1"')),
        steps(f"{BLOCK}".replace('"{{ alert.source.ip }}"', "128.0.0.1")),
    ),
    "unknown_step": (steps(f"{LOOK}{WAIT}\n  when: steps.lok.ok"), steps(f"{LOOK}{WAIT}\n  when: steps.look.ok")),
    "used_too_early": (steps(f"{WAIT}\n  when: steps.look.ok\n{LOOK}"), steps(f"{LOOK}{WAIT}\n  when: steps.look.ok")),
    "may_be_absent": (
        steps(f"{LOOK}  on_error: continue\n{SCORE}"),
        steps(f"{LOOK}  on_error: continue\n  default: {{score: 0}}\n{SCORE}"),
    ),
    "reserved_id": (steps(LOOK.replace("id: look", "id: on_error")), steps(LOOK)),
    "duplicate_id": (steps(LOOK + LOOK), steps(LOOK + LOOK.replace("id: look", "id: again"))),
    "no_end": (steps(BLOCK.replace("for: 1h", "verify: wait")), steps(BLOCK.replace("for: 1h", "keep: true"))),
    "needless": (steps(f"{LOOK}  for: 1h"), steps(BLOCK)),
    "unattended": (steps(SESSIONS), steps(f"{SESSIONS}  unattended: true")),
    "covers": (steps(BLOCK + SURE % ""), steps(SURE % "" + BLOCK)),
    "people": (steps(SURE % ", remind: 2h" + BLOCK), steps(SURE % ", remind: 20m" + BLOCK)),
    "trust": (
        steps(f"{ASK}{SESSIONS}  unattended: true\n  when: {BAD}"),
        steps(f'{ASK}{SESSIONS}  unattended: true\n  when: {BAD} and steps.asked.output.trust == "signed"'),
    ),
    "vars": (
        steps("- parallel:\n    - set: {x: 1}\n    - set: {x: 2}"),
        steps("- parallel:\n    - set: {x: 1}\n    - set: {y: 2}"),
    ),
    "undo": (steps(f"{LOOK}- undo: [look]"), steps(f"{BLOCK}- undo: [block]")),
    "unknown_playbook": (steps("- playbook: nowhere"), steps(LOOK)),
    "recursion": (sub("- playbook: p"), sub(WAIT)),
    "never": (steps(f"- stop: success\n{LOOK}"), steps(f"{LOOK}- stop: success")),
    "cases": (
        steps("- switch: alert.severity\n  cases: {high: [{stop: success}]}"),
        steps("- switch: alert.severity\n  cases: {high: [{stop: success}]}\n  default: [{stop: failure}]"),
    ),
    "schedule": (sub(WAIT, CLOCK % ("0 25 * * *", "")), sub(WAIT, CLOCK % ("0 23 * * *", ""))),
    "inputs": (
        sub(WAIT, CLOCK % ("0 23 * * *", "inputs: {x: text}\n")),
        sub(WAIT, CLOCK % ("0 23 * * *", "inputs: {x: {type: text, default: a}}\n")),
    ),
    "untested": (steps(LOOK, tests=""), steps(LOOK)),
    "test": (steps(LOOK, tests=TESTS.replace("user: {name", "uesr: {name")), steps(LOOK)),
}
"""By code: a playbook in which it is found, and one in which it is not"""
OF_FILES = {"unreadable", "no_folder", "name", "site", "checker"}
"""codes that a text alone cannot have; `checker` none must ever have"""


@pytest.mark.parametrize("code", EXAMPLES)
def test_each_mistake_is_found_and_its_near_neighbour_is_none(code: str) -> None:
    """The code is among what is found in the one, and nothing at all is found in the other."""
    wrong, right = EXAMPLES[code]
    assert code in codes(wrong)
    assert codes(right) == []


def test_a_list_that_is_too_large_for_a_run_points_to_the_action_that_asks_lists_of_any_size() -> None:
    """Of a list a run takes a thousand entries at most; a smaller one is read."""
    text = steps(f"{LOOK}  unless: alert.title in lists.large")
    large = only(text, LARGE)
    assert (large.code, large.hint) == ("site", "ask with the action `list.contains`")
    assert codes(text, site(large=("text", ["x"]))) == []


def test_a_list_that_is_asked_or_written_by_an_action_is_one_of_the_site() -> None:
    """Known, of the type of the value, and written only where its file says so."""
    own = ReferenceData({"own": ReferenceList(ListType.IP, ("192.0.2.1",), writable=True)})
    put = "- action: list.%s\n  with: {list: %s, value: %s}\n%s"
    assert "did you mean `lists.own`?" in told(only(steps(put % ("contains", "onw", "a", "")), own))
    assert "192.0.2.300" in only(steps(put % ("contains", "own", "192.0.2.300", "")), own).message
    assert codes(steps(put % ("add", "own", "192.0.2.3", "  for: 1h")), own) == []
    assert codes(steps(put % ("contains", "others", "192.0.2.3", "")), own) == ["site"]
    unwritable = only(steps(put % ("add", "own", '"{{ alert.source.ip }}"', "  keep: true")), site(own=("ip", [])))
    assert unwritable.message == "`lists.own` is not for runs to write"
    assert codes(steps(put % ("add", "own", "x", "  for: 1h"))) == []  # without a site nobody knows


def test_a_list_that_is_broken_is_said_to_be_so_wherever_it_is_read() -> None:
    """A playbook that reads it cannot run; where it is whole, it can."""
    broken = ReferenceData(broken={"lists.own": "lists/own.yaml:3:1: no key `typ` here"})
    text = steps(f"{LOOK}  unless: alert.source.ip is in_network(lists.own)")
    assert only(text, broken).code == "site"
    assert "no key `typ`" in only(text, broken).hint
    assert codes(text, NETWORKS) == []


def test_a_literal_target_that_is_on_a_never_touch_list_is_refused() -> None:
    """Whoever approves it; what only reads may name it, and so may what touches its neighbour."""
    ours = ReferenceData({"ours": ReferenceList(ListType.NETWORK, ("192.0.2.0/24",), never_touch=True)})
    wrong = only(steps(BLOCK.replace('"{{ alert.source.ip }}"', '"2002:c000:0204::"')), ours)
    assert (wrong.code, wrong.place.line) == ("never_touch", 8)
    assert "2002:c000:204:: is on the never-touch list `lists.ours`, by its entry 192.0.2.0/24" in wrong.message
    assert codes(steps(BLOCK.replace('"{{ alert.source.ip }}"', "192.0.3.4")), ours) == []
    assert codes(steps(FIXED % "192.0.2.4"), ours) == []
    assert codes(steps(BLOCK), ours) == []
    assert (
        codes(steps(BLOCK.replace('"{{ alert.source.ip }}"', "192.0.2.4")), site(ours=("network", ["192.0.2.0/24"])))
        == []
    )


def test_a_name_that_no_playbook_can_have_is_said_of_its_file() -> None:
    """Small letters, digits, dash and underscore."""
    assert [one.code for one in all_of({"Bad Name": steps(LOOK)}).findings] == ["name"]
    assert [one.code for one in all_of({"good-name_1": steps(LOOK)}).findings] == []


def test_every_code_has_its_example() -> None:
    """A new code is tested on arrival."""
    assert set(CODES) == set(EXAMPLES) | OF_FILES


def test_every_code_that_is_ever_said_is_on_the_list_of_codes() -> None:
    """What the language says of playbooks, in all its files."""
    of_lists = {"duplicate", "empty", "entry", "host_bits", "never_open"}  # of lists and calendars, not of playbooks
    said = {code for path in (ROOT / "orchestrator" / "language").rglob("*.py") for code in _said_in(path)}
    assert len(said) > 30
    assert said - of_lists <= set(CODES)


def _said_in(path: Path) -> Iterator[str]:
    """The codes in calls that make findings: what stands after the place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and len(node.args) > 2 and isinstance(node.args[1], ast.Constant):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("Finding", "say", "warn", "_find"):
                yield str(node.args[1].value)

"""Playbooks: what is found before they run, and what they do when they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.actions.catalog import scan
from orchestrator.alerts.decode import decode_sample
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.loader import load_playbooks, read_playbook
from orchestrator.language.program import DigestMismatch, Playbook, load_compiled
from orchestrator.language.simulator import simulate_all
from tests.conftest import ROOT

CAPABILITIES = scan().capabilities
GOOD = """
title: A playbook
trigger: {match: alert.severity >= "low" and alert.source.ip}
steps:
  - id: look
    action: intel.lookup_ip
    with: {ip: "{{ alert.source.ip }}"}
    on_error: continue
    default: {ip: 0.0.0.0, score: 0}
  - id: sure
    approval: {ask: "Block?", covers: [block]}
  - id: block
    action: firewall.block_ip
    with: {ip: "{{ alert.source.ip }}", reason: "score {{ steps.look.output.score }}"}
    for: 1h
tests:
  - {name: starts, alert: {source: {ip: 203.0.113.7}}, answers: {sure: approve}, expect: {starts: true}}
  - {name: does not, alert: {severity: informational}, expect: {starts: false}}
"""


def findings(text: str) -> list[Finding]:
    return read_playbook(text, "p.yaml", "p", CAPABILITIES)[1]


def good(text: str = GOOD) -> Playbook:
    playbook, found = read_playbook(text, "p.yaml", "p", CAPABILITIES)
    assert playbook is not None, found
    return playbook


def test_every_playbook_that_ships_is_good_and_passes_its_tests() -> None:
    """No finding, and each test of each playbook."""
    loaded = load_playbooks(ROOT / "playbooks", CAPABILITIES)
    assert loaded.findings == ()
    assert len(loaded.playbooks) >= 3
    for playbook in loaded.playbooks.values():
        assert playbook.model.why
        reports = simulate_all(playbook, CAPABILITIES, ROOT / "playbooks" / "samples", decode_sample)
        assert [(one.name, one.problems) for one in reports if not one.passed] == []


def test_a_good_playbook_has_no_findings() -> None:
    """The neighbour of every mistake below."""
    assert findings(GOOD) == []


@pytest.mark.parametrize(
    ("instead_of", "wrong", "code", "says"),
    [
        ("firewall.block_ip", "firewall.blok_ip", "unknown_action", "did you mean `firewall.block_ip`?"),
        ("reason:", "reson:", "unknown_parameter", "did you mean `reason`?"),
        ('{ip: "{{ alert.source.ip }}", reason', '{reason', "missing_parameter", "needs `ip`"),
        ("    for: 1h\n", "", "no_end", "for: 24h"),
        ("    for: 1h\n", "    for: 1\n", "value", "no unit"),
        ("    for: 1h\n", "    for: 1h\n    colour: red\n", "unknown_key", "no key `colour`"),
        ("    on_error: continue\n", "    on_error: continue\n    repeat: {}\n", "step_kind", "a step does one thing"),
        ("on_error: continue", "on_eror: continue", "unknown_key", "did you mean `on_error`?"),
        ("alert.source.ip }}\"}\n    on_error", "alert.sorce.ip }}\"}\n    on_error", "type", "alert.source"),
        ('"low"', '"lwo"', "type", "did you mean low?"),
        ("output.score }}", "output.scor }}", "type", "steps.look.output.score"),
        ("steps.look.output", "steps.lok.output", "unknown_step", "did you mean `look`?"),
        ("covers: [block]", "covers: [blck]", "unknown_step", "did you mean `block`?"),
        ("covers: [block]", "covers: [look]", "covers", "runs before it is asked about"),
        ("id: sure", "id: look", "duplicate_id", "line 5"),
        ("    default: {ip: 0.0.0.0, score: 0}\n", "", "may_be_absent", "default"),
        ("score: 0}", "score: high}", "parameter", "score"),
        ("score: 0}", "points: 0}", "unknown_parameter", "no `points`"),
        ("starts: true", "starts: false", "untested", "a test that starts it"),
        ("answers: {sure: approve}", "answers: {shure: approve}", "test", "shure"),
        ("action: intel.lookup_ip", "acton: intel.lookup_ip", "step_kind", "did you mean `action`?"),
        ("title: A playbook", "titel: A playbook", "unknown_key", "did you mean `title`?"),
        ("- id: look", "- id: Look!", "value", "id"),
        ('ask: "Block?"', 'ask: "Block {{ alert.titel }}?"', "type", "alert.title"),
        ("match: alert.severity >= \"low\"", "match: alert.severity >=", "expression", "match"),
    ],
)  # fmt: skip
def test_each_mistake_is_found_with_its_place_and_fix(instead_of: str, wrong: str, code: str, says: str) -> None:
    """One change to a good playbook; the finding names the line, the rule and the nearest right word."""
    assert instead_of in GOOD
    found = findings(GOOD.replace(instead_of, wrong, 1))
    matching = [one for one in found if one.code == code and says in f"{one.message} {one.hint}"]
    assert matching, [f"{one.code}: {one}" for one in found]
    assert matching[0].place.line > 1
    assert any(one.level is FindingLevel.ERROR for one in found)


def test_all_mistakes_are_told_at_once() -> None:
    """One reading of a file reports everything."""
    text = (
        GOOD.replace("firewall.block_ip", "x.y").replace("alert.source.ip", "alert.sorce.ip").replace('"low"', '"lo"')
    )
    assert {"unknown_action", "type"} <= {one.code for one in findings(text)}
    assert len(findings(text)) >= 4


def test_an_irreversible_action_needs_somebody() -> None:
    """An approval, or the author's own word for it; `for` makes no sense where nothing can be undone."""
    assert [
        one.code for one in findings(GOOD.replace("action: intel.lookup_ip", "action: intel.lookup_ip\n    for: 1h"))
    ] == ["needless"]


def test_a_covered_step_must_be_known_when_it_is_asked() -> None:
    """What the card has to show cannot come from a step that runs later."""
    text = GOOD.replace("  - id: sure\n", "  - id: first\n").replace(
        "  - id: look\n", "  - id: sure\n    approval: {ask: x, covers: [block]}\n  - id: look\n"
    ).replace('  - id: first\n    approval: {ask: "Block?", covers: [block]}\n', "")  # fmt: skip
    (found,) = [one for one in findings(text) if one.code == "covers"]
    assert "`look`, which is not known" in found.message


def test_branches_do_not_see_each_other() -> None:
    """A step of one branch is used too early in another."""
    text = GOOD.replace(
        "tests:",
        """  - parallel:
      - {id: one, action: intel.lookup_ip, with: {ip: 192.0.2.1}}
      - {id: two, action: notify.send, with: {channel: a, text: "{{ steps.one.output.score }}"}}
tests:""",
    )
    assert [one.code for one in findings(text)] == ["used_too_early"]


def test_the_digest_is_of_the_content_and_is_checked() -> None:
    """The same content is the same version, wherever it was written; other content is refused under it."""
    one, two = good(), good(GOOD + "\n# a comment\n")
    assert one.digest == two.digest
    assert good(GOOD.replace("1h", "2h")).digest != one.digest
    with pytest.raises(DigestMismatch):
        load_compiled("p", {**one.document, "title": "another"}, one.digest)


def test_only_the_raw_paths_that_are_named_are_kept() -> None:
    """A run carries of the original what its playbook reads, and no more."""
    text = GOOD.replace("score {{", "{{ alert.raw.dns.rrname | default('-') }} {{")
    assert good(text).raw_paths == {("dns", "rrname")}
    assert good().raw_paths == frozenset()


def test_a_file_that_cannot_be_read_is_one_finding(tmp_path: Path) -> None:
    """Bytes that are no text, names that are none, files that are no mapping."""
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "Bad Name.yaml").write_text(GOOD)
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    loaded = load_playbooks(tmp_path, CAPABILITIES)
    assert list(loaded.playbooks) == ["good"]
    assert sorted(one.code for one in loaded.errors) == ["name", "shape", "unreadable"]

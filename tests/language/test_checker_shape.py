"""The shape of a playbook: what an author mistyped is told in the author's words, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import FilesRefused
from orchestrator.language.loader import load_playbook, load_playbooks
from orchestrator.language.paths import OWN_WORDS
from tests.language.checked import CAPABILITIES, HEAD, TESTS, codes, found, only, steps, told

LOOK = '- id: look\n  action: intel.lookup_ip\n  with: {ip: "{{ alert.source.ip }}"}\n'


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (steps(LOOK + "  timeout: 5"), 9, "`timeout`: 5 has no unit; write it as 5s, 5m, 5h or 5d"),
        (steps(LOOK + "  timeout: 5 min"), 9, "`timeout`: '5 min' is not a duration"),
        (steps(LOOK + "  optional: tue"), 9, "`optional` is true or false, and this is 'tue'"),
        (steps(LOOK + "  name: 7"), 9, "`name` is text, and this is 7; put it in quotes"),
        (steps(LOOK + "  name: [a]"), 9, "`name` is text, and this is a list"),
        (steps(LOOK + "  retry: {attempts: many}"), 9, "`attempts` is a whole number, and this is 'many'"),
        (steps(LOOK + "  retry: {attempts: 50}"), 9, "`attempts` is at most 20, and this is 50"),
        (steps(LOOK + "  retry: {on: [tmeout]}"), 9, "did you mean `timeout`?"),
        (steps(LOOK + "  retry: 3"), 9, "`retry` is a mapping, and this is 3"),
        (steps(LOOK + "  on_error: contnue"), 9, "`on_error` is one of fail, continue, and this is 'contnue'; did"),
        (steps(LOOK + "  verify: yes"), 9, "`verify` is one of wait, and this is 'yes'"),
        (steps(LOOK.replace("id: look", "id: Look!")), 6, "`id`: 'Look!' is not spelt as it must be"),
        (steps("- set: {}"), 6, "`set` is empty, and needs an entry"),
        (steps("- undo: look"), 6, "`undo` is a list, and this is 'look'; put `- ` before each of its entries"),
        (steps("- parallel:\n    - null"), 7, "a step is a mapping, and entry 1 of `parallel` is nothing"),
        (steps(LOOK, head=f"attack: [T1110, null]\n{HEAD}"), 1, "entry 2 of `attack` is text, and this is nothing"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_is_wanted_and_what_is_there(
    text: str, line: int, says: str
) -> None:
    """At its own line, in words that name the key and the value."""
    place = only(text)
    assert says in told(place)
    assert place.place.line == line


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("  on_eror: continue", "no key `on_eror` here; did you mean `on_error`?"),
        ("  colour: red", "no key `colour` here; known: "),
        ("  covers: [a]", "no key `covers` here"),
        ("  detach: true", "`detach` is not for `action` steps, but for `playbook`; remove it"),
        ("  stop: success", "`action` and `stop` stand in one step; a step does one thing"),
    ],
)
def test_a_key_that_nothing_has_is_told_with_the_nearest_that_there_is(wrong: str, says: str) -> None:
    """Or with the kind of step that it is for."""
    assert says in told(only(steps(LOOK + wrong)))


def test_a_key_of_the_step_is_told_to_stand_beside_and_not_inside() -> None:
    """As authors do who know another language."""
    send = "- id: b\n  action: notify.send\n  with: {channel: a, text: b}\n"
    says = told(only(steps("- approval: {ask: a, covers: [b], timeout: 5m}\n" + send)))
    assert says == "`timeout` stands beside `approval`, not inside; move it out, to the step's own keys"


def test_a_misspelt_kind_of_step_is_told_with_the_kind_that_is_meant() -> None:
    """Nothing is said of `action`, which nobody meant."""
    assert told(only(steps("- paralel: []"))) == "no step is a `paralel`; did you mean `parallel`?"
    assert "say what it does" in told(only(steps("- name: nothing")))


def test_a_list_where_one_step_is_wanted_points_to_a_group() -> None:
    """What people mean is `do:`."""
    assert "write `- do:` before the list" in told(only(steps("- parallel:\n    - [{stop: success}]")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  when: {{ alert.user }}", "text that begins with {{ needs quotes around it"),
        ('  when: "a" in alert.attack', "`when` cannot be read: "),
        ("  when: [alert.user] | first", "a value that begins with [ ends where that closes; put the whole value"),
        ("  name: what: this", "a value with a colon and a blank in it needs quotes around it"),
        ("\ttimeout: 5s", "indent with blanks, not tabs"),
    ],
)
def test_what_yaml_stumbles_over_is_told_as_somebody_would_who_has_seen_it_before(line: str, says: str) -> None:
    """The key, and what to do."""
    place = only(steps(LOOK + line))
    assert place.code == "yaml"
    assert says in told(place)
    assert place.place.line == 9


def test_a_comment_inside_a_condition_is_told_to_be_one() -> None:
    """What follows ` #` is gone, and nobody sees it."""
    assert "what follows ` #` is a comment" in told(only(steps(LOOK + "  when: alert.title == #5")))


def test_what_cannot_be_read_of_an_expression_is_shown() -> None:
    """With the words around it."""
    assert "at `alert.title | 64decode`" in only(steps(LOOK + "  when: alert.title | 64decode")).message


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    """Each at its line."""
    text = steps(LOOK + "  timeout: 5\n  on_eror: continue\n- stop: sucess\n")
    assert sorted((one.place.line, one.code) for one in found(text)) == [
        (9, "value"),
        (10, "unknown_key"),
        (11, "value"),
    ]


def test_what_is_misspelt_hides_nothing_of_the_rest() -> None:
    """A key that is nearly right counts as that, and a wrong value that nothing depends on as none."""
    text = steps(LOOK + "  timeout: 5\n  on_eror: continue\n- action: intel.lokup_ip\n  when: alert.usr\n")
    assert codes(text) == ["value", "unknown_key", "unknown_action", "type"]
    use = "- stop: success\n  message: '{{ steps.look.output.score }}'\n"
    assert codes(steps(LOOK + "  on_eror: continue\n  defalt: {score: 0}\n" + use)) == ["unknown_key", "unknown_key"]
    assert codes(steps(LOOK + "  on_eror: continue\n" + use)) == ["unknown_key", "may_be_absent"]
    assert codes(steps("- paralel:\n    - stop: success\n      when: alert.usr")) == ["step_kind", "type"]


def test_where_too_much_is_wrong_only_that_is_told() -> None:
    """What would follow from it is not: here, that nothing says when the effect ends."""
    block = "- id: block\n  action: firewall.block_ip\n  with: {ip: 192.0.2.1}\n  for: 1 hour\n"
    assert codes(steps(block)) == ["value"]


def test_all_mistakes_of_expressions_and_names_are_told_at_once() -> None:
    """Those that only the whole file shows."""
    text = steps(LOOK.replace("source", "sorce") + "  when: alert.usr\n- action: intel.lokup_ip\n- undo: [lok]\n")
    assert codes(text) == ["type", "type", "unknown_action", "unknown_step"]


def test_a_file_is_never_kept_from_others_by_what_is_in_it(tmp_path: Path) -> None:
    """Bytes that are no text, names that are none or twice, a list; the good one is there."""
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "Bad Name.yaml").write_text(steps(LOOK))
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "good.yaml").write_text(steps(LOOK))
    (tmp_path / "good.yml").write_text(steps(LOOK))
    loaded = load_playbooks(tmp_path, CAPABILITIES)
    assert list(loaded.playbooks) == ["good"]
    assert sorted(one.code for one in loaded.errors) == ["name", "name", "shape", "unreadable"]


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """Nothing is taken for an empty folder."""
    with pytest.raises(FilesRefused, match="no such folder of playbooks"):
        load_playbooks(tmp_path / "nowhere", CAPABILITIES)


def test_one_file_is_read_with_those_that_it_calls(tmp_path: Path) -> None:
    """And only its own mistakes are told."""
    (tmp_path / "caller.yaml").write_text(steps("- playbook: called"))
    (tmp_path / "called.yaml").write_text("title: Called\nsteps: [{wait: {for: 1s}}]\n")
    (tmp_path / "wrong.yaml").write_text("title: 7\n")
    playbook, findings = load_playbook(tmp_path / "caller.yaml", CAPABILITIES)
    assert playbook is not None
    assert findings == []


def test_keys_may_come_in_any_order_and_conditions_may_be_plain_truth() -> None:
    """`when: true` is YAML's own truth value."""
    text = f"{TESTS}steps:\n  - with: {{ip: 192.0.2.1}}\n    when: true\n    action: intel.lookup_ip\n{HEAD}"
    assert codes(text) == []


@pytest.mark.parametrize("word", sorted(OWN_WORDS))
def test_a_word_that_the_paths_of_a_run_have_already_is_no_id(word: str) -> None:
    """A step inside `do` with the id `on_error` would have the ledger key of one that follows a failure of it."""
    group = f"- id: group\n  do:\n    - id: {word}\n      wait: {{for: 1s}}\n  on_error:\n    - wait: {{for: 1s}}\n"
    finding = only(steps(group))
    assert (finding.code, finding.place.line) == ("reserved_id", 8)
    assert told(finding) == (
        f"no step can have the id `{word}`: the ledger's keys say by this word where a step stands; "
        f"choose another one, as `{word}_step`"
    )
    assert codes(steps(group.replace(f"id: {word}", f"id: {word}_step"))) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {action: firewall.block_ip, with: {ip: 203.0.113.1}, for: 24}\n", "24 has no unit"),
        (
            "- {action: firewall.block_ip, with: {ip: 203.0.113.1}, for: {value: 3 | days, at_most: 5}}\n",
            "5 has no unit",
        ),
        ("- {id: l, action: intel.lookup_ip, with: {ip: 203.0.113.1}, on_error: continu}\n", "`continue`"),
        ("- {id: l, action: intel.lookup_ip, with: {ip: 203.0.113.1}, optional: maybe}\n", "maybe"),
        ("- if: alert.host\n  then: []\n", "`then` is empty"),
        ("- for_each: {items: alert.attack, concurrency: 0, steps: []}\n", "`steps` is empty"),
        ("- 5\n", "a step is a mapping"),
        ("- null\n", "a step is a mapping"),
        ("- {when: alert.host, stop: maybe}\n", "`stop` is one of"),
        ("- repeat: {until: alert.host, times: many, steps: [{wait: {for: 1s}}]}\n", "many"),
    ],
)
def test_one_wrong_value_does_not_hide_the_other_mistakes(text: str, says: str) -> None:
    """They are told at once, and nothing is told that only follows from it."""
    told_of = found(steps(f"{text}- {{id: here, stop: success, message: '{{{{ alert.sorce.ip }}}}'}}\n"))
    shape, other = told_of[:-1], told_of[-1]
    assert any(says in told(one) for one in shape)
    assert len(shape) <= 2, shape  # of one step with two mistakes, both
    assert "alert has no field 'sorce'" in other.message
    assert other.place.line > shape[-1].place.line

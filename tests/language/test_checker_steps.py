"""Steps: what each may read of those before it, in sequence, in branches, in loops and where something failed."""

from __future__ import annotations

import pytest

from tests.language.checked import HEAD, all_of, codes, errors, found, inside, only, site, steps, sub, told

LOOK = '- id: look\n  action: intel.lookup_ip\n  with: {ip: "{{ alert.source.ip }}"}\n'
SCORE = "- stop: success\n  message: '{{ steps.look.output.score }}'\n"
WAIT = "- wait: {for: 1s}\n"


def say(expression: str) -> str:
    return f"- stop: success\n  message: '{{{{ {expression} }}}}'\n"


def test_a_step_that_is_not_there_is_told_with_the_nearest_that_is() -> None:
    """And one that has not run yet is told to be so."""
    assert told(only(steps(LOOK + say("steps.lok.ok")))).endswith("no step has the id `lok`; did you mean `look`?")
    early = only(steps(f"{WAIT}  when: steps.look.ok\n{LOOK}"))
    assert (early.code, early.hint) == ("used_too_early", "move it up, or out of the branch")


@pytest.mark.parametrize(
    "skipped", ['when: alert.severity == "high"', "unless: alert.host", "on_error: continue", "optional: true"]
)
def test_the_output_of_a_step_that_may_not_have_run_needs_a_default_or_a_guard(skipped: str) -> None:
    """Skipped by a condition, failed and passed over, or optional."""
    text = f"{LOOK}  {skipped}\n"
    missing = only(steps(text + SCORE))
    assert (missing.code, missing.hint) == (
        "may_be_absent",
        "give `look` a `default:`, or guard this with `when: steps.look.ok`",
    )
    assert codes(steps(f"{text}  default: {{score: 0}}\n{SCORE}")) == []
    assert codes(steps(f"{text}{SCORE}  when: steps.look.ok\n")) == []
    assert codes(steps(f'{text}{SCORE}  when: steps.look.status == "succeeded"\n')) == []
    assert codes(steps(f"{text}{SCORE}  unless: steps.look.output is undefined\n")) == []
    assert codes(steps(text + say("steps.look.output.score | default(0)"))) == []


@pytest.mark.parametrize(
    ("guard", "sure"),
    [
        ("when: steps.look.ok", True),
        ("when: steps.look.ok == true", True),
        ("when: alert.host and steps.look.ok", True),
        ("unless: not steps.look.ok", True),
        ("when: steps.look.ok == false", False),
        ("when: steps.look.ok != true", False),
        ("when: steps.look.ok is defined", False),
        ("when: steps.look.ok or alert.host", False),
        ("when: not steps.look.ok", False),
    ],
)
def test_a_guard_says_that_the_step_was_ok_and_not_only_names_it(guard: str, sure: bool) -> None:
    """One that holds where the step failed guards nothing."""
    text = f"{LOOK}  on_error: continue\n{SCORE}  {guard}\n"
    assert errors(steps(text)) == ([] if sure else ["may_be_absent"])


def test_of_a_step_that_surely_was_tried_it_is_enough_that_it_has_not_failed() -> None:
    """Of one that may have been skipped, or that other steps may keep from being reached, that says nothing."""
    look = "- id: look\n  action: intel.lookup_ip\n  with: {ip: 203.0.113.1}\n%s"
    use = "- %s\n  stop: success\n  message: '{{ steps.look.output.score }}'\n"
    goes_on = look % "  on_error: continue\n"
    for guard in ("unless: steps.look.failed", "when: not steps.look.failed"):
        assert codes(steps(goes_on + use % guard)) == []
        for more in ("  when: alert.url is defined\n", "  optional: true\n"):
            assert codes(steps(goes_on + more + use % guard)) == ["may_be_absent"]
    stops = "- {when: steps.look.failed, stop: failure}\n"
    after = "- {id: told, stop: success, message: '{{ steps.look.output.score }}'}\n"
    assert codes(steps(goes_on + stops + after)) == []
    assert codes(steps(goes_on + after)) == ["may_be_absent"]
    branch = "- if: alert.url is defined\n  then: [{wait: {for: 1s}}]\n"
    assert codes(steps(goes_on + branch + use % "unless: steps.look.failed")) == []
    inner = f"- do:\n{inside(look % '')}  on_error: continue\n"
    assert codes(steps(inner + use % "unless: steps.look.failed")) == ["may_be_absent"]
    branch = f"- if: alert.url is defined\n  then:\n{inside(goes_on)}"
    assert codes(steps(branch + use % "unless: steps.look.failed")) == ["may_be_absent"]


@pytest.mark.parametrize(
    ("template", "sure"),
    [
        ("{{ steps.look.output.score if steps.look.ok else 0 }}", True),
        ("{{ steps.look.error.kind if steps.look.failed else 0 }}", True),
        ("{% if steps.look.ok %}{{ steps.look.output.score }}{% endif %}", True),
        ("{% if steps.look.ok %}{% elif steps.look.failed %}{{ steps.look.error.message }}{% endif %}", True),
        ("{{ steps.look.output.score if steps.look.ok == false else 0 }}", False),
        ("{% if steps.look.ok %}{% else %}{{ steps.look.output.score }}{% endif %}", False),
        ("{% if steps.look.ok %}{% else %}{{ steps.look.error.kind }}{% endif %}", False),
        ("{% if not steps.look.failed %}{{ steps.look.output.score }}{% endif %}", True),
        ("{% if steps.look.failed %}{% else %}{{ steps.look.output.score }}{% endif %}", True),
        ("{{ 0 if steps.look.failed else steps.look.output.score }}", True),
        ("{% if steps.look.failed %}{{ steps.look.output.score }}{% endif %}", False),
        ("{% if not steps.look.error %}{{ steps.look.output.score }}{% endif %}", False),
    ],
)
def test_a_guard_may_stand_inside_a_text_as_well(template: str, sure: bool) -> None:
    """As an `if` of an expression or of a template. A step that is not ok may be skipped: then it has no error."""
    text = f"{LOOK}  on_error: continue\n- stop: success\n  message: '{template}'\n"
    assert errors(steps(text)) == ([] if sure else ["may_be_absent"])


def test_inside_a_text_too_a_step_that_may_have_been_skipped_has_not_failed_and_yet_no_output() -> None:
    """So that it has not failed says enough only of one that surely was tried."""
    text = "- stop: success\n  message: '{% if not steps.look.failed %}{{ steps.look.output.score }}{% endif %}'\n"
    for more in ("  when: alert.url is defined\n", "  optional: true\n"):
        assert errors(steps(f"{LOOK}  on_error: continue\n{more}{text}")) == ["may_be_absent"]


def test_the_alert_that_was_waited_for_has_what_the_condition_asked_for() -> None:
    """The rest of it may be absent, as of any alert, and all of it where none came."""
    text = '- id: again\n  wait: {alert: joining.source.ip and joining.severity >= "low", within: 1h}\n'
    block = "- action: firewall.block_ip\n  with: {ip: '{{ steps.again.output.%s.ip }}'}\n  for: 1h\n"
    assert codes(steps(f"{text}{block % 'source'}  when: steps.again.ok\n")) == []
    assert errors(steps(f"{text}{block % 'target'}  when: steps.again.ok\n")) == ["may_be_absent"]
    assert errors(steps(text + block % "source")) == ["may_be_absent"]


@pytest.mark.parametrize("expression", ["5 % 0", "alert.confidence / 0", "7 // 0.0"])
def test_nothing_is_divided_by_a_zero_that_stands_there(expression: str) -> None:
    """It would fail in every run."""
    assert "divided by zero" in only(steps(say(f"({expression}) | default(1)"))).message


def test_the_item_of_a_loop_does_not_hide_the_loop() -> None:
    """`loop` has its index."""
    loop = "- for_each: {items: alert.attack, as: loop, steps: [{wait: {for: 1s}}]}\n"
    assert told(only(steps(loop))).startswith("`loop` is a name of the language")


def test_what_was_done_before_is_asked_by_the_name_of_an_action() -> None:
    """A misspelt one would count nothing for ever, and say nothing."""
    asks = "- action: history.effects\n  with: {target: '{{ alert.source.ip }}', capability: firewall.blok_ip}\n"
    assert "did you mean `firewall.block_ip`?" in told(only(steps(asks)))


@pytest.mark.parametrize("key", ["alert", "alert.source", "alert.user"])
def test_a_key_is_one_value(key: str) -> None:
    """No two alerts would have the same one."""
    head = f"title: A playbook\ntrigger:\n  match: alert.source.ip and alert.user\n  key: {key}\n"
    assert "is an object" in only(steps(WAIT, head=head)).message


def test_the_error_of_a_step_is_guarded_by_that_it_failed() -> None:
    """And that is the hint; a field that a good answer may leave out has another one."""
    text = f"{LOOK}  on_error: continue\n{say('steps.look.error.kind')}"
    assert "`when: steps.look.failed`" in only(steps(text)).hint
    assert codes(steps(f"{text}  when: steps.look.failed\n")) == []
    assert codes(steps(f'{text}  when: steps.look.status == "failed"\n')) == []
    file = "- id: grab\n  action: endpoint.collect_file\n  with: {host: h, path: p}\n  on_error: continue\n"
    left_out = only(steps(f"{file}{say('steps.grab.output.file.name')}  when: steps.grab.ok\n"))
    assert "add `| default(...)`" in left_out.hint
    assert "steps.grab.ok" not in left_out.hint


def test_the_output_of_a_step_that_has_surely_run_needs_nothing() -> None:
    """Nor does that of a step with both, a condition and a default."""
    assert codes(steps(LOOK + SCORE)) == []
    assert codes(steps(f"{LOOK}  when: alert.host\n  default: {{score: 1}}\n{SCORE}")) == []


def test_status_ok_failed_and_the_kind_of_error_may_always_be_read() -> None:
    """Of any earlier step, whatever became of it."""
    text = f"{LOOK}  on_error: continue\n{WAIT}  when: steps.look.failed and not steps.look.ok\n"
    condition = f'{WAIT}  when: steps.look.status in ["skipped", "failed"] or steps.look.error.kind == "timeout"\n'
    assert codes(steps(text + condition)) == []
    assert codes(steps(f'{LOOK}{WAIT}  when: steps.look.status == "failedd"\n')) == ["type"]


def test_the_steps_of_on_error_know_why_the_step_failed() -> None:
    """The error is there, the output is not; afterwards neither is sure."""
    text = f"{LOOK}  on_error:\n    - set: {{why: '{{{{ steps.look.error.kind }}}}'}}\n"
    assert codes(steps(text)) == []
    assert codes(steps(text.replace("error.kind", "output.score"))) == ["may_be_absent"]
    assert codes(steps(text + say("steps.look.error.kind"))) == ["may_be_absent"]


def test_a_value_that_a_step_gives_or_what_follows_its_failure_is_surely_there() -> None:
    """One of the two has run."""
    text = "- set: {plain: '{{ alert.title | b64decode }}'}\n  on_error:\n    - set: {%s: nothing}\n"
    assert codes(steps(text % "plain" + say("vars.plain"))) == []
    assert codes(steps(text % "other" + say("vars.plain"))) == ["may_be_absent"]


def test_branches_of_a_parallel_do_not_see_each_other() -> None:
    """What runs at the same time is not there yet; afterwards all of it is."""
    beside = f"- parallel:\n{inside(LOOK)}{inside(WAIT)}      when: steps.look.ok\n"
    assert codes(steps(beside)) == ["used_too_early"]
    assert codes(steps(beside.replace("steps.look.ok", "alert.host") + SCORE)) == []


def test_a_variable_is_given_a_value_by_one_branch_of_a_parallel_only() -> None:
    """Which of two comes last nobody can say."""
    both = "- parallel:\n    - set: {x: 1}\n    - do:\n        - wait: {for: 1s}\n        - set: {x: 2}\n"
    assert "`vars.x` is given a value in 2 branches at the same time" in only(steps(both)).message


def test_what_only_one_branch_brings_may_be_absent_and_what_both_bring_is_not() -> None:
    """A variable that was there before keeps its value; a branch that ends the run does not count."""
    text = "- if: alert.host\n  then:\n    - set: {x: 1}\n  else:\n    - %s\n"
    assert errors(steps(text % "wait: {for: 1s}" + say("vars.x"))) == ["may_be_absent"]
    assert errors(steps(text % "set: {x: 2}" + say("vars.x"))) == []
    assert errors(steps("- set: {x: 0}\n" + text % "wait: {for: 1s}" + say("vars.x"))) == []
    assert errors(steps(text % "stop: failure" + say("vars.x"))) == []


def test_a_variable_that_is_given_a_value_after_all_is_there() -> None:
    """What was unsure before is not any more."""
    unsure = "- when: alert.host\n  set: {x: 1}\n"
    assert codes(steps(unsure + say("vars.x"))) == ["may_be_absent"]
    assert codes(steps(unsure + "- set: {x: 2}\n" + say("vars.x"))) == []
    turns = "- repeat:\n    until: alert.host\n    times: 2\n    steps: [{set: {x: 3}}]\n"
    assert codes(steps(unsure + turns + say("vars.x"))) == []


def test_a_variable_that_is_none_is_told_where_it_is_used() -> None:
    """As a value that may be absent; one that there is not is told with those that there are."""
    assert errors(steps("- set: {x: null}\n" + say("vars.x | round"))) == ["may_be_absent"]
    assert errors(steps("- set: {x: '{{ alert.case }}'}\n" + say("vars.x"))) == ["may_be_absent"]
    assert "vars has no field 'y'" in only(steps("- set: {x: 1}\n" + say("vars.y"))).message


def test_a_guard_holds_for_the_rest_where_the_run_ends_otherwise() -> None:
    """`stop` under a condition, or a branch that stops."""
    use = "- action: intel.lookup_ip\n  with: {ip: '{{ alert.target.ip }}'}\n"
    assert codes(steps(use)) == ["may_be_absent"]
    assert codes(steps("- unless: alert.target.ip\n  stop: success\n" + use)) == []
    assert codes(steps("- when: not alert.target.ip\n  stop: success\n" + use)) == []
    assert codes(steps("- if: not alert.target.ip\n  then: [{stop: success}]\n" + use)) == []
    assert codes(steps("- if: alert.host\n  then: [{stop: success}]\n" + use)) == ["may_be_absent"]


def test_what_comes_after_the_end_is_never_reached() -> None:
    """It is a warning, and one is enough."""
    both = "- if: alert.host\n  then: [{stop: success}]\n  else: [{stop: failure}]\n"
    never = only(steps(both + LOOK + SCORE))
    assert (never.code, never.level) == ("never", "warning")
    assert codes(steps(both.replace("failure}]", "failure, when: alert.url is defined}]") + LOOK)) == []


def loop(items: str = 'alert.observables | of_type("ip")', ip: str = "one", collect: str = "{{ one }}") -> str:
    return (
        f"- id: each\n  for_each:\n    items: '{items}'\n    as: one\n    collect: '{collect}'\n    steps:\n"
        + inside(LOOK.replace("id: look", "id: inner").replace("alert.source.ip", ip), 6)
    )


def test_a_loop_goes_over_a_list_and_its_item_has_the_type_of_its_items() -> None:
    """In its own steps alone."""
    assert codes(steps(loop())) == []
    assert "a loop goes over a list, and this is text" in only(steps(loop(items="alert.title"))).message
    assert codes(steps(loop(items="alert.observables"))) == ["type"]
    assert codes(steps(loop(items="alert.observables", ip="one.valeu"))) == ["type"]
    assert codes(steps(loop() + say("one"))) == ["type"]


def test_outside_a_loop_only_what_it_collects_is_seen() -> None:
    """The steps inside are not; what was collected and counted always is, whatever became of the items."""
    assert codes(steps(loop() + say("steps.each.output.collect | length"))) == []
    assert codes(steps(loop() + "  on_error: continue\n" + say("steps.each.output.counts.failed"))) == []
    assert codes(steps(loop() + say("steps.inner.output.score"))) == ["used_too_early"]
    assert "`steps.each.output.collect`" in only(steps(loop() + say("steps.inner.output.score"))).hint
    assert codes(steps(loop() + say("steps.each.output.colect"))) == ["type"]
    assert codes(steps(loop() + "  when: alert.host\n" + say("steps.each.output.counts.total"))) == ["may_be_absent"]


def test_of_an_item_that_failed_nothing_was_collected() -> None:
    """`select` with a test leaves those out that are not there; `reject` keeps them."""
    text = loop(collect='{{ {"score": steps.inner.output.score} }}')
    again = (
        "- for_each:\n    items: 'steps.each.output.collect%s'\n    as: two\n"
        "    steps:\n      - set: {x: '{{ two.score + 1 }}'}\n"
    )
    assert codes(steps(text + again % "")) == ["may_be_absent"]
    for left_out in (
        'selectattr("score", "ge", 50)',
        'selectattr("score")',
        "select",
        'rejectattr("score", "undefined")',
    ):
        assert codes(steps(text + again % f" | {left_out}")) == []
    for kept in ('rejectattr("score", "ge", 50)', 'selectattr("score", "undefined")'):
        assert codes(steps(text + again % f" | {kept}")) == ["may_be_absent"]


@pytest.mark.parametrize("name", ["alert", "steps", "vars", "now"])
def test_the_item_of_a_loop_has_a_name_of_its_own(name: str) -> None:
    """No name of the language."""
    assert "value" in codes(steps(loop(ip=name, collect=name).replace("as: one", f"as: {name}")))


def test_a_loop_in_a_loop_has_another_name_for_its_item() -> None:
    """So that both can be read."""
    nested = f"- for_each:\n    items: [1]\n    as: %s\n    steps:\n{inside(loop(), 6)}"
    assert codes(steps(nested % "one")) == ["value"]
    assert codes(steps(nested % "two")) == []


def test_a_loop_that_repeats_shows_its_last_turn() -> None:
    """To `until`, and to what comes after it; `loop.index` counts its turns."""
    until = "steps.look.output.score > 50 or loop.index > 2"
    text = f"- repeat:\n    until: {until}\n    times: 5\n    steps:\n{inside(LOOK, 6)}"
    assert codes(steps(text + SCORE)) == []
    assert codes(steps(text.replace("output.score", "output.scroe"))) == ["type"]


@pytest.mark.parametrize(
    ("switch", "cases", "says"),
    [
        ("alert.severity", "{high: %, hgh: %}", "the value can never be `hgh`"),
        ("alert.status", "{open: %, updated: %}", "no case for `resolved`; add them, or a `default:`"),
        ("alert.source.ip", "{1.2.3: %}", "the value can never be `1.2.3`"),
        ("alert.confidence", "{many: %}", "it is a number"),
        ("alert.host.name is defined", "{'true': %}", "no case for `false`"),
    ],
)
def test_every_value_of_a_choice_has_its_case_and_every_case_can_come(switch: str, cases: str, says: str) -> None:
    """Or there is a default."""
    text = f"- switch: {switch}\n  cases: {cases.replace('%', '[{wait: {for: 1s}}]')}\n"
    assert any(says in told(one) for one in found(steps(text)))


def test_the_case_of_a_step_that_succeeded_has_its_output() -> None:
    """As `when: steps.x.ok` has."""
    text = f"{LOOK}  on_error: continue\n- switch: steps.look.status\n  cases:\n    %s:\n{inside(SCORE, 6)}"
    text += "  default: [{wait: {for: 1s}}]\n"
    assert codes(steps(text % "succeeded")) == []
    assert codes(steps(text % "failed")) == ["may_be_absent"]


def test_what_a_wait_gives_is_the_alert_that_came() -> None:
    """None where it expired; and none ever comes to a run whose trigger has no key."""
    text = '- id: over\n  wait: {alert: joining.status == "resolved", within: 1h}\n'
    assert codes(steps(text + say("steps.over.output.title"))) == ["may_be_absent"]
    assert codes(steps(text + say("steps.over.output.title") + "  when: steps.over.ok\n")) == []
    assert codes(steps(text.replace("joining.status", "joining.sttus"))) == ["type"]
    assert codes(steps(text).replace("  key: alert.source.ip\n", "")) == ["never"]


def test_what_is_waited_until_is_a_time() -> None:
    """A text that looks like one is none."""
    assert codes(steps("- wait: {until: alert.time + (2 | hours)}\n")) == []
    for wrong in ("alert.title", "2 | hours", "alert.confidence"):
        assert "type" in codes(steps(f"- wait: {{until: {wrong}}}\n"))


def test_only_what_an_action_did_before_and_can_take_back_is_undone() -> None:
    """The ids of reversible actions that have run."""
    block = '- id: block\n  action: firewall.block_ip\n  with: {ip: "{{ alert.source.ip }}"}\n  for: 1h\n'
    assert codes(steps(block + "- undo: [block]")) == []
    assert codes(steps(block + "- undo: [blok]")) == ["unknown_step"]
    assert codes(steps("- undo: [block]\n" + block)) == ["used_too_early"]
    assert codes(steps(f"- id: all\n  do:\n{inside(block)}- undo: [all]")) == ["undo"]


def test_what_a_sub_playbook_did_is_undone_by_the_step_that_called_it() -> None:
    """Not what a detached one did, since nobody waits for that."""
    called = sub('- id: look\n  action: intel.lookup_ip\n  with: {ip: "203.0.113.7"}\n')
    calling = "- {id: sub, playbook: helper, detach: %s}\n- undo: [sub]"
    for detached, wrong in (("false", []), ("true", ["undo"])):
        files = {"p": steps(calling % detached), "helper": called}
        assert [one.code for one in all_of(files).findings] == wrong


def test_keys_that_mean_nothing_are_told_so() -> None:
    """A time for what takes none, an error for what cannot fail, a default for what gives nothing."""
    send = "- id: b\n  action: notify.send\n  with: {channel: a, text: b}\n"
    assert codes(steps("- set: {x: 1}\n  timeout: 5s")) == ["needless"]
    assert codes(steps("- stop: success\n  on_error: continue")) == ["needless"]
    assert codes(steps(f"- approval: {{ask: a, covers: [b]}}\n  timeout: 5m\n{send}")) == ["needless"]
    assert codes(steps("- id: a\n  set: {x: 1}\n  default: {x: 1}")) == ["needless"]


def test_ids_are_unique_wherever_the_steps_stand() -> None:
    """Also in branches."""
    text = f"- if: alert.host\n  then:\n{inside(LOOK)}  else:\n{inside(LOOK)}"
    assert "the id `look` stands at line 8 already" in only(steps(text)).message


def test_on_failure_reads_why_the_run_failed_and_nothing_else_is_sure() -> None:
    """No step of the run need have been reached."""
    after = "on_failure:\n  - action: notify.send\n    with: {channel: soc, text: 'because {{ %s }}'}\n"
    text = steps(LOOK)
    assert codes(text + after % "run.error.message") == []
    assert codes(text + after % "steps.look.output.score") == ["may_be_absent"]


def test_a_part_of_an_original_may_be_anything_and_may_be_absent() -> None:
    """Nobody can check its fields; a parameter needs a default."""
    text = "- action: ticket.open\n  with: {title: '{{ alert.raw.a.b%s }}'}\n"
    assert codes(steps(text % "")) == ["may_be_absent"]
    assert codes(steps(text % ' | default("x")')) == []


def test_a_bare_number_or_text_as_a_condition_is_a_warning() -> None:
    """It is nearly always meant to be compared; an address or a user is asked whether it is there."""
    assert [one.level for one in found(steps(f"{LOOK}  when: alert.confidence"))] == ["warning"]
    assert codes(steps(f"{LOOK}  when: alert.source.ip and alert.user and alert.host")) == []


def test_an_address_is_never_one_of_a_list_of_networks() -> None:
    """The way to ask is a test."""
    own = site(own=("network", ["10.0.0.0/8"]))
    never = only(steps(f"{LOOK}  unless: alert.source.ip in lists.own"), own)
    assert (never.code, never.hint) == ("type", "write `is in_network(...)`")
    assert codes(steps(f"{LOOK}  unless: alert.source.ip is in_network(lists.own)"), own) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ('alert.raw.level | default("hihg") | severity', "'hihg' is not a severity"),
        ('"abc" | int', "'abc'"),
        ('alert.raw.count / "10"', "cannot stand between"),
        ('"1.2.3" | extract_ips | first | round', "takes a number"),
    ],
)
def test_what_stands_in_the_source_as_it_is_is_tried(expression: str, says: str) -> None:
    """A text that no filter can make anything of is found before it is looked at."""
    assert any(says in one.message for one in found(steps(f"- set: {{x: '{{{{ {expression} }}}}'}}")))


def test_a_later_turn_sees_a_variable_as_the_one_before_left_it() -> None:
    """A type that changes on the way is found although the first turn fits."""
    text = "- set: {n: 0}\n- repeat:\n    until: vars.n == 3\n    times: 5\n    steps: [{set: {n: %s}}]\n"
    assert codes(steps(text % "'{{ vars.n + 1 }}'")) == []
    assert "type" in codes(steps(text % "['{{ vars.n + 1 }}']"))
    none = "- set: {n: null}\n- repeat:\n    until: vars.n == 3\n    times: 5\n    steps: [{set: {n: %s}}]\n"
    assert codes(steps(none % "'{{ (vars.n | default(0)) + 1 }}'")) == []


def test_items_that_are_written_out_are_just_what_they_are() -> None:
    """A text among them that fits no address is found where it is used as one."""
    text = "- for_each:\n    items: [%s]\n    as: one\n    steps:\n" + inside(LOOK.replace("alert.source.ip", "one"), 6)
    assert codes(steps(text % "192.0.2.1, 192.0.2.2")) == []
    assert codes(steps(text % "192.0.2.1, 192.0.2")) == ["type"]


def test_a_path_without_braces_is_told_to_be_only_text() -> None:
    """A warning: nearly always the value is meant."""
    text = "- action: ticket.open\n  with: {title: %s}\n"
    plain = only(steps(text % "alert.title"))
    assert (plain.code, plain.level, plain.hint) == ("value", "warning", 'write "{{ alert.title }}"')
    assert codes(steps(text % "the alert.title of it")) == []
    assert codes(steps(text % "'{{ alert.title }}'")) == []
    assert codes(steps(text % "example.org")) == []


@pytest.mark.parametrize(
    "early",
    [
        "- stop: success\n  when: alert.host\n",
        "- if: alert.host\n  then:\n    - stop: success\n",
        "- action: intel.lookup_ip\n  with: {ip: '{{ alert.source.ip }}'}\n  on_error:\n    - stop: success\n",
        "- for_each:\n    items: alert.observables\n    steps:\n      - set: {found: 1}\n      - stop: success\n",
        "- parallel:\n    - stop: success\n      when: alert.host\n    - wait: {for: 1s}\n",
    ],
)
def test_outputs_are_made_also_where_a_stop_ends_the_run_before_its_last_step(early: str) -> None:
    """What is only brought later may be absent then; what came before, or has a default, is there."""
    head = HEAD + "outputs:\n  what: '{{ %s }}'\n"
    given = f"{early}- set: {{found: 2}}\n"
    missing = only(steps(given, head=head % "vars.found"))
    assert (missing.code, missing.hint) == ("may_be_absent", "a run may end without it; add `| default(...)`")
    assert codes(steps(given, head=head % "vars.found | default(0)")) == []
    assert codes(steps(f"- set: {{found: 3}}\n{given}", head=head % "vars.found")) == []
    told_of_step = only(steps(early + LOOK, head=head % "steps.look.output.score"))
    assert told_of_step.hint == "a run may end without it; give `look` a `default:`, or add `| default(...)`"
    assert codes(steps(f"{early}{LOOK}  default: {{score: 0}}\n", head=head % "steps.look.output.score")) == []
    assert codes(steps(early + LOOK, head=head % "steps.look.status")) == []


def test_every_way_to_the_end_of_a_run_may_bring_what_the_outputs_read() -> None:
    """One that always stops does not come to the last step; a `stop: failure` gives no outputs."""
    head = HEAD + "outputs:\n  what: '{{ vars.found }}'\n"
    either = "- if: alert.host\n  then:\n    - set: {found: 1}\n    - stop: success\n  else:\n    - set: {found: 2}\n"
    assert codes(steps(either, head=head)) == []
    assert codes(steps(f"{either.replace('found: 2', 'other: 2')}", head=head)) == ["may_be_absent"]
    assert codes(steps("- set: {found: 1}\n- stop: success\n", head=head)) == []
    assert codes(steps("- stop: failure\n  when: alert.host\n- set: {found: 1}\n", head=head)) == []


def test_what_a_condition_asked_for_may_be_absent_where_a_stop_ends_the_run_before() -> None:
    """The guard holds for what comes after it only."""
    head = HEAD + "outputs:\n  what: '{{ alert.host.name }}'\n"
    assert codes(steps("- stop: success\n  unless: alert.host.name\n- wait: {for: 1s}\n", head=head)) == [
        "may_be_absent"
    ]
    assert codes(steps("- stop: failure\n  unless: alert.host.name\n- wait: {for: 1s}\n", head=head)) == []

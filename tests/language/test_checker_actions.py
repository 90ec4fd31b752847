"""Actions: known, given what they take, bounded in time, approved or taken on oneself."""

from __future__ import annotations

import pytest

from tests.language.checked import codes, errors, only, steps, told

LOOK = '- id: look\n  action: intel.lookup_ip\n  with: {ip: "{{ alert.source.ip }}"}\n'


def call(action: str, parameters: str, more: str = "") -> str:
    return steps(f"- id: a\n  action: {action}\n  with: {parameters}\n{more}")


@pytest.mark.parametrize(
    ("action", "parameters", "says"),
    [
        ("intel.lokup_ip", "{ip: 192.0.2.1}", "no action is named `intel.lokup_ip`; did you mean `intel.lookup_ip`?"),
        ("intel.lookup_ip", "{ip: 192.0.2.1, id: 7}", "`intel.lookup_ip` takes no `id`; known: ip"),
        ("ticket.open", "{body: words}", "`ticket.open` needs `title`; add it below `with:`"),
        ("ticket.find", "{within: 7d}", "`ticket.find` needs at least one of `tag`, `text`"),
        ("intel.lookup_ip", "{ip: 1.2.3}", "`ip`: '1.2.3' does not appear to be an IPv4 or IPv6 address"),
        ("ticket.open", "{title: 7}", "`title` is text, and this is 7; put it in quotes if it is meant as text"),
        ("ticket.resolve", "{ticket: T, code: true_positve}", "did you mean `true_positive`?"),
        ("ticket.resolve", '{ticket: T, code: "{{ alert.status }}"}', "is not one of true_positive"),
        ("mail.find_messages", "{sender: a@b.example, within: 7}", "7 has no unit"),
        ("ticket.tag", "{ticket: T, tags: phishing}", "`tags` is a list, and this is 'phishing'"),
        ("ticket.open", '{title: "{{ alert.observables }}"}', "is not text"),
        ("intel.lookup_ip", '{ip: "{{ alert.severity }}"}', "a severity is not an IP address"),
        ("endpoint.collect_memory", '{host: ws-1, pid: "{{ alert.title }}"}', "`| int` reads it as a number"),
        ("endpoint.collect_memory", '{host: ws-1, pid: "no {{ alert.title }}"}', "write one expression alone"),
    ],
)
def test_what_an_action_is_given_is_checked_against_its_model(action: str, parameters: str, says: str) -> None:
    """Its name, the names of its parameters, what it needs, and every type."""
    assert says in told(only(call(action, parameters)))


def test_a_parameter_that_is_needed_must_surely_be_there() -> None:
    """What an alert may lack is a warning, and nothing once a condition has asked for it."""
    text = '- action: intel.lookup_ip\n  with: {ip: "{{ alert.target.ip }}"}\n'
    assert told(only(steps(text))).startswith("`ip`: alert.target.ip may be absent; guard it")
    assert errors(steps(text)) == []
    assert codes(steps(text + "  when: alert.target.ip\n")) == []
    assert codes(steps(text.replace("alert.target.ip", "alert.target.ip | default(alert.source.ip)"))) == []


def test_a_parameter_that_may_be_left_out_may_be_none() -> None:
    """None in it leaves it out."""
    assert codes(call("ticket.open", '{title: a, queue: "{{ alert.case if alert.case is defined else none }}"}')) == []


def test_a_condition_of_the_trigger_holds_in_every_step() -> None:
    """`match` has asked for the address; of the host it says nothing."""
    assert codes(steps(LOOK)) == []
    assert codes(steps(LOOK.replace("alert.source.ip", "alert.host.ip"))) == ["may_be_absent"]


def test_where_several_things_start_a_run_the_alert_may_not_be_there() -> None:
    """Once it is asked for, it is as its trigger says."""
    head = 'title: A\ntrigger:\n  match: alert.source.ip\n  schedule: {cron: "0 1 * * *"}\n'
    tests = (
        "tests:\n  - {name: a, alert: {source: {ip: 192.0.2.1}}, expect: {}}\n"
        "  - {name: b, alert: {}, expect: {starts: false}}\n"
    )
    assert codes(steps(LOOK, head=head, tests=tests)) == ["may_be_absent"]
    assert codes(steps(f"{LOOK}  when: alert\n", head=head, tests=tests)) == []
    choice = LOOK.replace("alert.source.ip", "alert.source.ip if alert else '192.0.2.1'")
    assert codes(steps(choice, head=head, tests=tests)) == []


def test_what_can_be_undone_says_when() -> None:
    """`for`, computed or not, or `keep: true`; one of them, and only where there is something to undo."""
    block = "firewall.block_ip", "{ip: 192.0.2.1}"
    assert codes(call(*block)) == ["no_end"]
    for good in ("for: 1h", "keep: true", "for: {value: 24 | hours, at_most: 2d}"):
        assert codes(call(*block, f"  {good}")) == []
    assert codes(call(*block, "  for: 1h\n  keep: true")) == ["needless"]
    for needless in ("for: 1h", "keep: true", "verify: wait", "unattended: true"):
        assert codes(call("intel.lookup_ip", "{ip: 192.0.2.1}", f"  {needless}")) == ["needless"]


def test_how_long_an_effect_lasts_is_a_duration() -> None:
    """A number is none, and neither is a text."""
    for wrong in ("24", "alert.title", "alert.time"):
        text = call("firewall.block_ip", "{ip: 192.0.2.1}", f"  for: {{value: {wrong}, at_most: 2d}}")
        assert "is not a duration" in only(text).message


def test_what_cannot_be_undone_is_approved_or_taken_on_oneself() -> None:
    """An approval that covers it, or `unattended: true`; both are one too many."""
    out = '- id: out\n  action: identity.end_sessions\n  with: {account: "{{ alert.user.name }}"}\n'
    sure = '- id: sure\n  approval: {ask: "Sure?", covers: [out]}\n'
    assert codes(steps(out)) == ["unattended"]
    assert codes(steps(sure + out)) == []
    assert codes(steps(f"{out}  unattended: true\n")) == []
    assert codes(steps(f"{sure}{out}  unattended: true\n")) == ["needless"]


def test_all_routes_are_for_reads_and_give_a_list() -> None:
    """Every integration answers, or is among those that failed."""
    text = LOOK + "  all_routes: true\n- stop: success\n  message: '{{ steps.look.output.%s }}'\n"
    assert codes(steps(text % 'answers | map("score") | max | default(0)')) == []
    assert codes(steps(text % "score")) == ["type"]
    assert codes(call("firewall.block_ip", "{ip: 192.0.2.1}", "  for: 1h\n  all_routes: true")) == ["needless"]


def test_what_is_never_retried_is_not_asked_to_be() -> None:
    """Four kinds of failure no further attempt can mend."""
    assert codes(steps(LOOK + "  retry: {on: [timeout, conflict]}")) == []
    for kind in ("unknown_outcome", "refused_by_policy", "invalid", "unauthorized"):
        assert f"`{kind}` is never retried" in only(steps(LOOK + f"  retry: {{on: [{kind}]}}")).message


@pytest.mark.parametrize(
    ("default", "says"),
    [
        ("{scoer: 1}", "the output has no `scoer`; did you mean `score`?"),
        ("{score: high}", "`score` is a whole number, and this is 'high'"),
        ("{score: 900}", "`score` is at most 100, and this is 900"),
        ("7", "the output is an object, and `default:` gives 7"),
    ],
)
def test_a_default_is_checked_against_the_model_that_it_stands_for(default: str, says: str) -> None:
    """Names, types, bounds."""
    assert says in told(only(steps(f"{LOOK}  default: {default}")))


def test_what_a_default_leaves_out_may_be_absent() -> None:
    """A field that the model needs, and the default has not."""
    text = f"{LOOK}  on_error: continue\n  default: {{score: 0}}\n- stop: success\n"
    text += "  message: '{{ steps.look.output.%s }}'"
    assert codes(steps(text % "score")) == []
    assert codes(steps(text % "ip")) == ["may_be_absent"]


def test_the_default_of_what_is_no_action_has_its_names_and_types_too() -> None:
    """Of a question, and of a loop."""
    ask = "- id: asked\n  ask: {text: Which?, fields: {verdict: [good, bad]}}\n  on_error: continue\n  default: %s\n"
    assert codes(steps(ask % "{verdict: good}")) == []
    assert "did you mean `verdict`?" in told(only(steps(ask % "{verdit: good}")))
    assert codes(steps(ask % "{verdict: god}")) == ["parameter"]
    loop = "- id: each\n  when: alert.host\n  for_each: {items: [1], steps: [{wait: {for: 1s}}]}\n  default: %s\n"
    assert codes(steps(loop % "{collect: []}")) == []
    assert codes(steps(loop % "{colect: []}")) == ["unknown_parameter"]


def test_a_list_that_needs_an_entry_is_not_given_one_that_may_be_empty() -> None:
    """A warning, until a condition has asked whether there is something in it."""
    tag = "- action: ticket.tag\n  with: {ticket: T, tags: '{{ alert.attack }}'}\n"
    empty = only(steps(tag))
    assert (empty.code, empty.level, empty.hint) == ("may_be_absent", "warning", "guard it with `when: alert.attack`")
    assert codes(steps(f"{tag}  when: alert.attack\n")) == []
    assert codes(steps(tag.replace("'{{ alert.attack }}'", "['{{ alert.title }}']"))) == []

"""The tests of a playbook: everything that they name is there, and everything that they say could be true."""

from __future__ import annotations

import pytest

from orchestrator.language.loader import check_all, read_text
from tests.conftest import ROOT
from tests.language.checked import CAPABILITIES, TESTS, all_of, codes, found, only, site, steps, sub, told

STEPS = """
- id: look
  action: intel.lookup_ip
  with: {ip: "{{ alert.source.ip }}"}
- id: sure
  approval: {ask: "Sure?", covers: [block]}
- id: asked
  ask: {text: "Which?", fields: {verdict: [good, bad], score: {type: number, optional: true}}}
- id: block
  action: firewall.block_ip
  with: {ip: "{{ alert.source.ip }}"}
  for: 1h
"""
ALERT = "{source: {ip: 203.0.113.7}, user: {name: alice}}"


def with_test(words: str, alert: str = ALERT, of: str = STEPS) -> str:
    """A playbook with one test more."""
    return steps(of, tests=f"{TESTS}  - {{name: more, alert: {alert}, expect: {{}}, {words}}}\n")


@pytest.mark.parametrize(
    ("alert", "says"),
    [
        ("{severty: high}", "`alert` has no field `severty`; did you mean `severity`?"),
        ("{severity: hihg}", "'hihg' is not a severity"),
        ("{sorce: {ip: 1.2.3.4}}", "`alert` has no field `sorce`; did you mean `source`?"),
        ("{source: {io: 1.2.3.4}}", "`source` has no field `io`; known: host, ip, port, user"),
        ("{source: {ip: 1.2.3}}", "`ip`: '1.2.3' does not appear to be"),
        ("{title: 7}", "`title` is text, and this is 7"),
        ("{attack: T1110}", "`attack` is a list, and this is 'T1110'"),
        ("{attack: [1110]}", "entry 1 of `attack` is text, and this is 1110"),
        ("{user: {uid: x}}", "`user` needs `name`"),
        ("{status: opened}", "did you mean `open`?"),
        ("{observables: [{type: ipp, value: x}]}", "did you mean `ip`?"),
        ("{time: yesterday}", "`time` is a time, as 2026-05-06T10:00:00Z, and this is 'yesterday'"),
        ("{from: 7}", "`from` is the name of a file below samples/"),
    ],
)
def test_the_alert_of_a_test_is_one_of_the_model(alert: str, says: str) -> None:
    """Each field at its own place; what every alert of a test has need not be said."""
    assert says in told(only(with_test("joins: []", alert)))


def test_a_sample_is_one_that_there_is() -> None:
    """Where the folder of samples is known; what a sample has itself is not asked for."""
    text = with_test("joins: []", "{from: suricata/port_sacn.json, user: {uid: x}}")
    samples = ROOT / "playbooks" / "samples"
    (missing,) = check_all([read_text(text, "p.yaml", "p")], CAPABILITIES, None, samples).findings
    assert told(missing) == "there is no sample `suricata/port_sacn.json`; did you mean `suricata/port_scan.json`?"
    assert codes(text) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("given: {intel.lokup_ip: {score: 1}}", "neither an action nor a step is named `intel.lokup_ip`; did you"),
        ("given: {steps.lok: {score: 1}}", "is named `steps.lok`; did you mean `steps.look`?"),
        ("given: {sure: {score: 1}}", "`sure` is no call: it is `approval:`, which nothing answers here"),
        ("given: {look: {scroe: 1}}", "the answer has no `scroe`; did you mean `score`?"),
        ("given: {look: {score: high}}", "`score` is a whole number, and this is 'high'"),
        ("given: {look: [{score: 1}, {score: 900}]}", "`score` is at most 100, and this is 900"),
        ("given: {look: {fails: timout}}", "no failure is named `timout`; did you mean `timeout`?"),
        ("given: {look: 7}", "`look` is an answer: a mapping of fields"),
        ("given: {look: [{when: {it: 1}, then: {score: 1}}]}", "`intel.lookup_ip` takes no `it`; known: ip"),
        ("given: {look: [{when: {ip: 1.2.3}, then: {score: 1}}]}", "`ip`: '1.2.3'"),
        ("given: {look: [{when: {}, then: {score: 1}}, {score: 2}]}", "either all of the list have `when` and `then`"),
        ("answers: {shure: approve}", "no approval or question has the id `shure`; did you mean `sure`?"),
        ("answers: {look: approve}", "no approval or question has the id `look`"),
        ("answers: {sure: aprove}", "'aprove' is no answer to an approval; did you mean `approve`?"),
        (
            "answers: {asked: good}",
            "'good' is no answer to a question: say its fields, or `expire`; its fields: verdict",
        ),
        ("answers: {asked: {verdict: godo}}", "did you mean `good`?"),
        ("answers: {asked: {verdit: good, verdict: good}}", "the question has no field `verdit`; did you mean"),
        ("answers: {asked: {score: 5}}", "`asked` needs `verdict`"),
        ("answers: {asked: {verdict: good, trust: sigend}}", "did you mean `signed`?"),
        ("answers: {asked: {verdict: good, by: 7}}", "`by` is text, and this is 7"),
        ("joins: [{after: 5, alert: {}}]", "5 has no unit"),
        ("joins: [{after: 5m, alert: {sevrity: low}}]", "did you mean `severity`?"),
        ("at: tomorrow", "`at`: 'tomorrow' is no time"),
        ("schedule: true", "this test has `alert` and `schedule`"),
        ("calendars: {office: {}}", "the playbook reads no `calendars.office`"),
        ("lists: {vips: []}", "the playbook reads no `lists.vips`"),
    ],
)
def test_what_a_test_says_fits_the_playbook(words: str, says: str) -> None:
    """What actions and people answer, what joins, when it is."""
    assert any(says in told(one) for one in found(with_test(words)))
    assert set(codes(with_test(words))) <= {"test", "value"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("calls: [intel.lokup_ip]", "no action is named `intel.lokup_ip`; did you mean `intel.lookup_ip`?"),
        ("calls: [{intel.lookup_ip: {it: 1}}]", "`intel.lookup_ip` takes no `it`; known: ip"),
        ("calls: [{intel.lookup_ip: {ip: 1.2.3}}]", "`ip`: '1.2.3'"),
        ("not_called: [firewall.blok_ip]", "did you mean `firewall.block_ip`?"),
        ("undone: [blok]", "no step has the id `blok`; did you mean `block`?"),
        ("undone: [look.block]", "no step has the id `look.block`; did you mean `block`?"),
        ("undone: [sure]", "`sure` does nothing that could be undone: it is `approval:`"),
        ("asked: [look]", "`look` asks nobody: it is `action:`"),
        ("asked: [shure]", "no step has the id `shure`; did you mean `sure`?"),
        ("outputs: {score: 1}", "the playbook gives no `score`"),
        ("ends: succes", "did you mean `success`?"),
        ("start: false", "no key `start` here; did you mean `starts`?"),
    ],
)
def test_what_a_test_expects_could_come(words: str, says: str) -> None:
    """Actions, their parameters, steps, outputs."""
    text = with_test("joins: []").replace("expect: {}", f"expect: {{{words}}}")
    assert any(says in told(one) for one in found(text))


def test_a_good_test_has_no_findings() -> None:
    """All that one can say, as it is meant."""
    words = (
        "at: 2026-05-06T10:00:00Z, given: {intel.lookup_ip: {score: 5}, steps.look: [{fails: timeout}, {score: 5}],"
        " block: [{when: {ip: 203.0.113.7}, then: {blocked: true}}]},"
        " answers: {sure: deny, asked: {verdict: bad, by: bob, trust: signed}},"
        " joins: [{after: 5m, alert: {title: again}}]"
    )
    assert codes(with_test(words)) == []
    assert codes(with_test("answers: {sure: expire, asked: expire}")) == []


def test_an_entry_of_an_answers_list_says_what_matters_alone() -> None:
    """As the answer itself does; what it says is of the model all the same."""
    of = '- id: seen\n  action: web.list_visits\n  with: {url: "https://a.example/x"}\n'
    assert codes(with_test("given: {seen: {visits: [{account: bob}]}}", of=of)) == []
    assert codes(with_test("given: {seen: {visits: [{acount: bob}]}}", of=of)) == ["test"]
    assert codes(with_test("given: {seen: {visits: [{account: bob, refused: perhaps}]}}", of=of)) == ["test"]


def test_a_read_of_all_routes_answers_for_each_of_them() -> None:
    """By what it gives, or by the answers and those that failed."""
    of = STEPS.replace('ip }}"}\n- id: sure', 'ip }}"}\n  all_routes: true\n- id: sure')
    for good in ("{score: 5}", "{answers: [{score: 5}, {score: 6}], failed: [timeout, {kind: rejected}]}"):
        assert codes(with_test(f"given: {{look: {good}}}", of=of)) == []
    for wrong in ("{answers: [{scroe: 5}]}", "{failed: [tmeout]}", "{answers: {score: 5}}"):
        assert codes(with_test(f"given: {{look: {wrong}}}", of=of)) == ["test"]


def test_what_a_sub_playbook_answers_are_its_outputs() -> None:
    """Or how it fails."""
    called = sub("- wait: {for: 1s}", "title: Called\noutputs: {score: '{{ 5 }}'}\n")
    of = "- id: call\n  playbook: called"
    for good in ("{score: 7}", "{fails: timeout}"):
        assert all_of({"p": with_test(f"given: {{steps.call: {good}}}", of=of), "called": called}).findings == ()
    (wrong,) = all_of({"p": with_test("given: {steps.call: {scroe: 7}}", of=of), "called": called}).findings
    assert told(wrong) == "the answer has no `scroe`; did you mean `score`?"


LOOP = """
- id: people
  for_each:
    items: [ann, bob]
    steps:
      - {id: asked, ask: {text: "Was it you?"}}
      - id: look
        action: intel.lookup_ip
        with: {ip: "{{ alert.source.ip }}"}
        all_routes: true
"""


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (
            'given: {"people[0].look": {score: 5}}',
            'given: {"peple[0].look": {score: 5}}',
            "did you mean `steps.people[0].look`?",
        ),
        (
            'given: {"steps.people[1].look": {score: 5}}',
            'given: {"people.look": {score: 5}}',
            "did you mean `steps.people[0].look`?",
        ),
        (
            'answers: {"people[0].asked": done}',
            'answers: {"persons[0].asked": done}',
            "did you mean `people[0].asked`?",
        ),
        ('given: {"people[0].look": {score: 5}}', 'given: {"people[0].look": {scroe: 5}}', "did you mean `score`?"),
    ],
)
def test_one_item_of_a_loop_is_told_by_the_loop_that_it_is_of(right: str, wrong: str, says: str) -> None:
    """By any other name it would be told for nothing."""
    assert codes(with_test(right, of=LOOP)) == []
    assert says in told(only(with_test(wrong, of=LOOP)))


ABOVE = "- {id: contain, playbook: called}\n"
CALLED = sub(
    """
    - {id: sure, approval: {ask: "?", covers: [held]}}
    - {id: held, action: firewall.block_ip, with: {ip: 203.0.113.7}, for: 1h}
    - {id: everyone, action: intel.lookup_ip, with: {ip: 203.0.113.7}, all_routes: true}
    - for_each:
        items: [ann, bob]
        steps:
          - {id: which, ask: {text: "Which?", fields: {verdict: [good, bad]}}}
    """,
    "title: Called\n",
)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("answers: {contain.sure: approve}, expect: {asked: [contain.sure], undone: [held]}", None),
        ("answers: {sure: approve, 'contain.for_each#1[0].which': {verdict: bad}}, expect: {asked: [sure]}", None),
        ("answers: {contain.sur: approve}, expect: {}", "the id `contain.sur`; did you mean `contain.sure`?"),
        ("answers: {contan.sure: approve}, expect: {}", "the id `contan.sure`; did you mean `contain.sure`?"),
        ("answers: {contain.sure: {verdict: good}}, expect: {}", "is no answer to an approval"),
        ("answers: {contain.which: {verdict: god}}, expect: {}", "did you mean `good`?"),
        ("expect: {asked: [contain.held]}", "`contain.held` asks nobody: it is `action:`"),
        ("given: {contain.held: {blocked: true}}, expect: {}", None),
        ("given: {steps.contain.held: {bloked: true}}, expect: {}", "did you mean `blocked`?"),
        ("given: {intel.lookup_ip: {answers: [{score: 5}], failed: [timeout]}}, expect: {}", None),
        ("given: {intel.lookup_ip: {answers: [{scroe: 5}]}}, expect: {}", "did you mean `score`?"),
    ],
)
def test_the_steps_of_a_sub_playbook_are_told_by_the_step_that_calls_it(words: str, says: str | None) -> None:
    """Its questions, and what its actions answer."""
    text = steps(ABOVE, tests=f"{TESTS}  - {{name: more, alert: {ALERT}, {words}}}\n")
    told_of = [told(one) for one in all_of({"p": text, "called": CALLED}).findings]
    assert (len(told_of), says is None or says in told_of[0]) == (0 if says is None else 1, True)


def test_nothing_is_said_of_the_steps_of_a_sub_playbook_that_cannot_be_read() -> None:
    """Of the playbook itself it is."""
    text = steps(
        ABOVE, tests=f"{TESTS}  - {{name: more, alert: {ALERT}, answers: {{contain.sure: deny}}, expect: {{}}}}\n"
    )
    assert "test" not in [one.code for one in all_of({"p": text, "called": "title: [\n"}).findings]


def test_inputs_of_a_test_fit_those_of_the_playbook() -> None:
    """All that are needed, each of its type."""
    text = sub("- wait: {for: 1s}", "title: A\ninputs: {who: account, hours: {type: number, default: 2}}\n")
    text += "tests:\n  - {name: a, inputs: {%s}, expect: {}}\n"
    assert codes(text % "who: bob") == []
    assert told(only(text % "hours: 2")) == "`inputs` needs `who`; add it, or give it a `default:`"
    assert "did you mean `who`?" in told(only(text % "who: bob, wo: bob"))
    assert "the value is a number" in told(only(text % "who: bob, hours: two"))


def test_something_starts_every_test() -> None:
    """An alert, a schedule, inputs; none that the trigger does not have."""
    nothing = f"{TESTS}  - {{name: more, expect: {{}}}}\n"
    assert "nothing starts it here" in only(steps(STEPS, tests=nothing)).message
    clock = sub("- wait: {for: 1s}") + "tests:\n  - {name: a, %s, expect: {}}\n"
    assert "this playbook has no schedule" in only(clock % "schedule: true").message
    assert "it has no `match`" in only(clock % "alert: {}").message
    joined = with_test("joins: [{after: 1m, alert: {}}]").replace("  key: alert.source.ip\n", "")
    assert "its trigger has no `key`" in only(joined).message


def test_two_tests_have_two_names() -> None:
    """So that it is known which of them failed."""
    again = "  - {name: starts, alert: {severity: low}, expect: {starts: false}}\n"
    assert "two tests are named 'starts'" in only(steps(STEPS, tests=TESTS + again)).message


def test_a_list_of_a_test_has_entries_of_the_type_of_the_list() -> None:
    """Where the site is known."""
    known = site(vips=("ip", ["192.0.2.1"]))
    of = STEPS.replace("- id: look\n", "- id: look\n  unless: alert.source.ip in lists.vips\n")
    assert codes(with_test("lists: {vips: [192.0.2.7]}", of=of), known) == []
    assert "`lists.vips`: '1.2.3'" in only(with_test("lists: {vips: [1.2.3]}", of=of), known).message
    assert "did you mean `vips`?" in told(only(with_test("lists: {vip: []}", of=of), known))
    assert codes(with_test("lists: {vips: [1.2.3]}", of=of)) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("given: {ticket.open: {id: '7'}}", "no step calls `ticket.open`: this answer is for nobody"),
        ("given: {intel.lookup_ip: {score: 7}}", None),
        ("given: {firewall.unblock_ip: {fails: timeout}}", None),
    ],
)
def test_an_answer_is_for_something_that_is_asked(words: str, says: str | None) -> None:
    """What takes back what a step did is asked too."""
    if says is None:
        assert found(with_test(words)) == []
    else:
        assert says in told(only(with_test(words)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("given: {intel.lookup_ip: {score: 7}}, expect: {starts: false}", "so `given` is for nobody"),
        ("answers: {sure: approve}, expect: {starts: false}", "so `answers` is for nobody"),
        ("expect: {starts: false, calls: []}", "so `calls` cannot fail"),
        ("expect: {starts: false, not_called: [firewall.block_ip]}", "so `not_called` cannot fail"),
    ],
)
def test_where_nothing_starts_nothing_else_is_expected(words: str, says: str) -> None:
    """A check that cannot fail is none."""
    made = steps(STEPS, tests=f"{TESTS}  - {{name: more, alert: {ALERT}, {words}}}\n")
    assert says in told(only(made))

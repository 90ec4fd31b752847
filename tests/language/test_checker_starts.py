"""What starts a run, and what others call: triggers that can come true, inputs that somebody can give."""

from __future__ import annotations

import pytest

from tests.language.checked import TESTS, all_of, codes, found, only, site, steps, sub, told

WAIT = "- wait: {for: 1s}"


def match(condition: str, more: str = "") -> str:
    return steps(WAIT, head=f"title: A\ntrigger:\n  match: {condition}\n{more}")


def schedule(words: str) -> str:
    return sub(WAIT, f"title: A\ntrigger:\n  schedule: {{{words}}}\n")


@pytest.mark.parametrize(
    ("never", "possible"),
    [
        (
            'alert.severity >= "high" and alert.severity < "medium"',
            'alert.severity < "high" and alert.severity >= "low"',
        ),
        ('alert.severity > "critical"', 'alert.severity >= "critical"'),
        ('alert.rule.id == "a" and alert.rule.id == "b"', 'alert.rule.id == "a" or alert.rule.id == "b"'),
        ("alert.user and false", "alert.user and true"),
    ],
)
def test_a_trigger_that_can_never_hold_is_said_to_be_so(never: str, possible: str) -> None:
    """Its parts contradict one another."""
    assert codes(match(never)) == ["never"]
    assert codes(match(possible)) == []


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("alert.sorce.ip", "alert has no field 'sorce'; did you mean alert.source?"),
        ('alert.severity == "hihg"', "did you mean high?"),
        ('alert.source.port == "22"', "there are no conversions"),
        ("alert.confidence > 900", "can never be above 900"),
        ("alert.attack | intersect([1])", "there are no conversions"),
        ("alert.source.ip in lists.own", "`lists` are read when a run begins"),
        ("steps.a.ok", "no name 'steps' here"),
        ("alert.user |", "something is missing at its end"),
        ("alert.title | sizze", "no filter is named 'sizze'"),
        ("alert.user is defind", "no test is named 'defind'; did you mean defined?"),
    ],
)
def test_a_condition_is_checked_against_the_model_of_an_alert(condition: str, says: str) -> None:
    """Fields, words, types; it reads the alert and the clock, and nothing else."""
    assert any(says in told(one) for one in found(match(condition)))


def test_joining_needs_a_key_and_a_key_needs_a_condition() -> None:
    """Alerts without a key never join one another."""
    assert "`joins` needs a `key`" in only(match("alert.user", "  joins: alert.host\n")).message
    assert "there is no `match`" in only(sub(WAIT, "title: A\ntrigger:\n  key: alert.source.ip\n")).message
    assert codes(match("alert.user", "  key: alert.user.nam\n")) == ["type"]
    assert codes(match("alert.user", "  key: alert.user.name\n  joins: alert.user and alert.host\n")) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ('cron: "0 8 * *"', "a schedule has five fields"),
        ('cron: "0 25 * * *"', "is no schedule: the hour cannot be '25'"),
        ('cron: "0 0 31 2 *"', "is no schedule: it never comes"),
        ('cron: "0 8 L * *"', "the day of the month cannot be 'L'"),
        ('cron: "0 8 * * 1#2"', "the day of the week cannot be '1#2'"),
        ('cron: "0 8 * * fri-mon"', "the day of the week goes from 5 down to 1"),
        ('cron: "0 8 * * 1,"', "something is missing in the day of the week"),
        ('cron: "*/0 8 * * *"', "the minute cannot go in steps of '0'"),
        ('cron: "0 8 * * 1", tz: Europe/Amsterdan', "did you mean `Europe/Amsterdam`?"),
        ('cron: "0 8 * * 1", tz: localtime', "no time zone is named `localtime`"),
        ('cron: "0 8 * * 1", missed: rn', "did you mean `run`?"),
    ],
)
def test_a_schedule_is_one_that_comes(words: str, says: str) -> None:
    """Five fields, a time zone that there is, and what becomes of a start that was missed."""
    assert says in told(only(schedule(words)))
    assert codes(schedule('cron: "0 8 * * 1-5", tz: Europe/Amsterdam, missed: run')) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ('cron: "30 2 * * *", tz: Europe/Amsterdam', "does not come on 2026-03-29, when it is put forward over 02:30"),
        ('cron: "30 2 * * *", tz: Europe/Amsterdam', "comes once on 2026-10-25, when it shows 02:30 twice"),
        ('cron: "0 2 * * 0", tz: America/New_York', "does not come on 2026-03-08, when it is put forward over 02:00"),
        ('cron: "30 1 * * 0", tz: America/New_York', "comes once on 2026-11-01, when it shows 01:30 twice"),
        ('cron: "0 8 * * 0", tz: America/Santiago', "does not come on 2026-09-06, when it is put forward over 00:00"),
        ('cron: "0 8 13 * 5"', "comes where both the day of the month and the day of the week fit"),
    ],
)
def test_a_schedule_that_comes_otherwise_than_it_looks_is_told_so(words: str, says: str) -> None:
    """By a change of the clock, or because other dialects of cron mean either of two days."""
    finding = only(schedule(words))
    assert (finding.code, finding.level) == ("schedule", "warning")
    assert says in finding.message


@pytest.mark.parametrize(
    "words",
    [
        'cron: "30 2 * * *"',
        'cron: "30 2 * * 1-5", tz: Europe/Amsterdam',
        'cron: "0 3 * * *", tz: Europe/Amsterdam',
        'cron: "30 2 * * *", tz: Asia/Tokyo',
        'cron: "*/15 * * * *", tz: Europe/Amsterdam',
        'cron: "0 8 1-7 * 1"',
        'cron: "0 8 * * *", tz: America/Santiago',
        'cron: "0 8 * * 1", tz: America/Santiago',
        'cron: "0 8 25-31 * fri"',
    ],
)
def test_a_schedule_that_a_change_of_the_clock_does_not_meet_has_no_warning(words: str) -> None:
    """Another zone, another day, another hour, or every hour; and the first Monday of a month is said so."""
    assert codes(schedule(words)) == []


def test_alerts_and_clocks_give_no_inputs() -> None:
    """An input that they need has a default, or may be left out; by hand and from others it is given."""
    head = "title: A\ntrigger: {%s}\ninputs: {x: %s}\n"
    clock = 'schedule: {cron: "0 8 * * *"}'
    assert codes(sub(WAIT, head % (clock, "text"))) == ["inputs"]
    assert codes(sub(WAIT, head % (clock, "{type: text, default: a}"))) == []
    assert codes(sub(WAIT, head % (clock, "{type: text, optional: true}"))) == []
    assert codes(sub(WAIT, head % ("manual: {by: {group: soc}}", "text"))) == []
    assert codes(steps(WAIT, head=head % ("match: alert.user", "text"))) == ["inputs"]


def test_a_playbook_that_alerts_start_brings_a_test_that_starts_it_and_one_that_does_not() -> None:
    """Each that is missing is told."""
    head, first, second = TESTS.splitlines(keepends=True)
    assert only(steps(WAIT, tests=head + second)).message == "a test that starts it is missing"
    assert only(steps(WAIT, tests=head + first)).message == "a test with an alert that does not start it is missing"
    assert codes(steps(WAIT, tests="")) == ["untested", "untested"]
    assert codes(sub(WAIT)) == []


def called(name: str, inputs: str = "", more: str = "") -> str:
    return steps(f"- id: call\n  playbook: {name}\n  with: {{{inputs}}}\n{more}")


SUB = sub(
    "- id: look\n  action: intel.lookup_ip\n  with: {ip: '{{ inputs.ip }}'}",
    "title: Called\ninputs:\n  ip: address\n  hours: {type: number, default: 1}\n"
    "  how: {choice: [soft, hard], optional: true}\noutputs:\n  score: '{{ steps.look.output.score }}'\n",
)


@pytest.mark.parametrize(
    ("name", "inputs", "says"),
    [
        ("caled", "ip: 192.0.2.1", "no playbook is named `caled`; did you mean `called`?"),
        ("called", "", "`called` needs `ip`; add it below `with:`"),
        ("called", "ip: 192.0.2.1, hour: 2", "`called` takes no `hour`; did you mean `hours`?"),
        ("called", "ip: 1.2.3", "`ip`: the value: '1.2.3'"),
        ("called", 'ip: "{{ alert.severity }}"', "is not an IP address"),
        ("called", "ip: 192.0.2.1, hours: many", "the value is a number"),
        ("called", "ip: 192.0.2.1, how: sotf", "did you mean `soft`?"),
    ],
)
def test_what_a_sub_playbook_is_given_fits_its_inputs(name: str, inputs: str, says: str) -> None:
    """Names, what is needed, types; as with an action."""
    (finding,) = all_of({"p": called(name, inputs), "called": SUB}).findings
    assert says in told(finding)


def test_the_outputs_of_a_sub_playbook_are_known_with_their_types() -> None:
    """Unless nobody waits for them."""
    use = "- stop: success\n  message: '{{ steps.call.output.%s }}'\n"
    assert all_of({"p": called("called", "ip: 192.0.2.1", use % "score + 1"), "called": SUB}).findings == ()
    wrong = all_of({"p": called("called", "ip: 192.0.2.1", use % "scroe"), "called": SUB}).findings
    assert [one.code for one in wrong] == ["type"]
    detached = called("called", "ip: 192.0.2.1", "  detach: true\n" + use % "score")
    assert [one.code for one in all_of({"p": detached, "called": SUB}).findings] == ["type"]


@pytest.mark.parametrize("broken", [SUB.replace("title", "titel"), SUB.replace("lookup", "lokup")])
def test_a_sub_playbook_with_errors_is_told_once_where_it_is_called(broken: str) -> None:
    """And nothing else is said of the call."""
    findings = all_of({"p": called("called", "ip: 192.0.2.1"), "called": broken}).findings
    (of_caller,) = [one for one in findings if one.place.file == "p.yaml"]
    assert told(of_caller) == "`called` has errors of its own; mend called.yaml first"


def test_playbooks_never_call_one_another_in_a_circle_or_too_deeply() -> None:
    """The circle is shown; five deep is as deep as it gets."""
    circle = {"a": sub("- playbook: b"), "b": sub("- playbook: c"), "c": sub("- playbook: a")}
    assert any("a -> b -> c -> a" in one.message for one in all_of(circle).findings)
    chain = {f"p{number}": sub(f"- playbook: p{number + 1}") for number in range(5)} | {"p5": sub(WAIT)}
    assert all_of(chain).findings == ()
    deeper = {"p": sub("- playbook: p0"), **chain}
    assert [one.code for one in all_of(deeper).errors] == ["recursion"]


def test_lists_and_calendars_are_known_by_name_and_by_the_type_of_their_entries() -> None:
    """Where the site is known; a name is written out, since a run takes with it what it names."""
    known = site(vips=("account", ["root"]), own=("network", ["10.0.0.0/8"]))
    text = "- when: alert.user.name in lists.%s\n  stop: success"
    assert codes(steps(text % "vips"), known) == []
    assert "did you mean lists.vips?" in told(only(steps(text % "vip"), known))
    assert codes(steps(text % "vip")) == []
    computed = only(steps("- when: alert.user.name in lists[alert.title]\n  stop: success"), known)
    assert (computed.code, computed.hint) == ("site", "write the name itself, as in `lists.name`")


@pytest.mark.parametrize("word", ["match", "joins", "key"])
@pytest.mark.parametrize(
    ("kind", "condition"),
    [("lists", "alert.source.ip in lists.bad"), ("calendars", "alert.time is within(calendars.office)")],
)
def test_what_starts_a_run_is_about_the_alert_alone(word: str, kind: str, condition: str) -> None:
    """Lists and calendars are read when a run begins; its steps may ask them."""
    trigger = {"match": "alert.source.ip and alert.user", "key": "alert.source.ip", "joins": "alert.source.ip"}
    trigger[word] = condition if word == "key" else f"{trigger[word]} and {condition}"
    written = "".join(f"  {one}: {says}\n" for one, says in trigger.items())
    finding = only(steps(WAIT, head=f"title: A playbook\ntrigger:\n{written}"))
    assert told(finding) == (
        f"`{word}` is about the alert alone: `{kind}` are read when a run begins, and this comes before; "
        "let the first step be a `stop: success` with a `when:` that asks"
    )
    stop = f"- stop: success\n  unless: {condition}\n"
    assert codes(steps(f"{stop}{WAIT}")) == []

"""What is found in an expression without running it: misspelt fields, values of the wrong type, what may be absent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pytest

from orchestrator.alerts.alert import Alert, Status
from orchestrator.contract.capabilities.firewall import BlockIp
from orchestrator.contract.capabilities.intel import IpReport
from orchestrator.contract.values import FileRef, IpAddress, Severity
from orchestrator.errors import ExpressionError, FindingLevel
from orchestrator.language.calendars import Calendar
from orchestrator.language.expressions import (
    MAY_BE_ABSENT,
    Problem,
    check_types,
    compile_condition,
    compile_template,
    compile_tree,
    compile_value,
    guarded,
    infer,
    type_of,
    wanted_at,
)
from orchestrator.language.expressions.kinds import TEXT, said

SCOPE: dict[str, Any] = {
    "alert": Alert,
    "now": datetime,
    "joined": Any,
    "steps": {"look": {"status": str, "ok": bool, "output": IpReport}},
    "calendars": {"office": Calendar},
    "lists": {"known": tuple[IpAddress, ...], "hosts": list[str]},
    "vars": {"count": int},
}


def mistakes(source: str) -> list[Problem]:
    return [one for one in check_types(compile_condition(source), SCOPE) if one.level is FindingLevel.ERROR]


def absences(source: str, wanted: Any = None, *, present: tuple[tuple[str, ...], ...] = ()) -> list[str]:
    """The paths that may be absent in a parameter."""
    found = check_types(compile_template(source), SCOPE, wanted, present)
    assert all(one.code == MAY_BE_ABSENT for one in found), found
    return [".".join(one.path or ()) for one in found]


@pytest.mark.parametrize(
    ("source", "column", "message", "hint"),
    [
        ("alert.sorce.ip", 7, "alert has no field 'sorce'", "did you mean alert.source?"),
        ("alert.source.ip and alert.source.iip", 34, "alert.source has no field 'iip'", "alert.source.ip"),
        ('alert["sorce"]', 7, "no field 'sorce'", "alert.source"),
        ("alrt.title == 'x'", 1, "no name 'alrt' here", "did you mean alert?"),
        ("high == alert.severity", 1, "no name 'high' here", "text needs quotes"),
        ("alert.title.lower == 'x'", 13, "alert.title is text, which has no field 'lower'", "`| lower`"),
        ("alert.observables.value", 19, "is a list", '| map("value")'),
        ("alert.observables['x']", 19, "is a list", "[0]"),
        ("alert[alert.title]", 13, "named in the playbook", ""),
        ('alert.observables | map("vlaue")', 21, "an item has no field 'vlaue'", "did you mean value?"),
        ('alert.observables | selectattr("tpye", "equalto", "ip")', 21, "no field 'tpye'", "type"),
        ('alert.observables | selectattr("type", "equalto", "ipp")', 21, "can never be 'ipp'", "ip"),
        ('alert.observables | selectattr("type", "in", ["ip", "domian"])', 21, "can never be 'domian'", "domain"),
        ('alert.observables | rejectattr("value", "gt", 3)', 21, "no order", "no conversions"),
        ('alert.observables | sort("vaule")', 21, "no field 'vaule'", "value"),
        ('alert.observables | counts("typ")', 21, "no field 'typ'", "type"),
        ('alert.observables | table(["type", "valu"])', 21, "no field 'valu'", "value"),
        ('alert.observables | of_type("domian")', 21, "can never be 'domian'", "did you mean domain?"),
        ('alert | json_path("source.ipp")', 9, "source has no field 'ipp'", "source.ip"),
        ("(alert.url | url_parts).hots == 'x'", 25, "no field 'hots'", "host"),
        ("(alert.observables | counts('type') | first).cnt > 1", 46, "no field 'cnt'", "count"),
        ("alert.title | round", 15, "`| round` takes a number, found text", "`| int`"),
        ("alert.attack | lower", 16, "`| lower` takes text, found a list of text", "`| first`"),
        ("lists.hosts | join(1)", 20, "`| join` takes text in its brackets, found 1", "`| string`"),
        ("alert.observables | sum", 21, "takes a list of numbers", ""),
        ("alert.observables | max", 21, "no order", ""),
        ("alert.domain is private", 14, "`is private` takes an IP address, found a domain", ""),
        ("alert.observables | select('matching', 'x')", 21, "`is matching` takes text, found an object", ""),
        ("alert.title is within(calendars.office)", 13, "takes a time, found text", ""),
        ("alert.time is within(calendars.offcie)", 32, "no field 'offcie'", "calendars.office"),
        ("alert.title + 1 == 2", 1, "`+` cannot stand between text and 1", "no conversions"),
        ("alert.title * 2 == 2", 1, "`*` cannot stand between text and 2", ""),
        ("alert.time + alert.time > now()", 1, "cannot stand between a time and a time", ""),
        ("-alert.title == 1", 1, "a sign stands before a number, found text", ""),
        ("{1: 2}", 2, "the names in an object are text", ""),
    ],
)
def test_a_misspelt_field_or_a_wrong_type_is_told_where_it_stands(
    source: str, column: int, message: str, hint: str
) -> None:
    """With the column, and with the nearest right word or another way to write it."""
    (problem,) = mistakes(source)
    assert (problem.line, problem.column) == (1, column)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ('alert.severity == "hgh"', "alert.severity can never be 'hgh'", "did you mean high?"),
        ('alert.severity in ["high", "critcal"]', "alert.severity can never be 'critcal'", "critical"),
        ("alert.severity == alert.title", "a severity cannot be compared with text", "`| severity`"),
        ("alert.severity > 3", "a severity cannot be compared with 3", "no conversions"),
        ("'high' in alert.severity", "nothing can be in a severity", "looks into a list"),
        ('alert.status == "OPEN"', "it is one of open, updated, resolved", "did you mean open?"),
        ('alert.status < "resolved"', "a choice of words has no order", "`in`"),
        ('alert.source.port == "80"', "it is a whole number", "no conversions"),
        ("alert.source.port == 70000", "it is a number from 0 to 65535", ""),
        ("alert.confidence > 100", "alert.confidence can never be above 100", ""),
        ("900 <= alert.confidence", "alert.confidence can never be at least 900", ""),
        ('"T111O" in alert.attack', "an item of alert.attack can never be 'T111O'", ""),
        ('alert.attack | intersect(["T1110", "attack"])', "can never be 'attack'", ""),
        ('alert.source.ip == "1.2.3"', "alert.source.ip can never be '1.2.3'", ""),
        ("alert.source.ip == alert.file.sha256", "an IP address is never a hash", ""),
        ("alert.source.ip < alert.title", "an IP address and text have no order", ""),
        ('alert.time > "2024-01-01"', "have no order", "no conversions"),
        ("alert.user == 'alice'", "it is an object (User)", ""),
        ("'x' in alert", "nothing can be in an object (Alert)", "is defined"),
        ("1 in alert.title", "1 cannot be in text", ""),
        ("alert.title == true", "can never be true", ""),
        ("[1, 'a'] | sort", "no order", ""),
        ('(now() | weekday) in ["saturday", "sundy"]', "can never be 'sundy'", "did you mean sunday?"),
        ("vars.count | hours > 3", "a duration and 3 have no order", ""),
    ],
)
def test_a_comparison_that_can_never_hold_is_a_mistake(source: str, message: str, hint: str) -> None:
    """Nobody writes a condition in order that it be false for ever."""
    (problem,) = mistakes(source)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    "source",
    [
        'alert.severity >= "HIGH" and alert.source.ip', 'alert.status in ["open", "updated"]',
        "alert.confidence >= 100", '"T1110" in alert.attack', "alert.source.ip in lists.known",
        "alert.user and alert.user.name == 'Alice'", "alert.raw.a.b[0].c > alert.raw.other + 1",
        "alert.time > now() - days(3)", "(now() - alert.time) | hours > 3", "alert.time is within(calendars.office)",
        'alert.observables | selectattr("type", "in", ["ip", "domain"]) | map("value") | first == "x"',
        '(alert.observables | counts("type") | first).count > 3', "[alert.source, alert.target] | map('ip') | unique",
        '{"high": 1, "low": 2}[alert.status] == 1', 'alert["source"]["ip"]', "alert.observables[0].value == 'x'",
        '(alert.raw.level | severity) >= "high"', "(alert.confidence if alert.confidence else 3) > 2",
        "alert.confidence == 3.5", "'a' ~ alert.source.port == 'a22'", "joined | map('x') | length > 3",
        "steps.look.output.tags | intersect(lists.hosts)", "steps.other.ok", "alert.title | length > 3",
        "alert.domain is under('example.com') or alert.host.name is under('example.com')",
        "alert.domain | registered_domain == 'example.com'", "alert.observables | map('type') | unique | length > 1",
    ],
)  # fmt: skip
def test_what_makes_sense_is_not_complained_about(source: str) -> None:
    """A checker that cries wolf is switched off."""
    assert mistakes(source) == []


def test_all_mistakes_are_told_at_once_in_their_order() -> None:
    """One reading of a file reports all of its mistakes, with their lines."""
    loop = "{% for o in alert.observables %}{{ o.vlue }}\n {{ loop.indx }}{% endfor %}\n"
    source = loop + "{{ alert.usr }} {{ alert.title + 1 }}"
    found = check_types(compile_template(source), SCOPE)
    assert [(one.line, one.column) for one in found] == [(1, 38), (2, 10), (3, 10), (3, 20)]
    assert [one.hint for one in found][:3] == [
        "did you mean o.value?",
        "did you mean loop.index?",
        "did you mean alert.user?",
    ]


def test_a_loop_goes_over_a_list() -> None:
    """Over an object it goes by names, values or entries."""
    (problem,) = check_types(compile_template("{% for k in alert.raw %}{{ k }}{% endfor %}"), SCOPE)
    assert "a loop goes over a list" in problem.message
    assert "| keys" in problem.hint
    entries = "{% for e in alert.raw | entries %}{{ e.name }}={{ e.value }}{% endfor %}"
    assert check_types(compile_template(entries), SCOPE) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("alert.title", "alert.title is text"), ("alert.confidence", "alert.confidence is a number"),
        ("not alert.title and alert.user", "is text"), ("alert.source", "alert.source is always there"),
        ("'x'", "a literal is always the same"),
    ],
)  # fmt: skip
def test_what_means_little_as_a_condition_is_a_warning(source: str, message: str) -> None:
    """Something is probably missing: a comparison, or a field."""
    (problem,) = check_types(compile_condition(source), SCOPE)
    assert problem.level is FindingLevel.WARNING
    assert message in problem.message


def test_an_optional_address_user_or_host_asks_whether_it_is_there() -> None:
    """So it stands alone, in templates too."""
    assert (
        check_types(compile_condition("alert.source.ip and alert.user and not alert.host and alert.domain"), SCOPE)
        == []
    )
    assert check_types(compile_template("{% if alert.user %}x{% endif %}{{ 1 if alert.domain else 2 }}"), SCOPE) == []


@pytest.mark.parametrize(
    ("template", "wanted", "message", "hint"),
    [
        ("port {{ alert.source.port }}", int, "text does not fit: text is not a whole number", "one expression alone"),
        ("{{ alert.confidence / 2 }}", IpAddress, "a number is not an IP address", ""),
        ("{{ alert.attack }}", IpAddress, "a list of text is not an IP address", "`| first`"),
        ("{{ alert.source.ip }}", tuple[IpAddress, ...], "an IP address is not a list", "[x]"),
        ("{{ alert.attack }}", tuple[int, ...], "text is not a whole number", ""),
        ("{{ 'abc' }}", IpAddress, "'abc' does not appear to be", ""),
        ("{{ alert.domain }}", IpAddress, "a domain is not an IP address", ""),
        ("{{ vars.count / 2 }}", int, "a number is not a whole number", "`| round`"),
        ("{{ vars.count }}", str, "a whole number is not text", "`| string`"),
        ("{{ 'opne' }}", Status, "'opne' is not one of open, updated, resolved", ""),
        ("{{ alert.status }}", Severity, "'open' is not a severity", ""),
        ("{{ alert.severity }}", Status, "a severity is not one of open, updated, resolved", ""),
        ("{{ alert.time }}", Literal["open"], "a time is not 'open'", ""),
        ("{{ alert.user }}", str, "an object (User) is not text", ""),
        ("{{ {'sha256': alert.file.sha256, 'nam': 'x'} }}", FileRef, "no field 'nam'", "did you mean name?"),
        ("{{ {'name': 'x'} }}", FileRef, "needs sha256", ""),
        ("{{ true }}", int, "true is not a whole number", ""),
    ],
)
def test_a_parameter_of_another_type_is_a_mistake(template: str, wanted: Any, message: str, hint: str) -> None:
    """Text for a number, a list for an address, a literal that is none."""
    (problem,) = check_types(compile_template(template), SCOPE, wanted)
    assert problem.level is FindingLevel.ERROR
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ alert.title }}", IpAddress), ("10.0.0.{{ alert.confidence }}", IpAddress), ("{{ alert.time }}", str),
        ("{{ alert.time }}", datetime), ("{{ alert.severity }}", str), ("{{ 'High' }}", Severity),
        ("{{ alert.attack }}", tuple[str, ...]), ("{{ [] }}", tuple[IpAddress, ...]), ("{{ vars.count }}", float),
        ("{{ alert.raw.anything }}", int), ("{{ alert.title }}", Status), ("{{ (now() - alert.time) | hours }}", float),
        ("{{ {'sha256': 'a' ~ alert.title, 'size': 3} }}", FileRef), ("{{ alert.source.ip }}", str | None),
        ("plain text", str), ("{{ alert.user }}", dict[str, Any]),
    ],
)  # fmt: skip
def test_a_parameter_that_may_fit_is_left_to_the_data(template: str, wanted: Any) -> None:
    """A text may be an address; only what surely is none is told."""
    assert check_types(compile_template(template), SCOPE, wanted) == []


def test_what_may_be_absent_is_told_where_a_parameter_needs_it() -> None:
    """With a code of its own and its path, so that the checker of steps decides how bad that is."""
    (problem,) = check_types(compile_template("{{ alert.source.ip }}"), SCOPE, IpAddress, present=())
    assert (problem.code, problem.path, problem.column) == (MAY_BE_ABSENT, ("alert", "source", "ip"), 17)
    assert check_types(compile_template("{{ alert.source.ip }}"), SCOPE, IpAddress) == [], "nobody asked"


def test_an_optional_parameter_is_left_out_where_a_field_has_no_value() -> None:
    """A field below nothing is an error there too: nobody said what is meant."""
    assert absences("{{ alert.source.ip }}", IpAddress | None) == []
    assert absences("{{ alert.title }}", BlockIp.model_fields["reason"]) == []
    assert absences("{{ alert.rule.name }}", BlockIp.model_fields["reason"]) == []
    assert absences("{{ alert.user.name }}", str | None) == ["alert.user.name"]


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ("{{ alert.user.name }} {{ alert.title }}", ["alert.user.name"]),
        ("{{ alert.user.name | default('-') }}", []),
        ("{% if alert.user %}{{ alert.user.name }}{% else %}{{ alert.user.name }}{% endif %}", ["alert.user.name"]),
        ("{% if not alert.user %}-{% else %}{{ alert.user.name }}{% endif %}", []),
        ("{% if alert.user is none %}-{% elif alert.url %}{{ alert.user.name }}{{ alert.url }}{% endif %}", []),
        ("{{ alert.user.name if alert.user else '-' }} {{ alert.url if alert.url is defined else '-' }}", []),
        ("{{ alert.url if alert.url and alert.user else alert.url }}!", ["alert.url"]),
        ("{{ alert.user and alert.user.name == 'a' }}!", ["alert.user"]),
        ("{{ alert.case or 'none' }}", []),
        ("{{ alert.domain | defang }}", ["alert.domain"]),
        ("{{ [alert.source.ip] | length }}", ["alert.source.ip"]),
        ("{{ alert.raw.dns.query }}", ["alert.raw.dns.query"]),
        ("{{ joined.anything }} {{ steps.look.output.score }}", []),
        ("{{ (alert.observables | first).value }}", [""]),
        ("{% for o in alert.observables if o.value %}{{ o.value }}{% endfor %}", []),
        ("{{ alert.source.port + 1 }}!", ["alert.source.port"]),
        ("{{ 1 if alert.user }}!", [""]),
    ],
)
def test_a_guard_inside_the_template_counts(template: str, missing: list[str]) -> None:
    """`if`, `x if x else y`, `and`, `is defined`, `default`."""
    found = check_types(compile_template(template), SCOPE, present=())
    assert [".".join(one.path or ()) for one in found if one.code == MAY_BE_ABSENT] == missing


def test_a_guard_outside_is_handed_in() -> None:
    """What `when` says of a path holds for the whole step, and for all that leads to the path."""
    when = guarded(compile_condition("alert.user.name == 'a' and alert.raw.dns.query"))
    assert absences("{{ alert.user.name }} {{ alert.raw.dns.query }}", present=tuple(when)) == []
    assert absences("{{ alert.user }}!", present=tuple(when)) == []
    assert absences("{{ alert.user.mail }}!", present=tuple(when)) == ["alert.user.mail"]


@pytest.mark.parametrize(
    ("condition", "holds", "fails"),
    [
        ("alert.user", ["alert.user"], []),
        ("not alert.user", [], ["alert.user"]),
        ("alert.user is none or alert.url is none", [], ["alert.user", "alert.url"]),
        ("alert.user and (alert.url or alert.host)", ["alert.user"], []),
        ("alert.url == 'x' or alert.url == 'y'", ["alert.url"], []),
        ("alert.confidence + 1 > alert.source.port", ["alert.confidence", "alert.source.port"], []),
        ("alert.url != none", ["alert.url"], []),
        ("alert.url == none", [], ["alert.url"]),
        ("alert.url | default('') | length > 3", [], []),
        ("alert.url | default('')", ["alert.url"], []),
        ("alert.url is matching('x')", ["alert.url"], []),
        ("alert.user if alert.url else false", [], []),
        ("alert.user if alert.url", ["alert.user", "alert.url"], []),
    ],
)
def test_what_a_condition_says_of_paths(condition: str, holds: list[str], fails: list[str]) -> None:
    """A comparison with what is absent is false, so one that holds says that both sides are there."""
    for wanted, outcome in ((holds, True), (fails, False)):
        found = {".".join(path) for path in guarded(compile_condition(condition), holds=outcome)}
        assert found == {name.rsplit(".", place)[0] for name in wanted for place in range(name.count(".") + 1)}


def test_the_type_of_a_value_serves_as_the_scope_of_what_comes_after() -> None:
    """For `set`, `collect` and outputs: what was given there is checked where it is read."""
    tree = compile_tree({"ips": "{{ alert.observables | of_type('ip') }}", "n": 3, "text": "a {{ alert.title }}"})
    later = {"vars": type_of(tree, SCOPE)}
    assert (
        check_types(compile_condition("vars.ips[0] == 'x' and vars.n > 2 and vars.text is matching('x')"), later) == []
    )
    (problem,) = check_types(compile_condition("vars.ip"), later)
    assert "vars.ips" in problem.hint


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("alert.user.name", "an account"), ("alert.observables | map('type') | first", "one of ip, domain"),
        ("alert.attack + ['x']", "a list of text"), ("1 + 2.5", "a number"), ("alert.url ~ 1", "text"),
        ("now() - alert.time", "a duration"), ("{'a': alert.severity}.a", "a severity"), ("3 | round(1)", "a number"),
    ],
)  # fmt: skip
def test_the_type_of_an_expression(source: str, type_: str) -> None:
    """Absence aside."""
    assert said(infer(compile_value(source).node, SCOPE).there).startswith(type_)


def test_the_type_that_is_wanted_inside_a_parameter() -> None:
    """Lists and objects are followed to the template that stands in them."""
    assert said(wanted_at(tuple[IpAddress, ...], [0])) == "an IP address"
    assert said(wanted_at(FileRef, ["size"]).there) == "a whole number"
    assert wanted_at(FileRef, ["size"]).lacks
    assert wanted_at(dict[str, str], ["any"]) == TEXT


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("alert.title |\n  trucate(3)", 2, 3), ("1 +", 1, 4), ("a ** 2", 1, 1), ("a is nope", 1, 3), ("a.b()", 1, 4)],
)
def test_what_cannot_be_read_has_its_place_too(source: str, line: int, column: int) -> None:
    """A parser that knows only lines would say less."""
    with pytest.raises(ExpressionError) as raised:
        compile_condition(source)
    assert (raised.value.line, raised.value.column) == (line, column)

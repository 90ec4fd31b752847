"""Expressions over what an attacker sends: every evaluation ends soon, in a value or in one error that says why."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contract.values import AccountName, IpAddress, Severity
from orchestrator.errors import ExpressionError, LimitExceeded, ValueAbsent
from orchestrator.language.expressions import check_types, compile_condition, compile_template, compile_value, plain
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS
from tests.language.test_expressions import NAMES


def deep(levels: int) -> list[Any]:
    """A list in a list in a list."""
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


HOSTILE: dict[str, Any] = {
    **NAMES,
    "many": list(range(20_000)),
    "big": "a" * 200_000,
    "deep": deep(5_000),
    "huge": 10**5_000,
    "infinite": math.inf,
    "strange": math.nan,
    "half": "\ud800",
    "early": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    "naive": datetime(2026, 5, 6, 10),  # noqa: DTZ001 - what a source without a zone gives
    "address": IpAddress.parse("10.0.0.9"),
    "other": IpAddress.parse("9.0.0.1"),
    "account": AccountName.parse("Admin-1"),
    "severity": Severity.HIGH,
    "pattern": "(a+)+$",
    "dashes": "--5",
    "nothing": None,
    "empty": [],
    "mixed": [1, "a", None, [1], {"x": 1}, True, Severity.LOW],
}


def ends(source: str, names: dict[str, Any] = HOSTILE) -> Any:
    """The value, or the error; anything else that is raised fails the test."""
    try:
        return plain(compile_template("{{ " + source + " }}").render(names))
    except ExpressionError as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in many %}{% for b in many if false %}{% endfor %}{% endfor %}",
        "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}",
        "{% for a in many %}{% if " + " and ".join(["true"] * 50) + " %}{% endif %}{% endfor %}",
        "{% for a in many %}{{ many == many }}{% endfor %}",
        "{% for a in many %}{{ 'zz' in big }}{% endfor %}",
        "{% for a in many %}{{ big is matching('(a*)*b') }}{% endfor %}",
        "{% for a in many %}{{ many | sort | length }}{% endfor %}",
        "{% for a in many %}{{ big | lower | length }}{% endfor %}",
        "{{ [" + ",".join(["[" + ",".join(["big"] * 10) + "]"] * 60) + "] }}",
        "{{ many | join(big) }}", "{{ big | replace('a', big) }}", "{{ big ~ big }}",
    ],
    ids=["loop with a test", "empty loop", "long test", "equal lists", "a part of a text", "a pattern", "sorting",
         "letters", "one value many times", "separator", "replacement", "joined texts"],
)  # fmt: skip
def test_work_is_counted_wherever_it_is_done(template: str) -> None:
    """Turns, tests, comparisons, filters and letters all cost steps, so nothing is done for long behind the meter."""
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            compile_template(template).render(HOSTILE)


def test_a_list_without_doubles_is_found_in_one_pass() -> None:
    """`unique`, `intersect` and `difference` look by key: 20,000 items are no reason to give up."""
    assert len(compile_value("many | unique").value(HOSTILE)) == 20_000
    assert compile_value("many | difference(many)").value(HOSTILE) == []
    assert compile_value("(many | intersect([7, 8, 'x'])) == [7, 8]").value(HOSTILE)


@pytest.mark.parametrize(
    "source",
    [
        "dashes | int", "'\u0663' | int", "'-' | int", "huge > 1", "huge + 1", "huge | round", "huge | days",
        "huge ~ ''",
        "infinite | round", "infinite + 1", "strange < 1", "infinite | int", "half ~ 'x'", "half | to_json",
        "early | format_time", "early < now()", "naive < now()", "now() - naive", "now() + days(99999999)",
        "now() - days(999999)", "deep == deep", "deep | flatten", "deep | to_json", "deep", "mixed | sort",
        "mixed | unique", "mixed | join", "mixed in mixed", "[mixed] | unique", "alert[mixed]",
        "alert.raw[mixed]", "{mixed: 1}", "words[huge]", "words[infinite]", "words[true]", "big | first(1)",
        "words | first(-1)", "words | first('x')", "words | join(1)", "big | split(1)", "big | replace(1, 2)",
        "big | truncate('x')", "big | truncate(0)", "'%41%' | urldecode", "'=' | b64decode", "'x' | parse_time",
        "address < 'x'", "account > 1", "severity > 'x'", "severity > 1", "-severity", "+address", "alert | length",
        "[91, 0] | km_to([0, 0])", "[infinite, 0] | km_to([0, 0])", "words | km_to(words)",
        "alert.raw | json_path('x')",
        "address is in_network(pattern)", "address is in_network(words)", "address is in_network(nothing)",
        "1 // 0", "1 % 0", "1.0 / 0", "1e308 * 10", "9223372036854775807 + 1", "-9223372036854775807 - 2",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_error_and_never_an_exception_of_python(source: str) -> None:
    """Intake and workflows tell an author about an expression's error; anything else would stop them."""
    ends(source)
    try:
        condition = compile_condition(source)
    except ExpressionError:
        return  # literals that make no sense are told before anything runs
    condition.explain(HOSTILE)


def test_an_exception_that_nobody_thought_of_is_an_error_of_the_expression() -> None:
    """A value that no alert can hold, and that breaks whatever touches it."""

    class Broken(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            raise KeyError(key)

    with pytest.raises(ExpressionError, match="the values do not allow this"):
        compile_condition("thing.field == 1").test({"thing": Broken()})


@pytest.mark.parametrize("test", ["select", "reject", "selectattr", "rejectattr"])
def test_text_of_an_alert_is_never_a_pattern_a_name_or_a_form(test: str) -> None:
    """Not through the filters that apply a test either: what these take stands in the playbook."""
    field = "'type', " if test.endswith("attr") else ""
    for arguments in ("'matching', pattern", "'matching', alert.title", "pattern", "alert.title"):
        with pytest.raises(ExpressionError, match="literal"):
            compile_value(f"alert.observables | {test}({field}{arguments})")


@pytest.mark.parametrize(
    "source",
    [
        "big is matching(pattern)", "big | regex_find(pattern)", "now() | format_time(big)", "words | map(big)",
        "words | sort(big)", "words | table(words)", "words | json_path(big)", "words | of_type(big)",
        "words | selectattr(big)",
    ],
)  # fmt: skip
def test_what_must_stand_in_the_playbook_is_refused_before_anything_runs(source: str) -> None:
    """Patterns, names of fields and forms of times are literals."""
    with pytest.raises(ExpressionError, match="literal"):
        compile_value(source)


@pytest.mark.parametrize(
    "source",
    ["alert.title is matching('(')", "alert.title is matching(1)", "words | map(1)", "words | map('a..b')",
     "words | select('matching')", "words | select('nope')", "now() | format_time('%s')", "'x' is in_network('10/x')"],
)  # fmt: skip
def test_a_literal_that_cannot_work_is_told_before_anything_runs(source: str) -> None:
    """A pattern that does not parse, a test that does not exist, a form that only some machines know."""
    with pytest.raises(ExpressionError):
        compile_value(source)


@pytest.mark.parametrize(
    "absent",
    [
        "alert.source.ip is in_network(alert.raw.networks)", "words | intersect(alert.raw.gone)",
        "alert.raw.gone is matching('x')", "alert.title is startswith(alert.raw.gone)", "alert.raw.gone + 1 > 0",
        "alert.raw.gone in words", "'x' in alert.raw.gone", "-alert.raw.gone > 0", "(alert.raw.gone ~ 'x') == 'x'",
        "words | first(alert.raw.gone)", "alert.title | replace(alert.raw.gone, 'x')", "words[alert.raw.gone]",
        "[1, 2] | km_to(alert.raw.gone) > 1", "alert.raw.gone | days > 1", "alert.raw.gone.at.all[0].deep",
        "alert.raw.count.inside.of.a.number", "alert.raw.text[0]", "(empty | first) > 1",
    ],
)  # fmt: skip
def test_what_is_absent_in_one_part_of_a_condition_leaves_the_other_parts_alone(absent: str) -> None:
    """A critical alert is matched by its severity whatever else of it is missing."""
    assert compile_condition(f'alert.severity == "high" or {absent}').test(HOSTILE)
    assert compile_condition(f'({absent}) or alert.severity == "high"').test(HOSTILE)
    assert not compile_condition(f'({absent}) and alert.severity == "high"').test(HOSTILE)


def test_absence_inside_a_parameter_is_an_error_wherever_it_stands() -> None:
    """Nothing is sent with a hole in it."""
    for source in ("words | first(gone)", "[gone]", "{'a': gone}", "gone ~ 'x'", "gone == 1", "gone"):
        with pytest.raises(ValueAbsent):
            compile_template("{{ " + source.replace("gone", "alert.raw.gone") + " }}").render(HOSTILE)
    assert compile_template("{{ alert.user }}").render(HOSTILE) is None, "leaves an optional parameter out"


def test_typed_text_has_the_order_of_what_it_means() -> None:
    """10.0.0.9 comes after 9.0.0.1, whatever the alphabet says; an address and a word have no order."""
    assert compile_condition("address > other").test(HOSTILE)
    assert compile_condition("address > '9.255.255.255' and address < '10.0.0.10'").test(HOSTILE)
    assert compile_value("[address, other] | sort").value(HOSTILE) == [HOSTILE["other"], HOSTILE["address"]]
    with pytest.raises(ExpressionError, match="no order"):
        compile_condition("address > 'a word'").test(HOSTILE)


def test_a_thing_is_equal_in_any_spelling_wherever_it_is_looked_for() -> None:
    """In a list, among unique ones, as a key of `in`."""
    assert compile_condition("address in ['::ffff:10.0.0.9']").test(HOSTILE)
    assert len(compile_value("[address, '::ffff:10.0.0.9'] | unique").value(HOSTILE)) == 1
    assert compile_condition("'ADMIN' in account").test(HOSTILE)
    assert not compile_condition("1 in [true]").test(HOSTILE)


NAME = st.sampled_from(sorted(HOSTILE))
LITERAL = st.sampled_from(["1", "0", "-1", "2.5", "true", "none", "'x'", "'10.0.0.1'", "[]", "['a', 1]", "{'a': 1}"])
FILTER = st.sampled_from(sorted({*FILTERS, "default"}))
TEST = st.sampled_from(sorted(TESTS))
OPERATOR = st.sampled_from(["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "and", "or"])


def _larger(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(smaller, max_size=2).map(", ".join)
    return st.one_of(
        st.tuples(smaller, OPERATOR, smaller).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(smaller, FILTER, arguments).map(lambda parts: f"({parts[0]} | {parts[1]}({parts[2]}))"),
        st.tuples(smaller, TEST, arguments).map(lambda parts: f"({parts[0]} is {parts[1]}({parts[2]}))"),
        st.tuples(smaller, smaller).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.tuples(smaller, smaller, smaller).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.lists(smaller, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        smaller.map(lambda part: f"(not {part})"),
    )


EXPRESSION = st.recursive(st.one_of(NAME, LITERAL), _larger, max_leaves=8)


@settings(deadline=None)  # everything is counted and nothing is timed
@given(EXPRESSION)
def test_any_expression_over_any_values_ends_in_a_value_or_in_one_error(source: str) -> None:
    """Found by trying many: nothing but an expression's error is raised, checking it beforehand included."""
    try:
        condition = compile_condition(source)
    except ExpressionError:
        return
    check_types(condition, dict.fromkeys(HOSTILE, Any))
    first = condition.explain(HOSTILE)
    assert condition.explain(HOSTILE) == first, "the same expression over the same values"
    assert first.error is None or not first.holds
    assert ends(source) == ends(source)

"""Expressions: what authors may write, what it means, and what can never happen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.alerts.alert import Alert
from orchestrator.errors import ExpressionError, FindingLevel, LimitExceeded, ValueAbsent
from orchestrator.language.expressions import (
    check_types,
    compile_condition,
    compile_template,
    compile_tree,
    compile_value,
)
from orchestrator.language.expressions.limits import TEXT

NOW = datetime(2026, 5, 6, 10, tzinfo=UTC)
ALERT = Alert.model_validate(
    {
        "id": "1", "key": "t/1", "time": NOW, "severity": "high", "title": "SSH brute force",
        "attack": ["T1110"], "source": {"ip": "203.0.113.7", "port": 22}, "product": {"name": "Suricata"},
        "observables": [{"type": "ip", "value": "203.0.113.7"}, {"type": "domain", "value": "evil.example"}],
        "raw": {"count": 10, "text": "10", "items": "a key", "nested": {"list": [1, 2, 3]}, "template": "{{ 1 + 1 }}"},
    }
)  # fmt: skip
NAMES: dict[str, Any] = {
    "alert": ALERT,
    "now": NOW,
    "steps": {"look": {"status": "succeeded", "ok": True, "output": {"score": 97}}, "late": {"status": "skipped"}},
    "words": ["b", "a", "b"],
}


def holds(source: str) -> bool:
    return compile_condition(source).test(NAMES)


@pytest.mark.parametrize(
    "source",
    [
        'alert.severity >= "high"', 'alert.severity < "critical"', 'alert.severity == "HIGH"',
        'not (alert.severity == "low")', '"T1110" in alert.attack', "alert.source.ip",
        'alert.source.ip == "::ffff:203.0.113.7"', 'alert.source.ip is in_network("203.0.113.0/24")',
        'alert.source.ip is in_network(["10.0.0.0/8", "203.0.113.0/24"])', "not alert.user", "alert.user is none",
        "alert.user == none", "alert.raw.count == 10", "alert.raw.count > 9.5", 'alert.raw.text == "10"',
        'alert.raw.items == "a key"', "alert.raw.nested.list[0] == 1", "steps.look.output.score >= 90",
        'alert.title is matching("^SSH")', "alert.observables | of_type('domain') == ['evil.example']",
        "(alert.observables | selectattr('type', 'equalto', 'ip') | length) == 1", "words | unique == ['b', 'a']",
        "alert.time > now() - (1 | hours)", "words | sort | first == 'a'", "2 + 2 * 3 == 8",
        "7 // 2 == 3 and 7 % 2 == 1",
        "(5 if alert.user else 6) == 6", "words[-1] == 'b'", "'x' ~ 1 == 'x1'",
    ],
)  # fmt: skip
def test_a_condition_means_what_it_says(source: str) -> None:
    """Severities by rank, addresses by meaning, fields by item, lists as lists."""
    assert holds(source)


@pytest.mark.parametrize(
    "source",
    [
        'alert.user.name == "alice"', 'alert.user.name != "alice"', "alert.raw.nothing.at.all > 3", "alert.raw.missing",
        "alert.raw.missing in words", "steps.late.output.score > 1", "steps.never.ok", "alert.raw.text == 10",
        "alert.observables | selectattr('type', 'equalto', 'mail')", "words | select('equalto', 'z')",
        "alert.raw.missing + 1 > 0", "alert.raw.missing | length", 'alert.domain is matching("x")',
    ],
)  # fmt: skip
def test_what_is_absent_is_false_and_so_is_comparing_it(source: str) -> None:
    """No guard is needed in a condition; an empty list is false, since filters give lists."""
    assert not holds(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('alert.severity > "hgh"', "not a severity"), ("alert.raw.text > 9", "no conversions"),
        ("alert.sorce.ip", "did you mean source?"), ("aler.title", "did you mean alert?"),
        ("'a' + 1", "cannot be added"), ("'a' * 3", "takes numbers"), ("1 / 0", "division by zero"),
        ("alert.title.lower", "has no field"), ("words.append", "places, not fields"), ("true + 1", "cannot be added"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_with_its_reason(source: str, says: str) -> None:
    """An error is told, not guessed around; explained, it counts as false."""
    with pytest.raises(ExpressionError, match=says.replace("?", "\\?")):
        holds(source)
    reason = compile_condition(source).explain(NAMES)
    assert not reason.holds
    assert reason.error is not None


ESCAPES = [
    "alert.__class__", "''.__class__.__mro__[1].__subclasses__()", "alert['__class__']", "words.__len__()",
    "alert.model_dump()", "''.join(words)", "'{0.__class__}'.format(alert)", "'%s' % alert", "lipsum.__globals__",
    "cycler.__init__.__globals__.os", "self._TemplateReference__context", "range(1000000000)", "dict(a=1)",
    "namespace(x=1)", "joiner()", "words | attr('__class__')", "words | map('upper')", "'a' | format(1)",
    "words | tojson | safe", "alert | pprint", "words | groupby('x')", "words | batch(2)", "words | random",
    "2 ** 999999999", "words[0:1]", "x := 1", "lambda: 1", "import os", "caller()", "config", "request",
    "words | map(attribute='__class__')", "alert.source.__init__", "words | select('callable')", "_", "__builtins__",
]  # fmt: skip


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_of_python_shows_through(source: str) -> None:
    """Known ways out of template sandboxes end in an error, or in nothing at all."""
    try:
        value = compile_condition(source).test(NAMES)
    except ExpressionError:
        return
    assert value is False


BOMBS = [
    "[" * 500 + "]" * 500, "(" * 300 + "1" + ")" * 300, "1" + "+1" * 5000, "not " * 2000 + "true",
    "99999999999999999999999", "9223372036854775807 * 2", "x" * 20_000, "words" + "[0]" * 3000,
    "'" + "a" * 15_000 + "' ~ '" + "b" * 900 + "'",
]  # fmt: skip


@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:12])
def test_a_bomb_is_refused_or_ends_within_limits(source: str) -> None:
    """Depth, parts, numbers and length are bounded before anything runs."""
    try:
        compile_value(source).value(NAMES)
    except ExpressionError:
        return


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in words %}{% for b in words %}" * 12 + "x" + "{% endfor %}{% endfor %}" * 12,
        "{% for a in many %}{% for b in many %}{% for c in many %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
        "{{ (big ~ big ~ big ~ big ~ big) | length }}",
        "{% for a in many %}{{ many | unique | length }}{% endfor %}",
        "{{ big | replace('a', big) | length }}",
    ],
    ids=["nested loops", "loop over loop", "doubling", "a filter in a loop", "replace"],
)
def test_work_is_bounded_whatever_the_alert_holds(template: str) -> None:
    """The same bomb ends at the same place every time, by counting and not by the clock."""
    names = {**NAMES, "many": list(range(2000)), "big": "a" * (TEXT // 2)}
    for _ in range(2):
        with pytest.raises((LimitExceeded, ExpressionError)):
            compile_template(template).render(names)


def test_a_string_that_is_one_expression_keeps_its_type() -> None:
    """Blanks around it aside; anything else is text."""
    assert compile_template(" {{ alert.raw.count }} ").render(NAMES) == 10
    assert compile_template("{{ alert.attack }}").render(NAMES) == ("T1110",)
    assert compile_template("n={{ alert.raw.count }}").render(NAMES) == "n=10"
    assert compile_template("plain").render(NAMES) == "plain"


def test_text_of_an_alert_is_never_read_as_a_template() -> None:
    """What comes out is not parsed again."""
    assert compile_template("{{ alert.raw.template }}").render(NAMES) == "{{ 1 + 1 }}"
    assert compile_template("a {{ alert.raw.template }}").render(NAMES) == "a {{ 1 + 1 }}"


@given(st.text(max_size=200))
def test_any_text_passes_through_a_template_unchanged(text: str) -> None:
    """Whatever an alert holds arrives as that, letter by letter."""
    assert compile_template("<{{ words[0] }}>").render({"words": [text]}) == f"<{text}>"


def test_absence_in_a_parameter_is_an_error_unless_it_has_a_default() -> None:
    """Nothing is sent with a hole in it."""
    with pytest.raises(ValueAbsent, match=r"alert\.user\.name"):
        compile_template("{{ alert.user.name }}").render(NAMES)
    with pytest.raises(ValueAbsent):
        compile_template("user {{ alert.user.name }}").render(NAMES)
    assert compile_template("{{ alert.user.name | default('-') }}").render(NAMES) == "-"


def test_templates_have_loops_and_choices() -> None:
    """For and if, with the loop's place."""
    source = (
        "{% for o in alert.observables %}{{ loop.index }} {{ o.type }}{% if not loop.last %}, {% endif %}{% endfor %}"
    )
    assert compile_template(source).render(NAMES) == "1 ip, 2 domain"
    assert compile_template("{% if alert.user %}u{% elif alert.host %}h{% else %}-{% endif %}").render(NAMES) == "-"


def test_parameters_are_rendered_wherever_they_stand() -> None:
    """A tree of mappings and lists; a mistake names its place."""
    tree = compile_tree({"a": ["{{ alert.source.ip }}", {"b": "x{{ alert.raw.count }}"}], "n": 3})
    assert tree.render(NAMES) == {"a": ["203.0.113.7", {"b": "x10"}], "n": 3}
    with pytest.raises(ValueAbsent, match=r"a\.0"):
        compile_tree({"a": ["{{ alert.user.name }}"]}).render(NAMES)


def test_the_paths_that_are_named_are_known_before_it_runs() -> None:
    """So that a run carries only what its playbook reads."""
    source = "{% for x in alert.raw.list %}{{ x.name }}{% endfor %}{{ alert.raw['a b'].c }}{{ steps.look.output[0] }}"
    assert compile_template(source).paths == {
        ("alert", "raw", "list"), ("alert", "raw", "a b", "c"), ("steps", "look", "output"),
    }  # fmt: skip


def test_an_explanation_has_the_values() -> None:
    """What the audit records: which values made it so."""
    reason = compile_condition('alert.severity >= "high" and alert.user').explain(NAMES)
    assert (reason.holds, reason.values) == (False, {"alert.severity": "high", "alert.user": None})


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("alert.sorce.ip", "no field 'sorce'", "alert.source"),
        ('alert.severity == "hgh"', "can never be 'hgh'", "high"),
        ('alert.source.port == "80"', "it is a whole number", "no conversions"),
        ('alert.status == "opened"', "one of open, updated, resolved", "open"),
        ("alrt.title == 'x'", "no name 'alrt'", "alert"),
        ('alert.source.ip == "1.2.3"', "can never be", ""),
    ],
)
def test_mistakes_are_found_without_running(source: str, message: str, hint: str) -> None:
    """Fields, words of a choice and types are checked against the models."""
    (problem,) = check_types(compile_condition(source), {"alert": Alert})
    assert message in problem.message
    assert hint in problem.hint
    assert problem.level is FindingLevel.ERROR


def test_a_text_used_bare_as_a_condition_is_a_warning() -> None:
    """Probably a comparison is missing; an optional address asks whether it is there, which is fine."""
    (problem,) = check_types(compile_condition("alert.title"), {"alert": Alert})
    assert problem.level is FindingLevel.WARNING
    assert check_types(compile_condition("alert.source.ip and alert.raw.anything.at.all"), {"alert": Alert}) == []

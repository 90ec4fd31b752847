"""Filters and tests: what each gives, said by example."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.contract.values import IpAddress, Severity
from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.calendars import Calendar
from orchestrator.language.expressions import compile_condition, compile_value, plain
from tests.language.test_expressions import NAMES, NOW


class Look(BaseModel):
    """What an action gave."""

    score: int | None = None
    name: str = "x"


WORLD: dict[str, Any] = {
    **NAMES,
    "office": Calendar.model_validate({"tz": "Europe/Berlin", "hours": {"wednesday": [["08:00", "17:00"]]}}),
    "looks": [Look(score=3), Look(), Look(score=1, name="y")],
    "addresses": [IpAddress("10.0.0.9"), IpAddress("9.0.0.1")],
    "severities": [Severity.LOW, Severity.CRITICAL, Severity.MEDIUM],
    "mail": "From bad@Evil.example, see hxxps://evil[.]example/a?b=1. Hash "
    + "A" * 32
    + " on 10.0.0[.]1, CVE-2024-12345",
    "headers": {"to": "x", "cc": None, "from": "y"},
}


@pytest.mark.parametrize(
    ("source", "gives"),
    [
        ("words | first", "b"), ("words | first(2)", ["b", "a"]), ("words | last(2)", ["a", "b"]),
        ("words | last", "b"),
        ("words | last(0)", []), ("words | union(['c', 'a'])", ["b", "a", "c"]), ("[3, 1, 2] | min", 1),
        ("severities | max | string", "critical"), ("addresses | min", "9.0.0.1"), ("[1, 2.5] | sum", 3.5),
        ("[] | sum", 0), ("[1, 2] | average", 1.5), ("looks | map('score') | sum", 4),
        ("looks | map('score') | max", 3),
        ("words | counts", [{"value": "b", "count": 2}, {"value": "a", "count": 1}]),
        ("looks | counts('name') | map('count')", [2, 1]), ("looks | counts('score') | length", 2),
        ("looks | sort('score') | map('score')", [1, 3]), ("(looks | sort('score') | last).score is none", True),
        ("looks | selectattr('score', 'ge', 2) | length", 1),
        ("looks | selectattr('name', 'in', ['y', 'z']) | length", 1),
        ("looks | rejectattr('score', 'defined') | length", 1), ("words | select('lt', 'b')", ["a"]),
        ("headers | keys", ["to", "cc", "from"]), ("headers | values", ["x", "y"]),
        ("headers | entries | map('name')", ["to", "from"]), ("alert.source | entries | first",
                                                              {"name": "ip", "value": "203.0.113.7"}),
        ("'[1, {\"a\": 2}]' | from_json", [1, {"a": 2}]), ("'a b/c' | urlencode", "a%20b%2Fc"),
        ("'hi' | b64encode | b64decode", "hi"),
        ("'x' | digest('md5')", "9dd4e461268c8034f5c8564e155c67a6"), ("'a1b22' | regex_replace('[0-9]+', '#')", "a#b#"),
        ("'3.5' | float", 3.5), ("'HIGH' | severity | string", "high"), ("2.5 | round", 2), ("2.345 | round(1)", 2.3),
        ("mail | extract_urls", ["https://evil.example/a?b=1"]), ("mail | extract_ips", ["10.0.0.1"]),
        ("mail | extract_mails", ["bad@evil.example"]), ("mail | extract_hashes", ["a" * 32]),
        ("mail | extract_cves", ["CVE-2024-12345"]), ("mail | extract_domains", ["evil.example"]),
        ("('http://U@a.example:8080/p?q=1' | url_parts).host", "a.example"),
        ("('http://a.example:8080/p?q=1' | url_parts).port", 8080),
        ("'mail.shop.example.co.uk' | registered_domain", "example.co.uk"),
        ("'co.uk' | registered_domain | default('-')", "-"), ("'10.0.0.1' | registered_domain | default('-')", "-"),
        ("'example' | hash_kind", "unknown"), ("('a' * 1 if false else 'a') | hash_kind", "unknown"),
        ("now() | weekday", "wednesday"), ("now() | format_time('%H:%M', 'Asia/Tokyo')", "19:00"),
        ("now() | to_epoch", 1778061600), ("1778061600 | from_epoch | format_time", "2026-05-06 10:00:00 UTC"),
        ("'2026-05-06T12:00:00+02:00' | parse_time == now()", True),
    ],
)  # fmt: skip
def test_a_filter_gives(source: str, gives: Any) -> None:
    """Each line is an example of the manual."""
    assert plain(compile_value(source).value(WORLD)) == gives


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("now() is within(office)", True), ("(now() - days(1)) is within(office)", False),
        ("(now() + (8 | hours)) is within(office)", False),
        ("'www.example.com' is under('Example.com')", True), ("'example.com' is under('example.com')", True),
        ("'evilexample.com' is under('example.com')", False), ("'no domain!' is under('example.com')", False),
        ("alert.source.ip is public", False), ("'10.1.2.3' is private", True), ("'8.8.8.8' is public", True),
        ("'a word' is private or 'a word' is public", False), ("'a word' is in_network('0.0.0.0/0')", False),
        ("'::1' is ipv6", True), ("'1.2.3.4' is ip", True), ("'1.2.3' is ip", False), ("'a.example' is domain", True),
        ("'a@b.example' is mail", True), ("'http://x/' is url", True), ("'zz' is hash", False), ("2 is gt(1)", True),
        ("alert.severity is ge('medium')", True), ("'a' is in(['a', 'b'])", True), ("'a' is in('abc')", True),
    ],
)  # fmt: skip
def test_a_test_asks(source: str, holds: bool) -> None:
    """A text that is no address is neither private nor public, and in no network."""
    assert compile_condition(source).test(WORLD) is holds


@pytest.mark.parametrize(
    "source",
    ["words | first(-1)", "'x' | truncate(0)", "1 | round(99)", "now() | weekday('Mars/Base')", "'x' | digest('sha0')",
     "'x' is under('not a domain')", "now() | format_time('%s')", "'x' | regex_replace('(', '')", "words | sort(1)"],
)  # fmt: skip
def test_a_literal_that_a_filter_cannot_take_is_told_before_anything_runs(source: str) -> None:
    """Whatever stands in the playbook itself is looked at when it is read."""
    with pytest.raises(ExpressionError):
        compile_value(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("'x' | from_json", "not JSON"), ("'x' | float", "not a number"), ("'x' | severity", "not a severity"),
        ("'http://[' | url_parts", "not a web address"), ("1e300 | from_epoch", "outside the years"),
    ],
)  # fmt: skip
def test_text_that_is_not_what_it_should_be_is_an_error_of_the_data(source: str, says: str) -> None:
    """No checker can know it, so it is told apart from a wrong type."""
    with pytest.raises(ExpressionError, match=says) as raised:
        compile_value(source).value(WORLD)
    assert not isinstance(raised.value, WrongType)


def test_an_hour_is_that_of_the_wall_clock_in_every_part_of_the_year() -> None:
    """08:30 in Berlin is inside, in summer and in winter."""
    for moment in (datetime(2026, 5, 6, 6, 30, tzinfo=UTC), datetime(2026, 1, 7, 7, 30, tzinfo=UTC)):
        assert compile_condition("now() is within(office)").test({**WORLD, "now": moment})
    assert NOW.weekday() == 2

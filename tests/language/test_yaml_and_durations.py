"""The files' form: YAML 1.2 with places, and durations with units."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.errors import FilesRefused
from orchestrator.language.durations import format_duration, parse_duration
from orchestrator.language.yaml_reader import read_yaml


def test_words_are_what_they_look_like() -> None:
    """`on`, `no` and `010` mean what an author thinks; every value knows its line and column."""
    document = read_yaml("on: no\nnumber: 010\nyes: [true, null, 0x1f, 1.5]\n", "x.yaml")
    assert document.data == {"on": "no", "number": 10, "yes": [True, None, 31, 1.5]}
    assert str(document.place(("yes", 2))) == "x.yaml:3:19"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("y", "y"), ("NO", "NO"), ("True", True), ("false", False),
        ("~", None), ("Null", None), ("", None), ('"~"', "~"), ("010", 10), ("0o17", 15), ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"), ("+5", 5), ("1e3", 1000.0), ("1.10", 1.1), (".inf", ".inf"), (".NaN", ".NaN"),
        ("2026-05-06", "2026-05-06"), ("2026-05-06T10:00:00Z", "2026-05-06T10:00:00Z"), ("12:30:00", "12:30:00"),
        ("22:22", "22:22"), ("203.0.113.7", "203.0.113.7"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_a_plain_word_is_of_one_type_only(text: str, value: object) -> None:
    """Countries, times, addresses and dates are text; a number is one by YAML 1.2, and not by what it looks like."""
    read = read_yaml(f"a: {text}\n", "x.yaml").data["a"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "stands here twice"),
        ("a: &x 1\nb: *x\n", "anchors"),
        ("a: !!python/object:os.system x\n", "the tag"),
        ('when: "x" in alert.attack\n', "ends where that closes"),
        ("with: {{ alert.title }}\n", "quotes around it"),
        ("a:\n\t- b\n", "not tabs"),
        ("title: a: b\n", "needs quotes around it"),
        ("[" * 100 + "]" * 100, "nested"),
    ],
)
def test_what_authors_trip_over_is_explained(text: str, says: str) -> None:
    """One finding with the place and the likely fix."""
    with pytest.raises(FilesRefused) as refused:
        read_yaml(text, "x.yaml")
    assert says in str(refused.value)
    assert refused.value.findings[0].place.file == "x.yaml"


def test_what_is_too_much_is_told_once() -> None:
    """Not at each of the values that are too many."""
    with pytest.raises(FilesRefused) as refused:
        read_yaml("[" * 50 + "1, 2, 3" + "]" * 50, "x.yaml")
    assert [finding.code for finding in refused.value.findings] == ["too_deep"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("7d", 604_800)])
def test_durations_have_units(text: str, seconds: int) -> None:
    """Written shortest, read back the same."""
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", [30, "30", "", "1x", "-5m", "0s", "9999999d", True, None, "5 m"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A number without a unit could be anything."""
    with pytest.raises(ValueError, match=r"unit|duration|between"):
        parse_duration(text)

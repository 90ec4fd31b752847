"""From bytes to alerts: what is an alert, what is none, and what can never be one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.decode import Decoder
from orchestrator.alerts.keys import alert_key, safe_name
from orchestrator.alerts.project import LARGEST, project
from orchestrator.alerts.sources import NotAnAlert, all_sources
from orchestrator.alerts.strict_json import REASONS
from orchestrator.errors import DeadLetter, SettingsError
from orchestrator.settings import IntakeSettings
from tests.shared_data import shared

DECODER = Decoder(IntakeSettings())
OURS: dict[str, Any] = {
    "id": "a-1", "time": "2026-05-06T10:00:00Z", "severity": "high", "title": "Brute force",
    "product": {"name": "Sensor"}, "source": {"ip": "::ffff:203.0.113.7"}, "attack": ["T1110"],
}  # fmt: skip


def decode(value: bytes | None, offset: int = 0, **settings: Any) -> Alert | NotAnAlert:
    decoder = Decoder(IntakeSettings(**settings)) if settings else DECODER
    return decoder.decode(value, "topic", 0, offset)


def encoded(**changes: Any) -> bytes:
    return json.dumps(OURS | changes).encode()


def test_our_own_format_has_the_alerts_own_fields() -> None:
    """Normalised on the way in: one spelling for one address."""
    alert = decode(encoded())
    assert isinstance(alert, Alert)
    assert (alert.source.ip, str(alert.severity), alert.attack) == ("203.0.113.7", "high", ("T1110",))
    assert alert.raw["title"] == "Brute force"


def test_the_key_is_the_source_and_what_makes_an_event() -> None:
    """The same id again is the same event; the same alert resolved is another."""
    first, again, resolved = decode(encoded()), decode(encoded(), 5), decode(encoded(status="resolved"))
    assert isinstance(first, Alert)
    assert isinstance(again, Alert)
    assert isinstance(resolved, Alert)
    assert first.key == again.key
    assert first.key != resolved.key
    assert first.key.startswith("tocsin/a-1-")


DEEP = b'{"a":' * 100 + b"1" + b"}" * 100
POISON = [
    (None, "tombstone"), (b"", "empty"), (b"  ", "empty"), (b"[]", "not_an_object"), (b"1", "not_an_object"),
    (b"{", "not_json"), (b"\xff\xfe{}", "not_utf8"), (b'\xef\xbb\xbf{"a":1}', "not_json"), (b'{"a": NaN}', "not_json"),
    (b'{"a": Infinity}', "not_json"), (b'{"a":1,"a":2}', "duplicate_key"), (b'{"x":{"k":1, "k" :1}}', "duplicate_key"),
    (b'{"a":"\\ud800"}', "surrogate"), (b'{"a":"\\udc00x"}', "surrogate"), (b'{"a":"\0"}', "nul"),
    (encoded(title="a\0b"), "nul"), (DEEP, "too_deep"), (b"[" * 5000 + b"]" * 5000, "too_deep"),
    (json.dumps({f"k{n}": n for n in range(10_000)}).encode(), "too_many_keys"),
    (b'{"hello": "world"}', "unknown_format"),
    (encoded(severity="hgh"), "invalid_alert"), (encoded(time="yesterday"), "invalid_alert"),
    (encoded(sorce={}), "invalid_alert"), (encoded(raw={}), "invalid_alert"), (encoded(id=""), "invalid_alert"),
    (encoded(source={"ip": "999.1.1.1"}), "invalid_alert"), (encoded(attack=["Txx"]), "invalid_alert"),
    (encoded(title="x" * 5_000_000), "too_large"), (b'{"event_type":"alert","timestamp":"x"}', "invalid_alert"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason"), POISON, ids=[f"{reason}-{n}" for n, (_, reason) in enumerate(POISON)])
def test_what_can_never_be_an_alert_says_why(value: bytes | None, reason: str) -> None:
    """One reason of a closed list, and words that carry nothing of the record but names."""
    with pytest.raises(DeadLetter) as dead:
        decode(value)
    assert dead.value.reason == reason
    assert reason in REASONS


def test_quotes_and_colons_in_text_are_no_duplicate_keys() -> None:
    """The quick check errs on the side of looking closely."""
    assert isinstance(decode(encoded(title='say "x": and "x": again', description='"id": ')), Alert)


def test_a_misspelt_field_is_told_with_the_right_one() -> None:
    """The sender finds the mistake in the dead letter."""
    with pytest.raises(DeadLetter, match=r"did you mean source\?"):
        decode(encoded(sorce={"ip": "203.0.113.7"}))


def test_a_topic_may_be_bound_to_a_source() -> None:
    """Then content does not decide; a source that nobody knows is refused when the settings are read."""
    with pytest.raises(DeadLetter):
        Decoder(IntakeSettings(sources={"topic": "suricata"})).decode(encoded(event_type="alert"), "topic", 0, 0)
    with pytest.raises(SettingsError, match=r"did you mean suricata\?"):
        Decoder(IntakeSettings(sources={"topic": "surricata"}))


def test_every_source_has_a_name_and_a_docstring() -> None:
    """A new format is one new file, and is found."""
    assert {"tocsin", "suricata"} <= set(all_sources())
    for name, source in all_sources().items():
        assert source.name == name
        assert type(source).__doc__


def test_every_alert_of_a_large_collection_is_decoded_with_a_stable_id() -> None:
    """Real Suricata records: alerts become alerts, other records are none, and their own checks hold afterwards."""
    cases = [json.loads(line) for line in shared("suricata_eve.jsonl").read_text().splitlines()]
    assert len(cases) > 200
    offset, wrong = 0, []
    for case in cases:
        seen: list[dict[str, Any]] = []
        for kind, expected in (("alerts", Alert), ("other", NotAnAlert)):
            for eve in case[kind]:
                raw, offset = json.dumps(eve).encode(), offset + 1
                once, twice = decode(raw, offset), decode(raw, offset)
                assert isinstance(once, expected), (case["case"], once)
                if isinstance(once, Alert) and isinstance(twice, Alert):
                    assert (once.id, once.key) == (twice.id, twice.key)
                    seen.append(once.raw)
                else:
                    seen.append(eve)
        wrong += [
            (case["case"], check) for check in case["checks"] if not holds(check, seen, complete=case["complete"])
        ]
    assert wrong == []


def holds(check: dict[str, Any], records: list[dict[str, Any]], *, complete: bool) -> bool:
    """A check of the collection: so many records match these fields. Of other records only some are kept."""
    match = check["match"]
    about_alerts = match.get("event_type") == "alert" or any(name.startswith("alert.") for name in match)
    if not (about_alerts and complete):
        return True
    return sum(all(at(record, name) == value for name, value in match.items()) for record in records) == check["count"]


def at(record: Any, path: str) -> Any:
    """A field by its dotted path; a place in a list is [n]."""
    for name in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(record, list) and name.isdigit() and int(name) < len(record):
            record = record[int(name)]
        elif isinstance(record, dict):
            record = record.get(name)
        else:
            return None
    return record


def test_names_made_of_outside_text_are_harmless_and_distinct() -> None:
    """A stem of 80 characters and a hash: nothing that a path, a shell or a log could mind."""
    hostile = ["../../etc/passwd", "a b\n\tc", "x" * 500, "x" * 501, "\u202eevil", "", "%2e%2e", "a/b", "a.b", "ä"]
    names = [safe_name(text) for text in hostile]
    assert len(set(names)) == len(hostile)
    assert all(
        len(name) <= 97 and set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        for name in names
    )
    assert alert_key("s", "a", "b") != alert_key("s", "ab")


def test_a_run_carries_only_what_its_playbook_reads() -> None:
    """The rest of the original stays in the records; too much of it is a dead letter."""
    alert = decode(encoded())
    assert isinstance(alert, Alert)
    big = alert.model_copy(update={"raw": {"a": {"b": 1, "c": 2}, "payload": "x" * LARGEST}})
    assert project(big, frozenset({("a", "b")}))["raw"] == {"a": {"b": 1}}
    assert project(big, frozenset())["raw"] == {}
    with pytest.raises(DeadLetter) as dead:
        project(big, frozenset({("payload",)}))
    assert dead.value.reason == "too_large_for_run"

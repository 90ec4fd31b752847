"""Settings: one typed model, the only reader of the environment, and clear about every mistake."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from orchestrator.errors import SettingsError
from orchestrator.settings import KafkaSettings, Settings, TemporalSettings, load_settings
from tests.conftest import ROOT


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`TOCSIN_SECTION__NAME` lies over `tocsin.yaml`; what neither names has its default."""
    file = tmp_path / "tocsin.yaml"
    file.write_text("kafka: {bootstrap: 'file:1'}\nintake: {batch: 7}\n")
    settings = load_settings({"TOCSIN_KAFKA__BOOTSTRAP": "env:2", "TOCSIN_SETTINGS": str(file)})
    assert (settings.kafka.bootstrap, settings.intake.batch, settings.mode) == ("env:2", 7, "live")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"TOCSIN_KAFKA__BOOTSRAP": "x"}, "did you mean TOCSIN_KAFKA__BOOTSTRAP"),
        ({"TOCSIN_KAFFKA": "x"}, "no such setting"),
        ({"TOCSIN_INTAKE__BATCH": "many"}, "^TOCSIN_INTAKE__BATCH: "),
        ({"TOCSIN_LOCAL__KAFKA_PORT": "99999"}, "^TOCSIN_LOCAL__KAFKA_PORT: .*65535"),
        ({"TOCSIN_ROUTES": "{a: [b"}, "^TOCSIN_ROUTES: begins a list or a mapping and is none"),
        ({"TOCSIN_SETTINGS": "/nowhere/x.yaml"}, "cannot be read"),
    ],
)
def test_an_unknown_or_wrong_setting_is_refused_with_the_right_one(environment: dict[str, str], says: str) -> None:
    """Nothing starts on a misspelling."""
    with pytest.raises(SettingsError, match=says):
        load_settings(environment)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("kafka: {security_protocol: SASL_SSL}", "SASL_SSL also needs sasl_mechanism, username, password"),
        ("kafka: {username: tocsin}", "username is set, so security_protocol has to be SASL_SSL or SASL_PLAINTEXT"),
        ("kafka: {ca_file: ca.pem}", "ca_file is set, so security_protocol has to be SSL or SASL_SSL"),
        ("kafka: {security_protocol: SSL, key_file: k}", "certificate_file and key_file go together"),
        ("temporal: {certificate_file: c}", "certificate_file and key_file go together"),
        ("temporal: {token: a, token_file: b}", "token and token_file are both set"),
    ],
)
def test_settings_that_need_or_exclude_one_another_say_so(section: str, says: str, tmp_path: Path) -> None:
    """Before anything is connected."""
    file = tmp_path / "s.yaml"
    file.write_text(section)
    with pytest.raises(SettingsError, match=says):
        load_settings({}, file)


def test_unknown_names_in_the_file_are_refused_all_at_once(tmp_path: Path) -> None:
    """With the nearest right word for each."""
    file = tmp_path / "s.yaml"
    file.write_text("kafka: {bootsrap: a}\nlocall: {}\n")
    with pytest.raises(SettingsError) as refused:
        load_settings({}, file)
    assert "did you mean bootstrap?" in str(refused.value)
    assert "did you mean local?" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"kafka: {}\ntemporal: [hunter2", r"s\.yaml:2: not YAML: "),
        (b"kafka: {bootstrap: '\xff'}", r"s\.yaml: not UTF-8 at byte 20"),
        (b"kafka: {password: {file: secret}}", r"s\.yaml: names the file secret: not UTF-8 at byte 7"),
        (b"kafka: {password: {env: [NAME]}}", r"s\.yaml: names the environment variable \['NAME'\], which is not set"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(content: bytes, says: str, tmp_path: Path) -> None:
    """And without what stands there, which may be a secret."""
    (tmp_path / "secret").write_bytes(b"hunter2\xff")
    (tmp_path / "s.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match=says) as refused:
        load_settings({}, tmp_path / "s.yaml")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("password", ["[hunter2", "{hunter2}", "- hunter2"])
def test_a_password_in_the_environment_is_that_text(password: str) -> None:
    """However it begins; lists and mappings are written as in the file."""
    settings = load_settings(
        {"TOCSIN_TEMPORAL__TOKEN": password, "TOCSIN_INTAKE__EXTRA_TOPICS": "[a, b]", "TOCSIN_ROUTES": "{x.y: [one]}"}
    )
    assert settings.temporal.token is not None
    assert settings.temporal.token.get_secret_value() == password
    assert (settings.intake.extra_topics, settings.routes) == (("a", "b"), {"x.y": ("one",)})


def test_nothing_lies_over_a_section_that_is_none(tmp_path: Path) -> None:
    """A mistake in the file is told where the environment meets it."""
    file = tmp_path / "s.yaml"
    file.write_text("kafka: [1]\n")
    with pytest.raises(SettingsError, match="TOCSIN_KAFKA__BOOTSTRAP: kafka is no mapping"):
        load_settings({"TOCSIN_KAFKA__BOOTSTRAP": "b"}, file)


def test_secrets_come_from_elsewhere_and_print_as_stars(tmp_path: Path) -> None:
    """`{env: NAME}` and `{file: PATH}` stand for them; no text or error shows them."""
    (tmp_path / "pw").write_text("from-file\n")
    file = tmp_path / "s.yaml"
    file.write_text("database: {url: {env: DB}}\nkafka: {password: {file: pw}, security_protocol: WRONG}\n")
    with pytest.raises(SettingsError) as refused:
        load_settings({"DB": "postgresql://u:hunter2@h/d"}, file)
    assert "hunter2" not in str(refused.value)
    kafka = "security_protocol: SASL_SSL, sasl_mechanism: PLAIN, username: u, password: {file: pw}"
    file.write_text(f"database: {{url: {{env: DB}}}}\nkafka: {{{kafka}}}\n")
    settings = load_settings({"DB": "postgresql://u:hunter2@h/d"}, file)
    assert "hunter2" not in repr(settings)
    assert "***" in repr(settings)
    assert settings.kafka.client_options("b")["sasl.password"] == "from-file"


def test_only_the_settings_read_the_environment() -> None:
    """`os.environ` and `os.getenv` stand in one module."""
    readers = set()
    for path in [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "integrations").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                readers.add(path.relative_to(ROOT).as_posix())
    assert readers == {"orchestrator/settings.py"}


def test_the_defaults_are_enough_for_one_machine() -> None:
    """No file and no environment: the local stack is used."""
    settings = Settings()
    assert (settings.kafka.bootstrap, settings.temporal.address, settings.database.url) == (None, None, None)


def test_the_page_on_servers_of_ones_own_holds_settings_as_they_are(tmp_path: Path) -> None:
    """The settings that it shows are read, and it names every one of these sections that has to do with security."""
    page = (ROOT / "docs" / "own-servers.md").read_text()
    (tmp_path / "secrets").mkdir()
    for name in ("kafka", "temporal", "database"):
        (tmp_path / "secrets" / name).write_text("hunter2")
    (tmp_path / "tocsin.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    settings = load_settings({}, tmp_path / "tocsin.yaml")
    assert settings.kafka.client_options("b")["sasl.password"] == "hunter2"
    sections = (KafkaSettings, TemporalSettings)
    names = {name for section in sections for name in section.model_fields} - {"topics", "task_queue", "tls"}
    assert {name for name in names if f"{name}:" not in page} == {"token"}  # it is named beside `token_file`

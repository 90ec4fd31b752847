"""Every knob of Tocsin in one typed model, and the only reader of the environment.

Settings come from a YAML file (`tocsin.yaml`, or the file that `TOCSIN_SETTINGS` names) and from the environment, which
wins: `TOCSIN_KAFKA__BOOTSTRAP` sets `kafka.bootstrap`. An unknown name in either is refused with the nearest right one.
Anywhere in the file `{env: NAME}` or `{file: PATH}` stands for text that is kept elsewhere, a secret for instance.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.contract.values import Secret
from orchestrator.errors import SettingsError

PREFIX = "TOCSIN_"
FILE_VARIABLE = "TOCSIN_SETTINGS"
DEFAULT_FILE = "tocsin.yaml"


class Section(BaseModel):
    """A part of the settings; frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Topics(Section):
    """The names of the Kafka topics."""

    alerts: str = "tocsin.alerts"
    audit: str = "tocsin.audit"
    dead_letters: str = "tocsin.dead-letters"


class KafkaSettings(Section):
    """How to reach Kafka. Without `bootstrap` the local stack's broker is used."""

    bootstrap: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    topics: Topics = Topics()

    @model_validator(mode="after")
    def _fits(self) -> KafkaSettings:
        """What one setting needs of another; a client that misses it says so in words of its own, or not at all."""
        sasl, tls = "SASL" in self.security_protocol, "SSL" in self.security_protocol
        named = [name for name in ("sasl_mechanism", "username", "password") if getattr(self, name) is not None]
        if sasl and len(named) < 3:
            missing = [name for name in ("sasl_mechanism", "username", "password") if name not in named]
            raise ValueError(f"security_protocol {self.security_protocol} also needs {', '.join(missing)}")
        if named and not sasl:
            raise ValueError(f"{named[0]} is set, so security_protocol has to be SASL_SSL or SASL_PLAINTEXT")
        files = [name for name in ("ca_file", "certificate_file", "key_file") if getattr(self, name) is not None]
        if files and not tls:
            raise ValueError(f"{files[0]} is set, so security_protocol has to be SSL or SASL_SSL")
        _in_pairs(self.certificate_file, self.key_file)
        return self

    def client_options(self, bootstrap: str) -> dict[str, str]:
        """The connection's options in librdkafka's names, secrets included: hand it to a client and nothing else."""
        options = {
            "bootstrap.servers": bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password.get_secret_value() if self.password else None,
            "ssl.ca.location": str(self.ca_file) if self.ca_file else None,
            "ssl.certificate.location": str(self.certificate_file) if self.certificate_file else None,
            "ssl.key.location": str(self.key_file) if self.key_file else None,
            "log_level": "2",  # what goes wrong comes back as errors; the client's own lines on stderr say it again
        }
        return {name: value for name, value in options.items() if value is not None}


def _in_pairs(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise ValueError("certificate_file and key_file go together; one of them is missing")


class TemporalSettings(Section):
    """How to reach Temporal; without `address`, the local server. `token_file` is read again as it changes.

    Any of the files of certificates means TLS, as `tls` alone does with the machine's own authorities.
    """

    address: str | None = None
    namespace: str = "default"
    ui: str | None = None
    task_queue: str = "tocsin"
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    token: Secret | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _fits(self) -> TemporalSettings:
        _in_pairs(self.certificate_file, self.key_file)
        if self.token and self.token_file:
            raise ValueError("token and token_file are both set; keep one")
        return self


class DatabaseSettings(Section):
    """How to reach Postgres (`postgresql://user:password@host:port/name`). Without `url` the local stack's is used."""

    url: Secret | None = None
    pool: int = Field(10, ge=1, le=200)


Port = Annotated[int, Field(ge=1, le=65_535)]


class LocalSettings(Section):
    """The embedded servers: which ports to prefer (a taken one is replaced by a free one), and what survives `down`."""

    kafka_port: Port = 9092
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    postgres_port: Port = 5433
    lab_port: Port = 8490
    ephemeral: bool = False
    start_timeout: float = Field(120.0, gt=0, description="seconds for the whole stack to be healthy")


class IntakeSettings(Section):
    """How alerts are read. `sources` says which source decodes a topic, where content alone should not decide."""

    group: str = "tocsin-intake"
    sources: dict[str, str] = {}
    extra_topics: tuple[str, ...] = ()
    max_alert_bytes: int = Field(4 * 1024 * 1024, ge=1024, le=16 * 1024 * 1024)
    max_depth: int = Field(64, ge=8, le=512)
    max_keys: int = Field(5_000, ge=100)
    batch: int = Field(500, ge=1, le=5_000, description="alerts recorded in one transaction")
    read_ahead_bytes: int = Field(64 * 1024 * 1024, ge=1024 * 1024)
    concurrent_starts: int = Field(20, ge=1, le=500)
    look_seconds: float = Field(
        1.0, gt=0, description="between two looks at the playbooks' folder; a change counts once two saw the same"
    )


class WorkerSettings(Section):
    """How runs are executed."""

    max_activities: int = Field(100, ge=1)
    max_cached_runs: int = Field(1_000, ge=0)
    graceful_seconds: float = Field(10.0, ge=0)


class KeeperSettings(Section):
    """The relay of the audit to Kafka and the other standing duties."""

    poll_seconds: float = Field(1.0, gt=0)
    batch: int = Field(500, ge=1, le=10_000)


class LogSettings(Section):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["auto", "json", "text"] = "auto"


class Person(Section):
    """Somebody who may approve: the name that answers carry, and the groups that the playbooks ask for."""

    name: str
    groups: tuple[str, ...] = ()


class ApprovalSettings(Section):
    """Who may answer. With no people listed, every name is accepted and recorded as unverified."""

    people: tuple[Person, ...] = ()


class Settings(Section):
    """All settings. `integrations` maps a name of yours to a product (`uses`) and its settings; `routes` says which of

    them serve a capability (all that implement it, where a capability is not named).
    """

    home: Path = Path(".tocsin")
    playbooks: Path = Path("playbooks")
    kafka: KafkaSettings = KafkaSettings()
    temporal: TemporalSettings = TemporalSettings()
    database: DatabaseSettings = DatabaseSettings()
    local: LocalSettings = LocalSettings()
    intake: IntakeSettings = IntakeSettings()
    worker: WorkerSettings = WorkerSettings()
    keeper: KeeperSettings = KeeperSettings()
    log: LogSettings = LogSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    mode: Literal["live", "shadow"] = "live"
    integrations: dict[str, dict[str, Any]] = Field(default={}, repr=False)
    routes: dict[str, tuple[str, ...]] = {}


def load_settings(environment: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings of this process; raises `SettingsError` that lists every mistake with its place."""
    environment = os.environ if environment is None else environment
    path = file or Path(environment.get(FILE_VARIABLE, DEFAULT_FILE))
    named = file is not None or FILE_VARIABLE in environment
    values = _read_file(path, environment) if named or path.exists() else {}
    variables = _overlay(values, environment)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path, variables)) from None


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a server that we start: ours, without our own settings, with `extra` added."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | extra


def user_cache() -> Path:
    """Where downloads are kept between clones of the repository."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tocsin"


def _read_file(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); check {FILE_VARIABLE}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise SettingsError(_not_yaml(error, path)) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}:1: settings are a mapping of sections; found {type(content).__name__}")
    resolved = _resolve(content, path, environment)
    assert isinstance(resolved, dict)  # noqa: S101 - a mapping with more than one key, or none, stays a mapping
    return resolved


def _not_yaml(error: yaml.YAMLError, path: Path) -> str:
    """Its line and what is wrong there, without the text that stands there: it may be a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{path}:{error.problem_mark.line + 1}: not YAML: {error.problem}"
    return f"{path}: not YAML: {str(error).splitlines()[0]}"


def _resolve(value: Any, path: Path, environment: Mapping[str, str]) -> Any:
    """Put in the text that `{env: NAME}` and `{file: PATH}` stand for."""
    if isinstance(value, list):
        return [_resolve(item, path, environment) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"env"}:
        name = str(value["env"])
        if name not in environment:
            raise SettingsError(f"{path}: names the environment variable {name}, which is not set")
        return environment[name]
    if set(value) == {"file"}:
        return _kept_in(path, str(value["file"]))
    return {name: _resolve(item, path, environment) for name, item in value.items()}


def _kept_in(path: Path, name: str) -> str:
    try:
        return (path.parent / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{path}: names the file {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: names the file {name}: not UTF-8 at byte {error.start}") from None


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Lay `TOCSIN_SECTION__NAME` over the file's values; which variable gave which setting."""
    given: dict[tuple[str, ...], str] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
            continue
        *sections, name = variable[len(PREFIX) :].lower().split("__")
        kind = _known(variable, [*sections, name])
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(
                    f"{variable}: {section} is no mapping in the settings' file, so nothing lies over it"
                )
        place[name] = (text or None) if kind in _PLAIN else _structured(variable, text)
        given[*sections, name] = variable
    return given


_PLAIN = (str, str | None, Secret, Secret | None, Path, Path | None)
"""a password may begin with a bracket, and is that text"""


def _structured(variable: str, text: str) -> Any:
    """Lists and mappings are written as in the file; anything else is the text itself."""
    try:
        return yaml.safe_load(text) if text[:1] in ("", "[", "{") else text
    except yaml.YAMLError:  # its own words would show the value, which may be a secret
        raise SettingsError(f"{variable}: begins a list or a mapping and is none; check brackets and quotes") from None


def _known(variable: str, path: list[str]) -> Any:
    """The type of the setting that a variable names, None inside a free mapping; refuses what there is not."""
    model: Any = Settings
    annotation: Any = None
    for depth, name in enumerate(path):
        if not (isinstance(model, type) and issubclass(model, Section)):
            return None  # inside a free mapping, such as the settings of an integration
        if name not in model.model_fields:
            known = [PREFIX + "__".join([*path[:depth], field]).upper() for field in model.model_fields]
            near = difflib.get_close_matches(variable, known, n=1)
            raise SettingsError(
                f"{variable}: no such setting"
                + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}")
            )
        annotation = model.model_fields[name].annotation
        model = next((one for one in get_args(annotation) if isinstance(one, type)), annotation)
    return annotation


def _explain(error: ValidationError, path: Path, variables: Mapping[tuple[str, ...], str]) -> str:
    """Every mistake with its place; never the value, which may be a secret."""
    lines = []
    for one in error.errors(include_input=False, include_url=False):
        hint = ""
        if one["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(one["loc"][-1]), _names_at(one["loc"][:-1]), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
        said = "no such setting" if one["type"] == "extra_forbidden" else one["msg"].removeprefix("Value error, ")
        lines.append(f"{_place_of(one['loc'], path, variables)}: {said}{hint}")
    return "\n".join(lines)


def _place_of(setting: tuple[int | str, ...], path: Path, variables: Mapping[tuple[str, ...], str]) -> str:
    """The variable that gave the setting; else its name in the file."""
    for end in range(len(setting), 0, -1):
        if variable := variables.get(tuple(str(part) for part in setting[:end])):
            return variable
    return f"{path}: " + ".".join(str(part) for part in setting)


def _names_at(path: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for name in path:
        field = model.model_fields.get(str(name)) if isinstance(model, type) and issubclass(model, Section) else None
        if field is None:
            return []
        model = field.annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, Section) else []

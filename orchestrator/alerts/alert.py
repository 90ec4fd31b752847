"""`Alert`: the one model of an alert that later rooms and playbooks see, whatever product raised it.

Close in meaning to OCSF's Detection Finding (class 2004), but short to write: `alert.source.ip`, `alert.rule.id`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from orchestrator.contract.values import AccountName, Domain, FileHash, HostName, IpAddress, Severity

SHORT = 1_024
LONG = 8_192
MANY = 500

Short = Annotated[str, Field(max_length=SHORT)]
Long = Annotated[str, Field(max_length=LONG)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Part(BaseModel):
    """A frozen part of an alert; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """Where the alert stands at its source."""

    OPEN = "open"
    UPDATED = "updated"
    RESOLVED = "resolved"


class ObservableType(StrEnum):
    """What an observable is."""

    IP = "ip"
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    MAIL = "mail"
    ACCOUNT = "account"
    HOST = "host"
    FILE = "file"
    PROCESS = "process"
    OTHER = "other"


class User(Part):
    """A person's or a service's account. `uid` is its directory's own id, a SID for instance."""

    name: AccountName
    domain: Short | None = None
    uid: Short | None = None
    mail: Short | None = None


class Host(Part):
    """A machine."""

    name: HostName | None = None
    ip: IpAddress | None = None
    id: Short | None = None
    os: Short | None = None


class Endpoint(Part):
    """One side of a connection."""

    ip: IpAddress | None = None
    port: Port | None = None
    host: HostName | None = None
    user: AccountName | None = None


class Rule(Part):
    """The rule or detection that fired."""

    id: Short | None = None
    name: Short | None = None


class File(Part):
    """A file that the alert is about."""

    name: Short | None = None
    path: Long | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    md5: FileHash | None = None
    sha1: FileHash | None = None
    sha256: FileHash | None = None


class Process(Part):
    """A process that the alert is about."""

    name: Short | None = None
    path: Long | None = None
    command_line: Long | None = None
    pid: Annotated[int, Field(ge=0)] | None = None
    parent: Short | None = None


class Observable(Part):
    """Something seen that can be looked up elsewhere, with its type."""

    type: ObservableType
    value: Annotated[str, Field(max_length=LONG)]


class Product(Part):
    """What raised the alert."""

    name: Short
    vendor: Short | None = None
    version: Short | None = None


SeverityField = Annotated[
    Severity,
    PlainValidator(lambda value: value if isinstance(value, Severity) else Severity.parse(str(value))),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string", "enum": [str(one) for one in Severity]}),
]
Technique = Annotated[str, Field(pattern=r"^T[0-9]{4}(\.[0-9]{3})?$")]


class Alert(Part):
    """An alert. `id` is the source's own or a stable hash; `key` dedupes: source, id, and what makes a repeat new.

    `time` is when it happened, as the source says (UTC). `confidence` is 0 to 100. `attack` holds MITRE ATT&CK
    technique ids. `raw` is the original as decoded; its bytes are kept beside it in the records.
    """

    id: Annotated[str, Field(min_length=1, max_length=SHORT)]
    key: Annotated[str, Field(min_length=1, max_length=256)]
    time: datetime
    severity: SeverityField
    confidence: Annotated[int, Field(ge=0, le=100)] | None = None
    status: Status = Status.OPEN
    case: Short | None = None
    title: Short
    description: Long | None = None
    rule: Rule = Rule()
    attack: Annotated[tuple[Technique, ...], Field(max_length=100)] = ()
    source: Endpoint = Endpoint()
    target: Endpoint = Endpoint()
    user: User | None = None
    host: Host | None = None
    file: File | None = None
    process: Process | None = None
    url: Long | None = None
    domain: Domain | None = None
    observables: Annotated[tuple[Observable, ...], Field(max_length=MANY)] = ()
    product: Product
    raw: dict[str, Any] = {}

"""The value types of alerts and parameters: each one text, normalised when it is made, so that equal things are equal.

`parse` of every type takes text that a person or a product wrote and raises `ValueError` with the reason.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from enum import Enum
from functools import total_ordering
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import idna
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

from orchestrator.contract.durations import LONGEST, format_duration, parse_duration

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue


class Secret(SecretStr):
    """Text that prints as `***`; `get_secret_value()` gives it to the one call that sends it."""

    def _display(self) -> str:
        return "***" if self.get_secret_value() else ""


@total_ordering
class Severity(Enum):
    """How bad an alert is. Ordered by rank; comparing it with plain text raises, so the alphabet never decides."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for informational to 4 for critical."""
        return _RANKS[self.value]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The severity of this name, in any case."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise ValueError(f"{text!r} is not a severity; known: {', '.join(_RANKS)}") from None

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Severity):
            return NotImplemented
        return self.rank < other.rank

    def __str__(self) -> str:
        return str(self.value)


_RANKS = {name: rank for rank, name in enumerate(("informational", "low", "medium", "high", "critical"))}


class NormalisedText(str):
    """Text with one spelling for each meaning; subclasses say how to normalise."""

    __slots__ = ()
    kind = "text"

    @classmethod
    def normalise(cls, text: str) -> str:
        """The one spelling; raises ValueError with the reason where there is none."""
        return text

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value that this text means."""
        return text if isinstance(text, cls) else cls(cls.normalise(text))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse, core_schema.str_schema(max_length=4096), serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": cls.kind}


class IpAddress(NormalisedText):
    """An IPv4 or IPv6 address in its shortest spelling; an IPv4 address mapped into IPv6 is that IPv4 address."""

    __slots__ = ()
    kind = "ip"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Canonical text of the address; zone ids and prefixes are refused."""
        if "%" in text:
            raise ValueError(f"{text!r} has a zone id; write the address alone")
        address = ipaddress.ip_address(text.strip())
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.compressed


class Network(NormalisedText):
    """A range of addresses in prefix notation, host bits cleared; one of mapped addresses is that of IPv4 addresses."""

    __slots__ = ()
    kind = "network"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Canonical prefix notation; zone ids are refused."""
        if "%" in text:
            raise ValueError(f"{text!r} has a zone id; write the network alone")
        network = ipaddress.ip_network(text.strip(), strict=False)
        mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.IPv4Network((mapped, network.prefixlen - 96))
        return network.compressed


class Domain(NormalisedText):
    """A domain name in lower-case ASCII (IDNA 2008 with UTS 46 mapping), without the final dot."""

    __slots__ = ()
    kind = "domain"

    @classmethod
    def normalise(cls, text: str) -> str:
        """A-label form; underscores are allowed since DNS has them."""
        name = text.strip().rstrip(".").lower()
        if not name or len(name) > 253:
            raise ValueError("a domain name has 1 to 253 characters")
        return ".".join(_label(label) for label in re.split("[.\u3002\uff0e\uff61]", name))


def _label(label: str) -> str:
    if re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label):
        return label
    try:
        return idna.encode(label, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{label!r} is not a label of a domain name") from error


_NOT_IN_MAIL = frozenset(' @()<>[]:;,\\"')


class MailAddress(NormalisedText):
    """A mail address alone, without a display name, compared without regard to case."""

    __slots__ = ()
    kind = "mail"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Case-folded name, domain as `Domain` has it; blanks, quotes and brackets are refused."""
        name, _, domain = text.strip().rpartition("@")
        name = name.casefold()
        if not 0 < len(name) <= 64 or not all(letter.isprintable() and letter not in _NOT_IN_MAIL for letter in name):
            raise ValueError("a mail address is name@domain alone, the name 1 to 64 characters without blanks")
        return f"{name}@{Domain.normalise(domain)}"


class AccountName(NormalisedText):
    """The name of an account as its directory knows it (uid, UPN, DOMAIN\\\\name), compared without regard to case."""

    __slots__ = ()
    kind = "account"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Case-folded, outer blanks gone; control characters are refused."""
        name = text.strip().casefold()
        if not name or len(name) > 320 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise ValueError("an account name has 1 to 320 printable characters")
        return name


class HostName(NormalisedText):
    """The name of a machine, in lower case."""

    __slots__ = ()
    kind = "host"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Lower case, final dot gone; control characters and blanks are refused."""
        name = text.strip().rstrip(".").lower()
        if not name or len(name) > 253 or any(ord(letter) <= 32 or ord(letter) == 127 for letter in name):
            raise ValueError("a host name has 1 to 253 characters without blanks")
        return name


class FileHash(NormalisedText):
    """An MD5, SHA-1, SHA-256 or SHA-512 digest in lower-case hexadecimal."""

    __slots__ = ()
    kind = "hash"

    @classmethod
    def normalise(cls, text: str) -> str:
        """Lower-case hexadecimal of 32, 40, 64 or 128 digits."""
        digest = text.strip().lower()
        if len(digest) not in (32, 40, 64, 128) or not re.fullmatch(r"[0-9a-f]+", digest):
            raise ValueError("a hash has 32, 40, 64 or 128 hexadecimal digits")
        return digest


def _sha256(digest: FileHash) -> FileHash:
    if len(digest) != 64:
        raise ValueError("a SHA-256 has 64 hexadecimal digits")
    return digest


class FileRef(BaseModel):
    """A file that is kept elsewhere: what is said of it may be read, its bytes never travel. `size` is in bytes.

    Its hash alone names it as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "file"

    sha256: Annotated[FileHash, AfterValidator(_sha256)]
    name: Annotated[str, Field(max_length=1_024)] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    media_type: Annotated[str, Field(max_length=255)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_its_hash(cls, given: Any) -> Any:
        return {"sha256": given} if isinstance(given, str) else given

    def __str__(self) -> str:
        return self.sha256


Url = Annotated[str, StringConstraints(max_length=8_192, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/]\S*$")]
"""The address of a page, as it was seen."""


def _duration(value: object) -> timedelta:
    if isinstance(value, float):  # what an expression such as `days(30)` leaves as; a literal is never a fraction
        value = _of_seconds(value)
    if not isinstance(value, timedelta):
        return parse_duration(value)
    seconds = round(value.total_seconds())  # as it is written, and so read again
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError(f"a duration of {value.total_seconds():g} s is not between 1s and {LONGEST.days}d")
    return timedelta(seconds=seconds)


def _of_seconds(seconds: float) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ValueError(f"a duration of {seconds:g} s is not between 1s and {LONGEST.days}d") from None


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(lambda value: format_duration(value.total_seconds()), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
"""A length of time as playbooks write it: `90s`, `30m`, `1h30m`, `7d`."""

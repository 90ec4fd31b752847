"""What a file holds that can be looked up: addresses, names, pages and hashes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import Domain, FileHash, FileRef, IpAddress, MailAddress


class Evidence(Parameters):
    """Which file, as an action gave it: an attachment, a copy, a capture."""

    file: FileRef


class Indicators(Result):
    """What stands in the file as text, each once, in the order in which it stands there.

    `truncated` where there are more than 500 of one kind.
    """

    sha256: FileHash
    ips: Annotated[tuple[IpAddress, ...], Field(max_length=MANY)] = ()
    urls: Annotated[tuple[str, ...], Field(max_length=MANY)] = ()
    domains: Annotated[tuple[Domain, ...], Field(max_length=MANY)] = ()
    mails: Annotated[tuple[MailAddress, ...], Field(max_length=MANY)] = ()
    hashes: Annotated[tuple[FileHash, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


extract = Capability(
    "evidence.extract", Evidence, Indicators, Effect.READ,
    "Find the addresses, domains, pages, mail addresses and hashes that a file names.", target="file", d3fend="D3-FCA",
)  # fmt: skip

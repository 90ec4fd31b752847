"""`evidence.extract`: what a file names that can be looked up; the bytes stay with whoever keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.evidence import indicators_of, own_evidence
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import Site, build_site
from orchestrator.contract import FileRef
from orchestrator.errors import FailureKind
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus
from orchestrator.local.lab import Lab
from tests.actions.bench_target import context

NAMES = "Go to hxxps://evil[.]example/login. Mail bob@evil.example, or ask 203[.]0[.]113[.]7; 2001:db8::7 answers too."


def ref(content: bytes) -> FileRef:
    return FileRef.model_validate({"sha256": hashlib.sha256(content).hexdigest()})


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, token="t") as lab:
        yield lab


@pytest.fixture
async def gateway(catalog: Catalog, ledger: PostgresLedger, lab: Lab) -> AsyncIterator[Gateway]:
    """The lab, which keeps files, and the product that reads them."""
    site: Site = build_site(catalog, {"lab": {"url": lab.url, "token": "t"}}, {}, [own_evidence(lambda: site)])
    yield Gateway(capabilities=catalog.capabilities, site=site, ledger=ledger, sender=Sender(ledger), rails=[])
    await site.close()


async def asked(gateway: Gateway, action: str, **parameters: Any) -> ActionOutcome:
    call = ActionCall(step=action, path=(action, str(parameters)), action=action, parameters=parameters)
    return await gateway.act(context(), call, ())


async def test_the_attachment_of_a_mail_is_read_where_it_is_kept(gateway: Gateway, engine: AsyncEngine) -> None:
    """What the ledger keeps are the indicators, not the bytes."""
    message = (await asked(gateway, "mail.get_message", message_id="invoice-1@evil.example")).output
    assert message is not None
    (attached,) = message["attachments"]
    outcome = await asked(gateway, "evidence.extract", file=attached)
    assert outcome.status is StepStatus.SUCCEEDED, outcome.error
    assert outcome.output == {
        "sha256": attached["sha256"], "ips": [], "urls": ["https://evil.example/sign-in"], "domains": ["evil.example"],
        "mails": [], "hashes": [], "truncated": False,
    }  # fmt: skip
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT string_agg(a::text, '') FROM tocsin.action a"))).scalar_one()
    assert "<form" not in kept


async def test_a_file_that_nobody_keeps_is_not_found(gateway: Gateway) -> None:
    """Which says so, in place of finding nothing in it."""
    outcome = await asked(gateway, "evidence.extract", file=ref(b"nobody has this").model_dump(mode="json"))
    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.NOT_FOUND
    assert "no integration that is configured here keeps the file" in outcome.error.message


async def test_other_bytes_than_those_that_were_meant_are_refused(gateway: Gateway, lab: Lab) -> None:
    """A file is what its hash says."""
    file = ref(b"what was meant")
    lab.state.systems.endpoints._world.files[file.sha256] = b"something else"
    outcome = await asked(gateway, "evidence.extract", file=file.model_dump(mode="json"))
    assert outcome.error is not None
    assert (outcome.error.kind, "gave other bytes" in outcome.error.message) == (FailureKind.REJECTED, True)


@pytest.mark.parametrize(
    "content",
    [
        NAMES.encode(),
        b"\xef\xbb\xbf" + NAMES.encode(),
        NAMES.encode("utf-16"),
        b"\x7fELF\x00\x01\xff" + NAMES.encode() + b"\x00\xfe",
        b"MZ\x00\xff\x00" + NAMES.encode("utf-16-le") + b"\xff\x00",
    ],
    ids=["text", "marked", "utf-16", "program", "program with wide text"],
)
def test_indicators_are_found_in_files_of_any_kind(content: bytes) -> None:
    """In text of the usual encodings, and in the runs of letters of what is no text."""
    found = indicators_of(ref(content), content)
    assert [str(one) for one in found.ips] == ["203.0.113.7", "2001:db8::7"]
    assert found.urls == ("https://evil.example/login",)
    assert [str(one) for one in found.mails] == ["bob@evil.example"]


def test_what_is_too_much_is_cut_and_said() -> None:
    """Five hundred of a kind; a hundred thousand lines take no longer than reading them."""
    content = "\n".join(f"198.18.{number // 250}.{number % 250}" for number in range(100_000)).encode()
    found = indicators_of(ref(content), content)
    assert (len(found.ips), found.truncated) == (500, True)

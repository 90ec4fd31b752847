"""The playbooks that ship: each says why, names its techniques, is tested in every branch, and has a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.actions.catalog import scan
from orchestrator.language.loader import load_playbooks
from orchestrator.language.pages import pages_of
from orchestrator.language.program import Playbook
from tests.conftest import ROOT

CAPABILITIES = scan().capabilities
LOADED = load_playbooks(ROOT / "playbooks", CAPABILITIES)


def test_they_are_good_and_many() -> None:
    """Without an error or a warning."""
    assert [str(finding) for finding in LOADED.findings] == []
    assert len(LOADED.playbooks) >= 8


@pytest.mark.parametrize("playbook", LOADED.playbooks.values(), ids=LOADED.playbooks)
def test_each_says_why_and_what_it_answers(playbook: Playbook) -> None:
    """A reason, an owner, and ATT&CK where an attack starts it."""
    model = playbook.model
    assert model.why
    assert model.owner
    assert model.attack or model.trigger.schedule
    assert len(model.tests) >= 2


@pytest.mark.parametrize("name", pages_of(LOADED.playbooks, CAPABILITIES))
def test_the_page_and_the_pictures_are_those_of_today(name: str) -> None:
    """`tocsin pages` writes them."""
    wanted = pages_of(LOADED.playbooks, CAPABILITIES)[name]
    assert (ROOT / Path("docs") / name).read_text() == wanted, "run `tocsin pages`"

"""`tocsin pages`: the playbooks as a page with pictures."""

from __future__ import annotations

from pathlib import Path

from orchestrator.actions.catalog import scan
from orchestrator.bootstrap import load
from orchestrator.cli.console import say
from orchestrator.errors import FilesRefused
from orchestrator.language.pages import pages_of
from orchestrator.settings import load_settings


def pages(*, output: Path = Path("docs")) -> None:
    """Write a page that shows every playbook: why it is there, what starts it, what it changes, and its picture.

    Parameters
    ----------
    output
        The folder for `playbooks.md` and `pictures/`.
    """
    catalog = scan()
    loaded = load(load_settings(), catalog)
    if loaded.errors:
        raise FilesRefused(list(loaded.errors))
    for name, text in pages_of(loaded.playbooks, catalog.capabilities).items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    say(f"{len(loaded.playbooks)} playbooks are shown in {output / 'playbooks.md'}")

"""`tocsin lists` of lists that runs may write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.list_entries import ListEntries
from tests.site import Site


@pytest.fixture(scope="module")
def watched(site: Site) -> Iterator[Path]:
    """A writable list of one entry."""
    (site.folder / "playbooks" / "lists").mkdir(exist_ok=True)
    file = Path(
        site.write("playbooks/lists/watched.yaml", "title: W\ntype: ip\nwritable: true\nentries: [192.0.2.1]\n")
    )
    yield file
    file.unlink(missing_ok=True)


@pytest.mark.usefixtures("watched")
async def test_what_runs_have_put_on_a_list_is_shown_beside_its_file(site: Site, engine: AsyncEngine) -> None:
    """Counted by itself; shown with the rest."""
    await ListEntries(engine).put("watched", "203.0.113.9", "seen", "a-run", room=10)
    rows = {line.split()[0]: line for line in (await site.tocsin("lists")).stdout.splitlines()}
    assert "1 + 1 by runs" in rows["lists.watched"]
    assert (await site.tocsin("lists", "watched")).stdout == "192.0.2.1\n203.0.113.9\n"
    told = json.loads((await site.tocsin("lists", "watched", "--json")).stdout)
    assert (told["entries"], told["entries_by_runs"], told["by_runs"]) == (["192.0.2.1"], ["203.0.113.9"], 1)

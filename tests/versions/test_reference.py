"""Lists and calendars that are broken when a process starts: what was good last serves, or nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from orchestrator.bootstrap import reference_of
from orchestrator.errors import FilesRefused
from orchestrator.language.reference_files import ReferenceKeeper
from orchestrator.versions.reference import ReferenceStore
from tests.versions.site import Site, playbook

FILES = {
    "lists/vpn.yaml": "title: VPN\ntype: ip\nmax_age: 3650d\nentries: [10.0.0.1, '2001:DB8::1']\n",
    "lists/own.yaml": "title: Own\ntype: network\nwritable: true\nentries: [10.0.0.0/8]\n",
    "calendars/office.yaml": "title: Office\ntz: Europe/Berlin\nhours: {mon: ['09:00-17:00']}\nholidays: [2026-12-25]",
}
BROKEN = "title: [\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


async def test_a_start_with_broken_files_goes_on_with_what_was_good_last(folder: Path, engine: AsyncEngine) -> None:
    """All of it as it was, and the log says so, an error for each file with its place."""
    before = ReferenceKeeper(folder)
    await ReferenceStore(engine).keep(before.good())
    for name in FILES:
        (folder / name).write_text(BROKEN)
    with capture_logs() as lines:
        again = await reference_of(folder, engine)

    assert again.current() == before.current()
    assert {(one["event"], one["log_level"], one["in_force"]) for one in lines} == {
        ("reference.broken", "error", "what it held before")
    }
    assert sorted(one["name"] for one in lines) == ["calendars.office", "lists.own", "lists.vpn"]
    assert all(f"{one['name'].replace('.', '/')}.yaml:1" in one["problem"] for one in lines)


async def test_a_never_touch_list_that_is_restored_stands_for_all_of_its_type(
    folder: Path, engine: AsyncEngine
) -> None:
    """Of the broken file nobody can read what it is; what was kept says it. An ordinary one guards nothing."""
    guarding = FILES["lists/vpn.yaml"] + "never_touch: true\n"
    (folder / "lists/vpn.yaml").write_text(guarding)
    before = ReferenceKeeper(folder)
    await ReferenceStore(engine).keep(before.good())
    (folder / "lists/vpn.yaml").write_text(BROKEN)
    (folder / "lists/own.yaml").write_text(BROKEN)

    (found,) = (await reference_of(folder, engine)).never_touch()

    (good,) = before.never_touch()
    assert (found.name, found.type, found.entries) == (good.name, good.type, good.entries)
    assert (good.trouble, f"{folder}/lists/vpn.yaml:1" in found.trouble) == ("", True)


async def test_a_mended_file_counts_again(folder: Path, engine: AsyncEngine) -> None:
    """And what is restored is never kept as if it had been read."""
    await ReferenceStore(engine).keep(ReferenceKeeper(folder).good())
    (folder / "lists/vpn.yaml").write_text(BROKEN)
    again = await reference_of(folder, engine)
    assert {file.name for file in again.good()} == {"lists.own", "calendars.office"}
    (folder / "lists/vpn.yaml").write_text(FILES["lists/vpn.yaml"].replace("10.0.0.1", "10.0.0.2"))
    mended = await reference_of(folder, engine)
    assert mended.current().lists["vpn"].entries[0] == "10.0.0.2"
    await ReferenceStore(engine).keep(mended.good())
    assert (await ReferenceStore(engine).last())["lists.vpn"].value == mended.current().lists["vpn"]


async def test_a_broken_file_that_never_was_good_lets_nothing_start(folder: Path, engine: AsyncEngine) -> None:
    """One message, with file and line; of the others nothing is said, since they would serve."""
    await ReferenceStore(engine).keep(ReferenceKeeper(folder).good())
    (folder / "lists/vpn.yaml").write_text(BROKEN)
    (folder / "lists/new.yaml").write_text("title: New\ntype: ip\nentries:\n  - x\n")
    with pytest.raises(FilesRefused) as refused:
        await reference_of(folder, engine)
    assert str(refused.value).startswith(f"{folder}/lists/new.yaml:4:")
    assert "vpn" not in str(refused.value)


async def test_what_is_good_is_kept_at_each_look_at_the_folder(site: Site, folder: Path) -> None:
    """The follower of an intake does that: as it starts, and when a file has changed."""
    site.write("a", playbook("a"))
    keeper, store = ReferenceKeeper(folder, every=0), ReferenceStore(site.engine)
    process = site.process(keep=lambda: store.keep(keeper.good()))
    await process.look()
    assert set(await store.last()) == {"lists.vpn", "lists.own", "calendars.office"}

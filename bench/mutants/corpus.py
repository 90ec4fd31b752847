"""The playbooks that are mutated: those that ship, the examples of the documentation, and some written for this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.actions.catalog import scan
from orchestrator.alerts.decode import decode_sample
from orchestrator.errors import FindingLevel
from orchestrator.language.interpreter import Capabilities
from orchestrator.language.loader import Loaded, Read, check_all, files_of, read_file
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ReferenceData
from orchestrator.language.reference_files import load_reference
from orchestrator.language.simulator import Samples

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "playbooks"
EXAMPLES = ROOT / "docs" / "examples"
OWN = ROOT / "tests" / "language" / "mutants"
SAMPLES = Samples(SHIPPED / "samples", decode_sample)


@dataclass(frozen=True)
class Folder:
    """A folder of playbooks; `site` has its lists and calendars, where it keeps any."""

    reads: Mapping[str, Read]
    playbooks: Mapping[str, Playbook]
    site: ReferenceData | None
    loaded: Loaded


@dataclass(frozen=True)
class Original:
    """A playbook without a mistake, and the folder that it stands in."""

    name: str
    file: str
    text: str
    folder: Folder = field(repr=False)


def corpus(capabilities: Capabilities, folders: Iterable[Path] = (SHIPPED, EXAMPLES, OWN)) -> list[Original]:
    """Every playbook of these folders; raises `ValueError` where one has an error already."""
    return [one for path in folders if path.is_dir() for one in _originals(_folder(path, capabilities))]


def _folder(path: Path, capabilities: Capabilities) -> Folder:
    found = load_reference(path)
    site = found.data if found.files else None
    reads = [read_file(file) for file in files_of(path)]
    loaded = check_all(reads, capabilities, site, SAMPLES.folder)
    if loaded.errors:
        raise ValueError("\n".join(str(one) for one in loaded.findings if one.level is FindingLevel.ERROR))
    return Folder({read.name: read for read in reads}, loaded.playbooks, site, loaded)


def _originals(folder: Folder) -> Iterable[Original]:
    for read in folder.reads.values():
        if read.document is not None:
            yield Original(read.name, read.file, read.document.text, folder)


def capabilities_of_all() -> Capabilities:
    """All that playbooks can name."""
    return scan().capabilities

"""`python -m bench.check_many`: what it costs to check many playbooks, each of them another one.

They are those that ship, the examples and those of the trial of the checker, folder by folder, over and over; what was
compiled for one round is forgotten before the next, so that no playbook is cheap because it was seen before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

from bench.mutants.corpus import EXAMPLES, OWN, SAMPLES, SHIPPED, capabilities_of_all
from orchestrator.language.expressions import compile_condition, compile_template, compile_value
from orchestrator.language.interpreter import Capabilities
from orchestrator.language.loader import check_all, files_of, read_text
from orchestrator.language.reference import ReferenceData
from orchestrator.language.reference_files import load_reference

Folder = tuple[dict[str, str], ReferenceData | None]
"""Playbooks by their files, and what the site of the folder has"""


def main() -> int:
    """One line of JSON; exit code 1 above the wanted seconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.check_many", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many playbooks")
    parser.add_argument("--wanted", type=float, default=4.0, help="the most seconds of CPU for all of them")
    asked = parser.parse_args()
    capabilities, folders = capabilities_of_all(), list(_folders())
    checked = lines = 0
    seconds = 0.0
    while checked < asked.count:
        forget()
        for texts, site in folders:
            some = dict(list(texts.items())[: asked.count - checked])
            seconds += _seconds(some, site, capabilities)
            checked, lines = checked + len(some), lines + sum(text.count("\n") for text in some.values())
    told = {
        "playbooks": checked,
        "lines": lines,
        "seconds": round(seconds, 2),
        "milliseconds_each": round(seconds / checked * 1_000, 2),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if seconds <= asked.wanted else 1


def _folders() -> Iterator[Folder]:
    for path in (OWN, EXAMPLES, SHIPPED):
        found = load_reference(path)
        texts = {str(file): file.read_text(encoding="utf-8") for file in files_of(path)}
        yield texts, found.data if found.files else None


def _seconds(texts: dict[str, str], site: ReferenceData | None, capabilities: Capabilities) -> float:
    """The CPU that it takes to read and check the playbooks of a folder."""
    begun = time.process_time()
    reads = [read_text(text, file, file.rpartition("/")[2].removesuffix(".yaml")) for file, text in texts.items()]
    check_all(reads, capabilities, site, SAMPLES.folder)
    return time.process_time() - begun


def forget() -> None:
    """Compile everything anew from here on."""
    for compiled in (compile_condition, compile_value, compile_template):
        compiled.cache_clear()


if __name__ == "__main__":
    sys.exit(main())

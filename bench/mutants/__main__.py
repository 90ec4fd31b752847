"""`python -m bench.mutants --seed N --count 2000`: how much of what would fail at run time the checker finds before."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from bench.mutants.corpus import capabilities_of_all, corpus
from bench.mutants.score import Score, trial
from orchestrator.cli.console import say, table


def main() -> int:
    """Print a table by mutator and every miss; exit code 1 below the wanted share."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats a trial")
    parser.add_argument("--count", type=int, default=2_000, help="how many mistakes are made")
    parser.add_argument("--wanted", type=float, default=0.98, help="the least share that has to be found")
    asked = parser.parse_args()
    begun, capabilities = time.process_time(), capabilities_of_all()
    originals = corpus(capabilities)
    score = trial(originals, capabilities, asked.seed, asked.count)
    show(score)
    spent = time.process_time() - begun
    say(f"seed {asked.seed}, {len(originals)} playbooks, {spent:.0f} s of CPU")
    return 0 if score.share >= asked.wanted else 1


def show(score: Score) -> None:
    """The table, and what was missed in full."""
    rows = [(one.name, *_counts(one)) for one in (*score.by_mutator, score)]
    table(("mutator", "mutants", "failed", "found", "in place", "missed", "share"), rows)
    for missed in score.missed:
        say(f"\nmissed:\n{missed}")


def _counts(score: Score) -> tuple[object, ...]:
    numbers = (score.judged, score.failed, score.found, score.in_place, score.missed)
    return (*(len(one) for one in numbers), f"{score.share:.1%}" if score.failed else "")


if __name__ == "__main__":
    sys.exit(main())

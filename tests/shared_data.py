"""Third-party test data, where it is kept beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data"


def shared(name: str) -> Path:
    """A file of the test data; skips the test on machines that do not have it."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the third-party test data is not on this machine: {name}")
    return path

"""What all commands share: where they print, and how a mistake is told."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.errors import TocsinError


class _Console(Console):
    """Whoever read our output, such as `head`, may have read enough: that is an error like others, not an exit."""

    def on_broken_pipe(self) -> None:
        """Told to whoever printed, as for any other output."""
        self.quiet = True
        raise BrokenPipeError


# where nobody looks at a terminal, a line may be as long as it is
out = _Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """A line for people; nothing in it is markup."""
    out.print(Text(text, style=style))


def complain(text: str) -> None:
    """A mistake, on stderr."""
    err.print(Text(text, style="red"))


def read(file: Path) -> bytes:
    """What a file holds that somebody named; standard input for `-`."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise TocsinError(f"{file}: cannot be read ({error.strerror})") from None


def as_json(value: Any) -> None:
    """A value for machines, on one line."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def plain(line: str) -> None:
    """A line for other programs, to the letter."""
    sys.stdout.write(line + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows for people; a cell may be text in a style of its own."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell) if cell is not None else "") for cell in row))
    out.print(made)

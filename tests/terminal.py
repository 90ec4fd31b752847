"""A terminal with somebody at it: what a program shows there, and the keys that are pressed."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTROL_C = "\x03"
# in the new process: the keys are for it, and for what it becomes
TAKE_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program that runs on a terminal of its own, as its leader; the block's end is its end."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 200))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_THE_TERMINAL, *command], stdin=theirs, stdout=theirs, stderr=theirs,
            env=dict(environment), cwd=folder, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._shown = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    @property
    def shown(self) -> str:
        """All that it has shown, without colours."""
        return _STYLES.sub("", self._shown.decode(errors="replace"))

    def until(self, words: str, seconds: float = 90) -> str:
        """Wait until it shows these words; all that it has shown."""
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {words}; it shows:\n{self.shown[-3000:]}"
            assert self._read(), f"it has ended without {words!r}; it shows:\n{self.shown[-3000:]}"
        return self.shown

    def press(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._ours, keys.encode())

    def end(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"it has not ended within {seconds:g} s:\n{self.shown[-3000:]}"
        return self.process.wait(10)

    def _read(self) -> bool:
        """Take in what it shows; false where nothing will come any more."""
        if select.select([self._ours], [], [], 0.5)[0]:
            try:
                more = os.read(self._ours, 65_536)
            except OSError:  # the last of its processes has closed it
                return False
            self._shown += more
            return bool(more)
        return True

"""Who is at the terminal."""

from __future__ import annotations

import getpass
import socket

from orchestrator.policy.operators import Operator


def me() -> Operator:
    """The account on this machine: a name that nobody has verified, since whoever has the machine has it."""
    return Operator(f"{getpass.getuser()}@{socket.gethostname()}")

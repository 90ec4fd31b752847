"""However early somebody ends a command, no traceback follows."""

from __future__ import annotations

import signal
import subprocess
import sys


def test_ctrl_c_while_a_command_begins_is_quiet() -> None:
    """It takes a moment to import what commands need."""
    command = [sys.executable, "-X", "importtime", "-m", "orchestrator.cli.main", "up"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.endswith(" orchestrator.settings\n") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest

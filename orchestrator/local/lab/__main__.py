"""Run the lab as a process of its own: `python -m orchestrator.local.lab --folder DIR [--port N] [--token-file F]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from orchestrator.local.lab.service import Lab


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until asked to end; the first line of the output says where."""
    token = arguments.token_file.read_text().strip() if arguments.token_file else None
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Lab(arguments.folder, port=arguments.port, token=token) as lab:
        sys.stdout.write(json.dumps({"url": lab.url}) + "\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token-file", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

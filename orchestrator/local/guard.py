"""Run one server and end it when the process that wanted it is gone, however that ended.

Run as a file with the standard library alone, so that it starts quickly: `guard.py SIGNAL COMMAND...`. Its standard
input is a pipe that the wanting process holds open: the end of the pipe is the end of that process, kill -9 included.
"""

import os
import select
import signal
import subprocess
import sys
import threading


def main(stop: int, command: list[str]) -> int:
    """The server's exit code."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: end(server, stop))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides the order
    threading.Thread(target=watch, args=(server, stop), daemon=True).start()
    return server.wait()


def watch(server: "subprocess.Popen[bytes]", stop: int) -> None:
    """Wait for the end of the pipe, then end the server."""
    while select.select([0], [], [])[0] and os.read(0, 4096):
        pass
    end(server, stop)


def end(server: "subprocess.Popen[bytes]", stop: int) -> None:
    """Ask, wait a little, insist."""
    if server.poll() is None:
        server.send_signal(stop)
        insist = threading.Timer(8.0, server.kill)
        insist.daemon = True
        insist.start()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))

"""Run one server and end it when the process that wanted it is gone, however that ended; or leave it, when told so.

Run as a file with the standard library alone, so that it starts quickly: `guard.py SIGNAL COMMAND...`. Its standard
input is a socket that the wanting process holds open. The guard writes the server's id there. The end of the socket is
the end of that process, kill -9 included, and so of the server; a byte sets the server free, and the guard goes.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main(stop: int, command: list[str]) -> int:
    """The server's exit code."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: end(server, stop))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides the order
    with contextlib.suppress(OSError):  # nobody is there any more: the watch sees that as well
        os.write(0, f"{server.pid}\n".encode())
    threading.Thread(target=watch, args=(server, stop), daemon=True).start()
    return server.wait()


def watch(server: "subprocess.Popen[bytes]", stop: int) -> None:
    """Wait for the word to leave, or for the end of the socket."""
    with contextlib.suppress(OSError):
        if os.read(0, 1):
            os._exit(0)
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

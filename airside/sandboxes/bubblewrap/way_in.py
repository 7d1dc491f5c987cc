"""Passes connections on from a listening socket that was handed in open to a port of the sandbox's own loopback.

Runs inside the sandbox, as a program: `python3 -c <this text> DESCRIPTOR PORT`, with the system's Python and nothing
but its standard library. A connection made before the port is open is closed at once; whoever made it tries again.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way until the source ends, then tell the sink so."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def carry(caller: socket.socket, port: int) -> None:
    """Join one caller with the port, both ways, until both have ended."""
    with caller, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as served:
        upwards = threading.Thread(target=pump, args=(caller, served), daemon=True)
        upwards.start()
        pump(served, caller)
        upwards.join()


def main() -> None:
    """Serve for as long as the sandbox lives."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    while True:
        caller, _ = listener.accept()
        threading.Thread(target=carry, args=(caller, int(sys.argv[2])), daemon=True).start()


if __name__ == "__main__":
    main()

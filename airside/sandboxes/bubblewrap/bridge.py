"""The script that a sandbox begins with: it opens the ways in and out, then becomes the program.

Inside there is no network, so the gateway's unix socket is given a TCP port of the sandbox's own loopback, where
harnesses expect an HTTP server. The other way round, a listening socket made outside is handed in open, and what comes
through it is passed on to a port that the program opens: the socket file itself is never within the program's reach.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from airside.sandboxes.bubblewrap import way_in

GATEWAY_PORT = 8080
SERVED_PORT = 4096

_GAVE_UP = 125  # what `timeout`, `docker run` and their like exit with when they themselves failed
_LISTENING = "0A"


def _loopback_in_proc_net_tcp(port: int) -> str:
    """How /proc/net/tcp spells 127.0.0.1:port: the address as a number in the machine's own byte order."""
    return f"{int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder):08X}:{port:04X}"


def _detached(command: str) -> str:
    # Started from a subshell that ends at once, it belongs to the sandbox's first process and not to the program.
    return f"({command} </dev/null >/dev/null 2>&1 &)"


def launcher(*, gateway_socket: Path | None, listener: int | None, port: int | None) -> str:
    """The script for `sh -c`; the program and its arguments follow as the script's own.

    It waits until the gateway's port is open, and exits 125 with a sentence if that takes over ten seconds.
    """
    lines = []
    if listener is not None:
        program = shlex.quote(Path(way_in.__file__).read_text())
        lines.append(_detached(f"exec python3 -I -S -c {program} {listener} {port}"))
    if gateway_socket is not None:
        listen = f"TCP-LISTEN:{GATEWAY_PORT},bind=127.0.0.1,reuseaddr,fork,backlog=256"
        lines.append(_detached(f"exec socat {listen} UNIX-CONNECT:{gateway_socket}"))
        lines.append(_wait_until_open(GATEWAY_PORT))
    lines.append('exec "$@"')
    return "\n".join(lines)


def _wait_until_open(port: int) -> str:
    return f"""
is_open() {{
  while read -r _ address _ state _; do
    if [ "$address $state" = "{_loopback_in_proc_net_tcp(port)} {_LISTENING}" ]; then return 0; fi
  done </proc/net/tcp
  return 1
}}
looked=0
until is_open; do
  looked=$((looked + 1))
  if [ "$looked" -gt 1000 ]; then echo "the bridge to the gateway did not open" >&2; exit {_GAVE_UP}; fi
  sleep 0.01
done"""

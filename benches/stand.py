"""The stand everything is measured on: processes, snapshots, and what the kernel says of them.

All traffic stays on loopback, every child ends with its block, and only the standard library is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "benches" / "tools" / "target" / "release"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: Enough for ten thousand streams and both their ends.
MOST_FILES = 65_536
TIER = {
    "input_uncached": 3_000_000_000,
    "cache_read": 300_000_000,
    "cache_write_5m": 3_750_000_000,
    "cache_write_1h": 6_000_000_000,
    "output": 15_000_000_000,
}


def key(letter: str = "K") -> str:
    """A well-formed long-lived key."""
    body = "air_bench_" + letter * 43
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = DIGITS[digit] + check
    return body + check


def snapshot(upstream: str, *, version: int = 1, keys: int = 1, budgets: int = 1) -> dict[str, object]:
    """A snapshot that turns everything on: keys, budgets, prices; a provider of each of two dialects.

    The first key and budget are those that calls use; more of them are there to be looked past.
    """
    price = {"tiers": [TIER]}

    def model(name: str, provider: str) -> dict[str, object]:
        target = {"provider": provider, "model": "bench-model", "price": price, "max_output_tokens": 1000}
        return {"name": name, "route": [{"to": [target]}]}

    def listed(number: int) -> dict[str, object]:
        text = key() if number == 0 else f"{key()}{number}"
        agent = "agent_bench" if number == 0 else f"agent_{number % max(budgets, 1)}"
        return {
            "key_id": f"key_{number}",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "project": "bench",
            "agent_id": agent,
            "agent_name": agent,
        }

    def budget(number: int) -> dict[str, object]:
        return {
            "budget_id": f"bdgt_{number}",
            "scope": "agent",
            "scope_id": "agent_bench" if number == 0 else f"agent_{number}",
            "limit_nanousd": 10**18,
            "window": "day",
        }

    credential = {"kind": "x_api_key", "secret": "sk-bench"}
    return {
        "format": 1,
        "version": version,
        "compiled_at": "2026-01-01T00:00:00Z",
        "keys": [listed(number) for number in range(keys)],
        "providers": [
            {"name": "bench", "protocol": "anthropic", "base_url": upstream, "credential": credential},
            {"name": "chat", "protocol": "openai-chat", "base_url": f"{upstream}/v1", "credential": credential},
        ],
        "models": [model("bench", "bench"), model("bench-chat", "chat")],
        "budgets": [budget(number) for number in range(budgets)],
        "limits": {"max_concurrent_calls": 50_000},
    }


def write_snapshot(place: Path, content: Mapping[str, object]) -> Path:
    """Put a snapshot where a gateway reads it, in one step."""
    part, whole = place / "snapshot.part", place / "snapshot.json"
    part.write_text(json.dumps(content))
    part.rename(whole)
    return whole


NGINX = """
daemon off; worker_processes auto; worker_rlimit_nofile {files};
pid {place}/nginx.pid; error_log {place}/nginx.error;
events {{ worker_connections {connections}; }}
http {{
  access_log off; client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};
  uwsgi_temp_path {place}; scgi_temp_path {place};
  client_max_body_size 64m; client_body_buffer_size 2m; keepalive_requests 1000000;
  upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def raise_file_limit() -> int:
    """As many open files as this user may have; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        # Only root may ask for more than it was given.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, MOST_FILES), max(hard, MOST_FILES)))
        return max(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_open(port: int, within_s: float = 10) -> None:
    """Return when something listens there."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended with the block."""
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as child,
    ):
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()


def first_line(child: subprocess.Popen[str]) -> Mapping[str, object]:
    """What a child says when it serves."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        raise SystemExit("a process ended before it served")
    return dict(json.loads(line))


@contextlib.contextmanager
def upstream_server(place: Path) -> Iterator[tuple[str, int]]:
    """The stand-in for a provider: its URL and process id."""
    with process([str(TOOLS / "upstream")], place / "upstream.log") as child:
        yield str(first_line(child)["url"]), child.pid


@contextlib.contextmanager
def nginx_server(place: Path, upstream: str) -> Iterator[tuple[str, int]]:
    """A reverse proxy, nginx, in front of the upstream, with kept connections: its URL and process id."""
    port, files = free_port(), raise_file_limit()
    config = place / "nginx.conf"
    address = upstream.removeprefix("http://")
    config.write_text(NGINX.format(place=place, upstream=address, port=port, files=files, connections=files - 100))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-c", str(config), "-p", str(place), "-e", str(place / "nginx.error")]
    with process(command, place / "nginx.log") as child:
        wait_until_open(port)
        yield f"http://127.0.0.1:{port}", child.pid


@contextlib.contextmanager
def gateway_server(place: Path, content: Mapping[str, object], program: Path | None) -> Iterator[tuple[str, int]]:
    """The gateway on this snapshot, in a directory of its own: its URL and process id."""
    place.mkdir(exist_ok=True)
    installed = [sys.executable, "-c", "import sys, airside_gateway; sys.exit(airside_gateway.main(sys.argv[1:]))"]
    command = [
        *([str(program)] if program else installed),
        "--listen=127.0.0.1:0",
        f"--data={place / 'data'}",
        f"--snapshot={write_snapshot(place, content)}",
    ]
    with process(command, place / "gateway.log") as child:
        yield str(first_line(child)["url"]), child.pid


def family_of(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, KeyError, ValueError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if int(fields["PPid"]) == pid:
                found += family_of(int(fields["Pid"]))
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children; none of no process."""
    total = 0.0
    for member in family_of(pid) if pid else []:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
    return round(total, 1)


def processor_s(pids: Sequence[int]) -> tuple[float, float]:
    """User and kernel seconds that these processes had so far."""
    tick, user, kernel = os.sysconf("SC_CLK_TCK"), 0.0, 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            user, kernel = user + int(fields[11]) / tick, kernel + int(fields[12]) / tick
    return user, kernel


def machine() -> Mapping[str, object]:
    """Where the numbers come from."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "?")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": os.getloadavg()[0],
    }

"""Measure the gateway against nginx and against nothing, in one run on this machine.

Three ways to one upstream, interleaved so that a noisy moment hits all of them: `direct`, `nginx` (proxy_pass with kept
connections) and `gateway` (keys, budget, usage and journal all on). Prints a table and writes JSON. Only the standard
library is used, all traffic stays on loopback, and every loop is bounded.

    python benches/run.py [--rounds 5] [--scale 1.0] [--output benches/results/latest.json]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "benches" / "tools" / "target" / "release"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
WAYS = ("direct", "nginx", "gateway")


@dataclass(frozen=True)
class Case:
    """One kind of load."""

    name: str
    connections: int
    body_bytes: int
    requests: int
    stream: bool = False
    gap_us: int = 0


CASES = (
    Case("1 KB, 1 connection", 1, 1024, 3000),
    Case("1 KB, 32 connections", 32, 1024, 20000),
    Case("100 KB, 1 connection", 1, 100 * 1024, 2000),
    Case("100 KB, 32 connections", 32, 100 * 1024, 8000),
    Case("1 MB, 1 connection", 1, 1024 * 1024, 400),
    Case("1 MB, 32 connections", 32, 1024 * 1024, 1000),
    Case("stream, 1 connection", 1, 1024, 1500, stream=True),
    Case("stream, 32 connections", 32, 1024, 8000, stream=True),
    Case("slow stream, 32 connections", 32, 1024, 1500, stream=True, gap_us=500),
)


def key() -> str:
    """A well-formed long-lived key."""
    body = "air_bench_" + "K" * 43
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = DIGITS[digit] + check
    return body + check


def snapshot(upstream: str) -> Mapping[str, object]:
    """A snapshot that turns everything on: a key, a budget on its agent, prices, one provider."""
    tier = {
        "input_uncached": 3_000_000_000,
        "cache_read": 300_000_000,
        "cache_write_5m": 3_750_000_000,
        "cache_write_1h": 6_000_000_000,
        "output": 15_000_000_000,
    }
    target = {"provider": "bench", "model": "bench-model", "price": {"tiers": [tier]}, "max_output_tokens": 1000}
    return {
        "format": 1,
        "version": 1,
        "compiled_at": "2026-01-01T00:00:00Z",
        "keys": [
            {
                "key_id": "key_bench",
                "sha256": hashlib.sha256(key().encode()).hexdigest(),
                "project": "bench",
                "agent_id": "agent_bench",
                "agent_name": "bench",
            }
        ],
        "providers": [
            {
                "name": "bench",
                "protocol": "anthropic",
                "base_url": upstream,
                "credential": {"kind": "x_api_key", "secret": "sk-bench"},
            }
        ],
        "models": [{"name": "bench", "route": [{"to": [target]}]}],
        "budgets": [
            {
                "budget_id": "bdgt_bench",
                "scope": "agent",
                "scope_id": "agent_bench",
                "limit_nanousd": 10**18,
                "window": "day",
            }
        ],
    }


NGINX = """
daemon off; worker_processes auto; pid {place}/nginx.pid; error_log {place}/nginx.error;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};
  uwsgi_temp_path {place}; scgi_temp_path {place};
  client_max_body_size 64m; client_body_buffer_size 2m; keepalive_requests 1000000;
  upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_open(port: int) -> None:
    """Return when something listens there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended with the block."""
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:
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


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
                total += int(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    return round(total, 1)


def measure(url: str, case: Case, scale: float) -> Mapping[str, object]:
    """One run of the load generator."""
    requests = max(case.connections * 4, int(case.requests * scale))
    command = [
        str(TOOLS / "load"),
        f"--url={url}",
        "--path=/v1/messages",
        f"--connections={case.connections}",
        f"--requests={requests}",
        f"--warmup={max(case.connections * 2, requests // 20)}",
        f"--body-bytes={case.body_bytes}",
        "--header",
        f"authorization: Bearer {key()}",
    ]
    if case.stream:
        command += ["--stream", "--header", "x-bench-events: 20", "--header", f"x-bench-gap-us: {case.gap_us}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{case.name} at {url}: {done.stderr[:2000]}")
    return dict(json.loads(done.stdout))


def summary(runs: Sequence[Mapping[str, object]], field: str) -> Mapping[str, float]:
    """Medians over rounds of what each round measured."""
    values = [run[field] for run in runs if run[field]]
    return {name: statistics.median(value[name] for value in values) for name in ("p50", "p99")} if values else {}


def compare(case: Case, runs: Mapping[str, Sequence[Mapping[str, object]]]) -> Mapping[str, object]:
    """The three ways beside each other, and what nginx and the gateway add."""
    field = "first_us" if case.stream else "total_us"
    ways = {
        way: {
            "per_second": statistics.median(float(str(run["per_second"])) for run in runs[way]),
            "total_us": summary(runs[way], "total_us"),
            "first_us": summary(runs[way], "first_us"),
        }
        for way in WAYS
    }

    def added(way: str, quantile: str) -> float:
        return float(ways[way][field][quantile]) - float(ways["direct"][field][quantile])  # type: ignore[index]

    return {
        "case": case.name,
        "ways": ways,
        "added_p50_us": {way: added(way, "p50") for way in WAYS[1:]},
        "added_p99_us": {way: added(way, "p99") for way in WAYS[1:]},
        "added_p50_ratio": added("gateway", "p50") / max(added("nginx", "p50"), 1e-9),
        "throughput_ratio": float(str(ways["gateway"]["per_second"])) / float(str(ways["nginx"]["per_second"])),
    }


def table(results: Sequence[Mapping[str, object]]) -> str:
    """For people. Added times are to the whole answer, of streams to the first content."""
    head = ("case", "direct/s", "nginx/s", "gateway/s", "of nginx", "nginx +p50", "gateway +p50", "ratio", "+p99 us")
    rows = [head]
    for result in results:
        ways: Mapping[str, Mapping[str, float]] = result["ways"]  # type: ignore[assignment]
        p50: Mapping[str, float] = result["added_p50_us"]  # type: ignore[assignment]
        p99: Mapping[str, float] = result["added_p99_us"]  # type: ignore[assignment]
        rows.append(
            (
                str(result["case"]),
                *(f"{ways[way]['per_second']:,.0f}" for way in WAYS),
                f"{float(str(result['throughput_ratio'])):.0%}",
                f"{p50['nginx']:.0f}",
                f"{p50['gateway']:.0f}",
                f"{float(str(result['added_p50_ratio'])):.2f}",
                f"{p99['nginx']:.0f} / {p99['gateway']:.0f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


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


def run(arguments: argparse.Namespace, place: Path) -> Mapping[str, object]:
    """All cases, all rounds."""
    cases = [case for case in CASES if arguments.only in case.name]
    started = machine()
    gateway_command = [
        sys.executable,
        "-c",
        "import sys, airside_gateway; sys.exit(airside_gateway.main(sys.argv[1:]))",
        "--listen=127.0.0.1:0",
        f"--data={place / 'data'}",
        f"--snapshot={place / 'snapshot.json'}",
    ]
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(process([str(TOOLS / "upstream")], place / "upstream.log"))
        upstream_url = str(first_line(upstream)["url"])
        (place / "snapshot.json").write_text(json.dumps(snapshot(upstream_url)))
        port = free_port()
        (place / "nginx.conf").write_text(
            NGINX.format(place=place, upstream=upstream_url.removeprefix("http://"), port=port)
        )
        nginx_program = shutil.which("nginx") or "/usr/sbin/nginx"
        nginx = [nginx_program, "-c", str(place / "nginx.conf"), "-p", str(place), "-e", str(place / "nginx.error")]
        stack.enter_context(process(nginx, place / "nginx.log"))
        gateway = stack.enter_context(process(gateway_command, place / "gateway.log"))
        urls = {"direct": upstream_url, "nginx": f"http://127.0.0.1:{port}", "gateway": str(first_line(gateway)["url"])}
        wait_until_open(port)
        idle_mb = rss_mb(gateway.pid)
        results = []
        for case in cases:
            runs: dict[str, list[Mapping[str, object]]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way in WAYS:
                    runs[way].append(measure(urls[way], case, arguments.scale))
            results.append(compare(case, runs))
            print(table(results[-1:]).splitlines()[-1], file=sys.stderr)
        return {
            "machine": started,
            "rounds": arguments.rounds,
            "scale": arguments.scale,
            "gateway_rss_mb": {"idle": idle_mb, "after": rss_mb(gateway.pid)},
            "results": results,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured each way [5]")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer requests [1.0]")
    parser.add_argument("--only", default="", help="only the cases whose name holds this")
    parser.add_argument("--output", type=Path, default=ROOT / "benches" / "results" / "latest.json")
    arguments = parser.parse_args()
    if not (TOOLS / "load").exists():
        raise SystemExit("build the tools first: cargo build --release --manifest-path benches/tools/Cargo.toml")
    with tempfile.TemporaryDirectory(prefix="airside-bench-") as place:
        outcome = run(arguments, Path(place))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(outcome, indent=1) + "\n")
    print(table(outcome["results"]))  # type: ignore[arg-type]
    print(f"gateway RSS: {outcome['gateway_rss_mb']} MB; written to {arguments.output}")


if __name__ == "__main__":
    main()

"""Measure the gateway beside nginx, beside nothing, and beside other gateways that are installed, in one run.

All ways lead to one upstream and are interleaved, so that a noisy moment hits all of them: `direct`, `nginx`
(proxy_pass with kept connections), `gateway` (keys, budget, usage and journal all on), and `litellm` and `portkey`
where `make bench-peers` could install them. Prints tables and writes JSON. All traffic stays on loopback and every
loop is bounded: the whole takes less than six minutes.

    python benches/run.py [--rounds 5] [--scale 0.5] [--only TEXT] [--output benches/results/latest.json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import hangups
import peers
import report
import scenes
import stand
from load import Case, LoadFailed, Way, measure

KB, MB = 1024, 1024 * 1024
CASES = (
    Case("1 KB, 1 connection", 1, KB, 3000),
    Case("1 KB, 32 connections", 32, KB, 20000),
    Case("100 KB, 1 connection", 1, 100 * KB, 2000),
    Case("100 KB, 32 connections", 32, 100 * KB, 8000),
    Case("100 KB answer, 1 connection", 1, KB, 2000, answer_bytes=100 * KB),
    Case("1 MB, 1 connection", 1, MB, 400),
    Case("1 MB, 32 connections", 32, MB, 1000),
    Case("stream, 1 connection", 1, KB, 1500, stream=True),
    Case("stream, 32 connections", 32, KB, 8000, stream=True),
    Case("slow stream, 32 connections", 32, KB, 1500, stream=True, gap_us=500),
)
CHAT = {"path": "/v1/messages", "model": "bench-chat", "ways": ("gateway",)}
TRANSLATED = (
    Case("Messages to a Chat provider, 1 KB", 8, KB, 5000, **CHAT),  # type: ignore[arg-type]
    Case("Messages to a Chat provider, 100 KB", 8, 100 * KB, 1500, **CHAT),  # type: ignore[arg-type]
    Case("Messages to a Chat provider, stream", 8, KB, 3000, stream=True, **CHAT),  # type: ignore[arg-type]
    Case("Chat to a Messages provider, 1 KB", 8, KB, 5000, path="/v1/chat/completions", ways=("gateway",)),
    Case(
        "Chat to a Messages provider, stream", 8, KB, 3000, stream=True, path="/v1/chat/completions", ways=("gateway",)
    ),
)
CROWD = Case("100,000 keys, 10,000 budgets", 32, KB, 20000, ways=("gateway", "crowded"))
CHANGING = Case("snapshot replaced under load", 32, KB, 40000, ways=("gateway", "changing"))
PEERS = (
    Case("peers: 1 KB, 1 connection", 1, KB, 3000, ways=("direct", "gateway", "litellm", "portkey")),
    Case("peers: 1 KB, 32 connections", 32, KB, 20000, ways=("direct", "gateway", "litellm", "portkey")),
    Case("peers: stream, 8 connections", 8, KB, 4000, stream=True, ways=("direct", "gateway", "litellm", "portkey")),
)
STREAMS = "10,000 slow streams"
HANG_UPS = "callers that hang up"


class Bench:
    """One run: the ways that are up, and what was measured so far."""

    def __init__(self, arguments: argparse.Namespace, place: Path, stack: contextlib.ExitStack) -> None:
        self.arguments, self.place, self.stack = arguments, place, stack
        self.files = stand.raise_file_limit()
        self.upstream, _ = stack.enter_context(stand.upstream_server(place))
        nginx_url, nginx_pid = stack.enter_context(stand.nginx_server(place, self.upstream))
        self.content = stand.snapshot(self.upstream)
        self.ways = {"direct": Way(self.upstream), "nginx": Way(nginx_url, nginx_pid)}
        self.ways["gateway"] = self.gateway("gateway", self.content)
        self.idle_mb = stand.rss_mb(self.ways["gateway"].pid)
        self.results: list[Mapping[str, object]] = []
        self.notes: list[str] = []

    def gateway(self, name: str, content: Mapping[str, object]) -> Way:
        """A gateway of its own."""
        serving = stand.gateway_server(self.place / name, content, self.arguments.program)
        return Way(*self.stack.enter_context(serving))

    def wants(self, name: str) -> bool:
        """True if this case was asked for."""
        return str(self.arguments.only).lower() in name.lower()

    def measure_all(self, cases: Sequence[Case], rounds: int | None = None) -> None:
        """Measure these cases, way after way and round after round."""
        for case in filter(lambda case: self.wants(case.name), cases):
            runs: dict[str, list[Mapping[str, object]]] = {way: [] for way in case.ways}
            for _ in range(rounds or self.arguments.rounds):
                for way in filter(self.ways.__contains__, case.ways):
                    try:
                        runs[way].append(measure(self.ways[way], case, self.arguments.scale))
                    except LoadFailed as failure:
                        if way not in peers.NAMES:
                            raise SystemExit(f"{way}: {failure}") from failure
                        self.notes.append(f"{way} failed: {str(failure)[:200]}")
            self.keep(case, runs)

    def keep(self, case: Case, runs: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        """Add a result and say it at once."""
        self.results.append(report.compare(case, runs))
        shown = report.main_table(self.results[-1:]) or report.other_table(self.results[-1:])
        print("\n".join(shown.splitlines()[1:]), file=sys.stderr)

    def measure_translated(self) -> None:
        """Calls from one family to a provider of another, where this gateway translates."""
        for case in filter(lambda case: self.wants(case.name), TRANSLATED):
            try:
                measure(self.ways["gateway"], case, 0)
            except LoadFailed as failure:
                self.notes.append(f"{case.name}: not served ({str(failure)[:200]})")
                continue
            self.measure_all([case], rounds=min(3, self.arguments.rounds))

    def measure_crowd(self) -> None:
        """Many keys and budgets to look past."""
        if self.wants(CROWD.name):
            content = stand.snapshot(self.upstream, keys=100_000, budgets=10_000)
            self.ways["crowded"] = self.gateway("crowded", content)
            self.measure_all([CROWD], rounds=min(3, self.arguments.rounds))
            self.notes.append(f"resident with 100,000 keys: {stand.rss_mb(self.ways['crowded'].pid)} MB")

    def measure_change(self) -> None:
        """Configuration that changes under load: not one call may fail."""
        if not self.wants(CHANGING.name):
            return
        way, scale = self.gateway("changing", self.content), self.arguments.scale
        runs: dict[str, list[Mapping[str, object]]] = {"gateway": [], "changing": []}
        for _ in range(min(3, self.arguments.rounds)):
            runs["gateway"].append(measure(self.ways["gateway"], CHANGING, scale))
            runs["changing"].append(scenes.under_change(way, CHANGING, scale, self.place / "changing", self.content))
        self.keep(CHANGING, runs)
        calls, changes = (sum(int(str(run[field])) for run in runs["changing"]) for field in ("requests", "changes"))
        self.notes.append(f"snapshot replaced {changes} times during {calls} calls: none failed")

    def measure_peers(self) -> None:
        """Other gateways. A peer that is slow is asked less often, and one that fails is left out of a case."""
        wanted = [case for case in PEERS if self.wants(case.name)]
        found = peers.installed()
        if not wanted or not found:
            if wanted:
                self.notes.append("no other gateway is installed: make bench-peers")
            return
        with peers.started(self.place, self.upstream) as ways:
            self.notes.append(f"peers: {json.dumps(found)}; served: {', '.join(ways) or 'none'}")
            self.ways.update(ways)
            self.measure_all(wanted, rounds=1)
            for name, way in ways.items():
                self.notes.append(f"{name}: {stand.rss_mb(way.pid)} MB resident")
                del self.ways[name]

    def measure_streams(self) -> Mapping[str, object]:
        """Ten thousand slow streams at once, by a fresh gateway; what nginx holds beside it."""
        if not self.wants(STREAMS) or self.arguments.no_streams:
            return {}
        found = {}
        for name in ("direct", "nginx", "gateway"):
            way = self.gateway("streams", self.content) if name == "gateway" else self.ways[name]
            found[name] = scenes.slow_streams(way, self.arguments.streams, self.files)
            print(f"{STREAMS}, {name}: {json.dumps(found[name])}", file=sys.stderr)
        return found

    def measure_hang_ups(self, tries: int = 200) -> Mapping[str, object]:
        """How long the provider is still asked for nobody."""
        if not self.wants(HANG_UPS):
            return {}
        place = self.place / "hang-ups"
        place.mkdir()

        def ways(upstream: str) -> Mapping[str, str]:
            nginx_url, _ = self.stack.enter_context(stand.nginx_server(place, upstream))
            return {"nginx": nginx_url, "gateway": self.gateway("patient", stand.snapshot(upstream)).url}

        return asyncio.run(hangups.measure(ways, tries))


def run(arguments: argparse.Namespace, place: Path) -> Mapping[str, object]:
    """Everything that was asked for."""
    with contextlib.ExitStack() as stack:
        started = stand.machine()
        bench = Bench(arguments, place, stack)
        bench.measure_all(CASES)
        after_mb = stand.rss_mb(bench.ways["gateway"].pid)
        bench.measure_translated()
        bench.measure_change()
        bench.measure_peers()
        bench.measure_crowd()
        hang_ups = bench.measure_hang_ups()
        streams = bench.measure_streams()
        return {
            "machine": {**started, "load_after": os.getloadavg()[0]},
            "rounds": arguments.rounds,
            "scale": arguments.scale,
            "gateway_rss_mb": {"idle": bench.idle_mb, "after": after_mb},
            "results": bench.results,
            "streams": streams,
            "hang_ups": hang_ups,
            "notes": bench.notes,
        }


def shown(outcome: Mapping[str, object]) -> str:
    """The whole outcome, for people."""
    results: Sequence[Mapping[str, object]] = outcome["results"]  # type: ignore[assignment]
    parts = [report.main_table(results), report.piece_table(results), report.other_table(results)]
    streams: Mapping[str, Mapping[str, object]] = outcome["streams"]  # type: ignore[assignment]
    lines = [f"{STREAMS}, {way}: {json.dumps(found)}" for way, found in streams.items()]
    hang_ups: Mapping[str, object] = outcome["hang_ups"]  # type: ignore[assignment]
    lines += [f"{HANG_UPS}, {way}: {json.dumps(found)}" for way, found in hang_ups.items()]
    notes: Sequence[str] = outcome["notes"]  # type: ignore[assignment]
    lines += [*notes, f"gateway RSS: {outcome['gateway_rss_mb']} MB; machine: {json.dumps(outcome['machine'])}"]
    return "\n\n".join(part for part in (*parts, "\n".join(lines)) if part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured each way [5]")
    parser.add_argument("--scale", type=float, default=0.5, help="more or fewer requests [0.5]")
    parser.add_argument("--only", default="", help="only the cases whose name holds this")
    parser.add_argument("--streams", type=int, default=10_000, help="how many slow streams at once [10000]")
    parser.add_argument("--no-streams", action="store_true", help="leave the slow streams out")
    parser.add_argument("--program", type=Path, help="a gateway program to measure instead of the installed one")
    parser.add_argument("--output", type=Path, default=stand.ROOT / "benches" / "results" / "latest.json")
    arguments = parser.parse_args()
    if not (stand.TOOLS / "load").exists():
        raise SystemExit("build the tools first: cargo build --release --manifest-path benches/tools/Cargo.toml")
    with tempfile.TemporaryDirectory(prefix="airside-bench-") as place:
        outcome = run(arguments, Path(place))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(outcome, indent=1) + "\n")
    print(shown(outcome))
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()

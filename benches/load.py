"""One run of the load generator, and what it is asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import stand


@dataclass(frozen=True)
class Case:
    """One kind of load."""

    name: str
    connections: int
    body_bytes: int
    requests: int
    stream: bool = False
    gap_us: int = 0
    answer_bytes: int = 600
    path: str = "/v1/messages"
    model: str = "bench"
    #: Who is measured; the first is what the others are compared with.
    ways: tuple[str, ...] = ("direct", "nginx", "gateway")


@dataclass(frozen=True)
class Way:
    """A server that is measured: where it is, whose processor time is its own, what it wants to be shown."""

    url: str
    pid: int = 0
    headers: Sequence[str] = field(default=(f"authorization: Bearer {stand.key()}",))
    #: Of the requests of a case; a slow peer gets fewer.
    share: float = 1.0


class LoadFailed(Exception):
    """The load generator met an answer that is none."""


def measure(way: Way, case: Case, scale: float, limit_s: float = 300) -> Mapping[str, object]:
    """Run one case one way. Every answer is checked; one that is wrong raises `LoadFailed`."""
    requests = max(case.connections * 4, 40, int(case.requests * scale * way.share))
    warmup = max(case.connections * 2, requests // 20)
    command = [
        str(stand.TOOLS / "load"),
        f"--url={way.url}",
        f"--path={case.path}",
        f"--model={case.model}",
        f"--connections={case.connections}",
        f"--requests={requests}",
        f"--warmup={warmup}",
        f"--body-bytes={case.body_bytes}",
    ]
    headers = [*way.headers, f"x-bench-response-bytes: {case.answer_bytes}"]
    if case.stream:
        command.append("--stream")
        headers += ["x-bench-events: 20", f"x-bench-gap-us: {case.gap_us}"]
    for header in headers:
        command += ["--header", header]
    family = stand.family_of(way.pid) if way.pid else []
    before = stand.processor_s(family)
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    after = stand.processor_s(family)
    if done.returncode:
        raise LoadFailed(f"{case.name} at {way.url}: {done.stderr[:1000]}")
    calls = requests + warmup
    cpu = {name: (now - then) / calls * 1e6 for name, then, now in zip(("user", "kernel"), before, after, strict=True)}
    return {**json.loads(done.stdout), "cpu_us": cpu}

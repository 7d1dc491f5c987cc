"""What is not a closed loop of short calls: ten thousand slow streams, and configuration that changes under load."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import stand
from load import Case, Way, measure

#: Files that a stream takes in the gateway: one to its caller, one to its provider.
FILES_A_STREAM = 2
#: What a gateway has open besides.
SPARE_FILES = 80
EVENTS = 10


def slow_streams(way: Way, wanted: int, files: int, gap_ms: int = 1500) -> Mapping[str, object]:
    """Open this many streams at once, each an event every `gap_ms`; every one must come to its end.

    Memory is the highest that was seen of the process while they were open.
    """
    streams = min(wanted, (files - SPARE_FILES) // FILES_A_STREAM)
    command = [
        str(stand.TOOLS / "load"),
        f"--url={way.url}",
        f"--connections={streams}",
        f"--requests={streams}",
        "--warmup=0",
        "--ramp-ms=4000",
        "--keep-going",
        "--stream",
        "--body-bytes=1024",
    ]
    for header in [*way.headers, f"x-bench-events: {EVENTS}", f"x-bench-gap-us: {gap_ms * 1000}"]:
        command += ["--header", header]
    idle_mb, highest_mb = stand.rss_mb(way.pid), 0.0
    family = stand.family_of(way.pid) if way.pid else []
    before = stand.processor_s(family)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
        while load.poll() is None:
            highest_mb = max(highest_mb, stand.rss_mb(way.pid))
            time.sleep(0.25)
        said, complaints = load.communicate()
    after = stand.processor_s(family)
    if load.returncode:
        raise SystemExit(f"{streams} streams at {way.url}: {complaints[:1000]}")
    measured = json.loads(said)
    return {
        "streams": streams,
        "wanted": wanted,
        "lost": measured["failed"],
        "why_lost": measured["first_failure"],
        "seconds": measured["seconds"],
        "rss_mb": {"before": idle_mb, "highest": highest_mb},
        "cpu_s": {"user": after[0] - before[0], "kernel": after[1] - before[1]},
        "piece_us": measured["piece_us"],
    }


def under_change(
    way: Way, case: Case, scale: float, place: Path, content: Mapping[str, object]
) -> Mapping[str, object]:
    """Measure a case while the gateway's snapshot is replaced every fifth of a second; an answer that fails raises."""
    version, is_over = int(str(content["version"])), threading.Event()
    changes = 0

    def change() -> None:
        nonlocal changes
        while not is_over.wait(0.2):
            changes += 1
            stand.write_snapshot(place, {**content, "version": version + changes})

    changer = threading.Thread(target=change)
    changer.start()
    try:
        measured = measure(way, case, scale)
    finally:
        is_over.set()
        changer.join()
    return {**measured, "changes": changes}

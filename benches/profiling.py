"""Where a call's time goes, in the gateway alone: four looks at it, all but the last two steady on a busy machine.

    python benches/profiling.py callgrind [--case 1KB] [--inclusive]   instructions a call, by function
    python benches/profiling.py strace    [--case 1KB]                 system calls, counted
    python benches/profiling.py time      [--case 1KB]                 user and kernel microseconds a call, by thread
    python benches/profiling.py perf      [--case 1KB]                 samples by function, the kernel's too

They need valgrind, strace or perf, and the build that keeps names:
    cargo build --manifest-path gateway/Cargo.toml --profile profiling --example serve -p airside-server
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import stand
from load import Case, Way, measure

PROGRAM = stand.ROOT / "gateway" / "target" / "profiling" / "examples" / "serve"
KB = 1024
CASES = {
    "1KB": Case("1 KB", 1, KB, 1000),
    "1KBx32": Case("1 KB x 32", 32, KB, 1000),
    "100KB": Case("100 KB", 1, 100 * KB, 300),
    "1MB": Case("1 MB", 1, KB * KB, 100),
    "stream": Case("stream", 1, KB, 500, stream=True),
    "slow": Case("slow stream", 32, KB, 500, stream=True, gap_us=500),
}
SKIPPED_LINE = re.compile(r"\s*([\d,]+) \(\s*([\d.]+)%\)\s+(.*)")


@dataclass(frozen=True)
class Bench:
    """A gateway that is looked at."""

    pid: int
    place: Path
    #: Make the case's calls and return how many they were.
    drive: Callable[[float], int]
    inclusive: bool
    lines: int


def callgrind(bench: Bench) -> None:
    """Instructions a call, by function."""
    control = ["callgrind_control"]
    subprocess.run([*control, "-i", "on", str(bench.pid)], check=True, capture_output=True)
    calls = bench.drive(1)
    for order in (["-i", "off"], ["-d"]):
        subprocess.run([*control, *order, str(bench.pid)], check=True, capture_output=True)
    time.sleep(1)  # the dump is written by the program itself, when it next looks
    out = max(bench.place.glob("callgrind.out*"), key=lambda path: path.stat().st_size)
    command = ["callgrind_annotate", f"--inclusive={'yes' if bench.inclusive else 'no'}", "--threshold=100", str(out)]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [match for match in map(SKIPPED_LINE.match, report.splitlines()) if match]
    for match in found[: bench.lines]:
        count = int(match[1].replace(",", "")) / calls
        print(f"{count:10,.0f}  {match[2]:>6}%  {re.sub(r'[^ ]*/', '', match[3])[:150]}")


def strace(bench: Bench) -> None:
    """System calls of a run, counted."""
    with subprocess.Popen(["strace", "-c", "-f", "-p", str(bench.pid)], stderr=subprocess.PIPE, text=True) as tracer:
        time.sleep(0.5)
        calls = bench.drive(1)
        tracer.terminate()
        print(f"{calls} calls\n{tracer.communicate()[1]}")


def by_thread(pid: int) -> dict[str, tuple[float, float]]:
    """User and kernel seconds of each thread so far."""
    found, tick = {}, os.sysconf("SC_CLK_TCK")
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = f"{(task / 'comm').read_text().strip()} {task.name}"
        fields = (task / "stat").read_text().rsplit(") ", 1)[1].split()
        found[name] = (int(fields[11]) / tick, int(fields[12]) / tick)
    return found


def thread_time(bench: Bench) -> None:
    """User and kernel microseconds a call, by thread."""
    before = by_thread(bench.pid)
    calls = bench.drive(20)
    for name, now in by_thread(bench.pid).items():
        then = before.get(name, (0.0, 0.0))
        user, kernel = ((new - old) / calls * 1e6 for new, old in zip(now, then, strict=True))
        print(f"{name:26} user {user:5.1f} us, kernel {kernel:5.1f} us a call")


def perf(bench: Bench) -> None:
    """Samples by function."""
    data = str(bench.place / "perf.data")
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "5000", "-g", "-p", str(bench.pid), "-o", data]
    with subprocess.Popen(record) as recorder:
        bench.drive(20)
        recorder.send_signal(signal.SIGINT)
    report = ["perf", "report", "-i", data, "--no-children", "-g", "none", "--stdio", "--percent-limit", "0.4"]
    subprocess.run(report, check=True, stderr=subprocess.DEVNULL)


LOOKS = {"callgrind": callgrind, "strace": strace, "time": thread_time, "perf": perf}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("look", choices=LOOKS)
    parser.add_argument("--case", choices=CASES, default="1KB")
    parser.add_argument("--program", type=Path, default=PROGRAM)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--inclusive", action="store_true", help="of a function with all it calls")
    parser.add_argument("--lines", type=int, default=45)
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    with tempfile.TemporaryDirectory(prefix="airside-profile-") as text, contextlib.ExitStack() as stack:
        place = Path(text)
        url, _ = stack.enter_context(stand.upstream_server(place))
        snapshot = stand.write_snapshot(place, stand.snapshot(url))
        command = [
            str(arguments.program),
            "--listen=127.0.0.1:0",
            f"--data={place / 'data'}",
            f"--snapshot={snapshot}",
            f"--workers={arguments.workers}",
        ]
        if arguments.look == "callgrind":
            valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
            command = [*valgrind, f"--callgrind-out-file={place}/callgrind.out", *command]
        gateway = stack.enter_context(stand.process(command, place / "gateway.log"))
        way = Way(str(stand.first_line(gateway)["url"]))

        def drive(scale: float) -> int:
            made = int(str(measure(way, case, scale)["requests"]))
            return made + max(case.connections * 2, made // 20)

        drive(0.1)
        LOOKS[arguments.look](Bench(gateway.pid, place, drive, arguments.inclusive, arguments.lines))


if __name__ == "__main__":
    main()

"""Where a call's time goes: five looks at it, of which the first two are steady on a busy machine.

    python benches/profiling.py callgrind [--case 1KB] [--inclusive]   instructions a call, by function
    python benches/profiling.py strace    [--case 1KB]                 system calls, counted
    python benches/profiling.py time      [--case 1KB]                 user and kernel microseconds a call, by thread
    python benches/profiling.py perf      [--case 1KB]                 samples by function, the kernel's too
    python benches/profiling.py timeline  [--case 1KB]                 when whose system calls come, from a call's start

They need valgrind, strace or perf (as root, for the timeline), and the build that keeps names:
    cargo build --manifest-path gateway/Cargo.toml --profile profiling --example serve -p airside-server
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
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
#: System calls of x86-64 that a call is made of.
NAMED = {20: "writev", 44: "sendto", 45: "recvfrom", 202: "futex", 232: "epoll_wait", 233: "epoll_ctl"}
SENDTO = 44
TRACED = re.compile(
    r"\s*(?P<who>load|upstream|airside-worker-)\s+(?P<at>[\d.]+):\s+"
    r"raw_syscalls:sys_(?P<way>enter|exit): NR (?P<number>\d+)"
)
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


@dataclass(frozen=True)
class Turn:
    """A system call of one of the three programs, on its way in or out."""

    program: str
    is_exit: bool
    number: int
    at_us: float

    def __str__(self) -> str:
        return (
            f"{self.program:16} {'is back from' if self.is_exit else 'goes into'} {NAMED.get(self.number, self.number)}"
        )


def turns(data: str) -> list[Turn]:
    """What perf saw of the load generator, the gateway's workers and the upstream."""
    script = ["perf", "script", "-i", data, "-F", "comm,time,event,trace"]
    found = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    matches = (TRACED.match(line) for line in found.splitlines())
    return [Turn(m["who"], m["way"] == "exit", int(m["number"]), float(m["at"]) * 1e6) for m in matches if m]


def timeline(bench: Bench) -> None:
    """When each system call comes in the commonest order of one call's; medians, from the caller's sending on."""
    data = str(bench.place / "perf.data")
    events = [part for way in ("enter", "exit") for part in ("-e", f"raw_syscalls:sys_{way}", "--exclude-perf")]
    with subprocess.Popen(["perf", "record", "-q", "-a", "-m", "4096", *events, "-o", data]) as recorder:
        time.sleep(1)
        bench.drive(1)
        recorder.send_signal(signal.SIGINT)
    calls: list[list[Turn]] = []
    for turn in turns(data):
        if turn.program == "load" and turn.number == SENDTO and not turn.is_exit:
            calls.append([])
        if calls:
            calls[-1].append(turn)
    orders = Counter(tuple(map(str, call)) for call in calls)
    order, count = orders.most_common(1)[0]
    alike = [call for call in calls if tuple(map(str, call)) == order]
    print(f"{count} of {len(calls)} calls go like this; microseconds from the start, and from the step before")
    for step, words in enumerate(order):
        since = [call[step].at_us - call[0].at_us for call in alike]
        took = [call[step].at_us - call[max(step - 1, 0)].at_us for call in alike]
        print(f"{statistics.median(since):8.1f} {statistics.median(took):+7.1f}  {words}")


LOOKS = {"callgrind": callgrind, "strace": strace, "time": thread_time, "perf": perf, "timeline": timeline}


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

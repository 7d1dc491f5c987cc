"""What goes wrong around a gateway, as named scenarios. `make faults` runs them all, in their long profile.

Each scenario says what it does and what it holds the gateway to; it passes only if the gateway is whole afterwards: it
answers, its file descriptors are back, and every call has exactly one record.
"""

from __future__ import annotations

import http.client
import json
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from gateway_control_plane import AGENT, ControlPlane
from gateway_processes import GatewayProcess, LoopbackServer, exchange, until
from gateway_provider import COST_NANOUSD, Provider

Start = Callable[..., GatewayProcess]
BODY = {"model": "m", "max_tokens": 5}
KEPT_CONNECTIONS = 32
#: What stands between a program and its clock (Debian: libfaketime); `tools/system-packages` installs it.
CLOCK_LIBRARY = "faketime/libfaketime.so.1"
HOUR_S = 3600
REFUSED = {429, 500, 502, 503, 504, 529}
GARBAGE = {
    "no HTTP": b"nonsense\r\n\r\n",
    "no status": b"HTTP/1.1 xyz\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    "a length that lies": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{}",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 100_000,
    "bad chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "no JSON": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n<html>",
    "an empty answer": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
    "packed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00",
    "events without an end": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: " + b"x" * (3 << 20),
    "events that are none": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\xff\xfe\x00\n\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n{}",
    "silence and the end": b"",
}


@dataclass(frozen=True)
class Profile:
    """How much of everything: short in the test run, long in `make faults`."""

    calls: int
    connections: int
    swaps: int


@pytest.fixture
def profile(pytestconfig: pytest.Config) -> Profile:
    is_long = pytestconfig.getoption("markexpr") == "fault"
    return Profile(2000, 1000, 100) if is_long else Profile(60, 150, 10)


@pytest.fixture
def raw_provider() -> Iterator[Callable[[bytes], str]]:
    """Providers that answer whatever they are asked with these bytes and hang up."""
    with ExitStack() as stack:

        def serve(answer: bytes) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def work() -> None:
                while True:
                    try:
                        caller, _ = listener.accept()
                    except OSError:
                        return
                    with caller:
                        try:
                            caller.settimeout(5)
                            caller.recv(65536)
                            caller.sendall(answer)
                        except OSError:
                            pass  # the gateway had enough of it

            threading.Thread(target=work, daemon=True).start()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield serve


@pytest.fixture
def gateway(joined: Start, control: ControlPlane, provider: Provider) -> Iterator[GatewayProcess]:
    """A gateway that is whole before and after."""
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    before = descriptors(gateway)
    yield gateway
    until(lambda: gateway.message(control.key).status == 200, "an answer")
    # Connections to providers are kept for a while: one for each caller there was at a time.
    until(lambda: descriptors(gateway) <= before + KEPT_CONNECTIONS, "descriptors given back")
    until(lambda: gateway.readiness()["ready"], "readiness")
    calls = control.calls()
    assert len({call["call_id"] for call in calls}) == len(calls)


def descriptors(gateway: GatewayProcess) -> int:
    return sum(1 for _ in Path(f"/proc/{gateway.pid}/fd").iterdir())


def many(gateway: GatewayProcess, key: str, count: int, *, threads: int = 8) -> list[int]:
    """So many calls over kept connections; their statuses."""
    statuses: list[int] = []
    lock = threading.Lock()

    def work(share: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
        for _ in range(share):
            status = exchange(connection, "POST", "/v1/messages", BODY, key=key).status
            with lock:
                statuses.append(status)
        connection.close()

    workers = [threading.Thread(target=work, args=(count // threads,)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return statuses


def say(name: str, done: str, checked: str) -> None:
    print(f"\n  {name}\n    done:    {done}\n    checked: {checked}\n    result:  held", flush=True)


pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def test_a_provider_talks_garbage(
    gateway: GatewayProcess, control: ControlPlane, provider: Provider, raw_provider: Callable[[bytes], str]
) -> None:
    assert control.snapshot is not None
    for version, (what, answer) in enumerate(GARBAGE.items(), start=2):
        url = raw_provider(answer)
        providers = [{**control.snapshot["providers"][0], "base_url": url}]
        control.serve_from(provider, version=version, providers=providers)
        gateway.wait_for_snapshot(version)
        for stream in (False, True):
            reply = gateway.message(control.key, stream=stream)
            assert reply.status in REFUSED or b"event: error" in reply.body, (what, reply)
            assert b"message_stop" not in reply.body, what
    control.serve_from(provider, version=100)
    gateway.wait_for_snapshot(100)
    until(lambda: len(control.calls()) >= 2 * len(GARBAGE), "records")
    assert all(call["outcome"] != "completed" for call in control.calls()[1 : 1 + 2 * len(GARBAGE)])
    say("garbage", f"a provider gives {len(GARBAGE)} kinds of nonsense", "none is a success, none is kept in memory")


def test_a_provider_refuses_in_a_storm(
    gateway: GatewayProcess, control: ControlPlane, provider: Provider, profile: Profile
) -> None:
    asked = [0]

    class Busy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked[0] += 1
            self.send_response(429)
            self.send_header("retry-after", "60")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    assert control.snapshot is not None
    server = LoopbackServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    first = control.snapshot["providers"][0]
    busy = {**first, "name": "busy", "base_url": f"http://127.0.0.1:{server.server_address[1]}"}
    target = control.snapshot["models"][0]["route"][0]["to"][0]
    route = [{"to": [{**target, "provider": "busy"}, target]}]
    control.serve_from(provider, version=2, providers=[first, busy], models=[{"name": "m", "route": route}])
    gateway.wait_for_snapshot(2)
    statuses = many(gateway, control.key, profile.calls)
    server.shutdown()
    server.server_close()
    assert set(statuses) == {200}
    assert asked[0] <= 16, "a provider that says when to come back is left alone until then"
    say(
        "429 storm",
        f"{len(statuses)} calls, the first provider refuses all",
        f"all answered, it was asked {asked[0]} times",
    )


def test_the_control_plane_goes_away(gateway: GatewayProcess, control: ControlPlane, profile: Profile) -> None:
    control.set_away(away=True)
    statuses = many(gateway, control.key, profile.calls)
    assert set(statuses) == {200}
    control.set_away(away=False)
    until(lambda: len(control.calls("completed")) >= len(statuses) + 1, "every record")
    say("control plane away", f"{len(statuses)} calls without it", "all answered, all recorded once it was back")


def test_the_configuration_changes_under_load(
    gateway: GatewayProcess, control: ControlPlane, provider: Provider, profile: Profile
) -> None:
    over = threading.Event()
    statuses: list[int] = []

    def work() -> None:
        while not over.is_set():
            statuses.extend(many(gateway, control.key, 8, threads=4))

    worker = threading.Thread(target=work)
    worker.start()
    for version in range(2, 2 + profile.swaps):
        control.serve_from(provider, version=version)
        gateway.wait_for_snapshot(version)
    over.set()
    worker.join()
    assert set(statuses) == {200}
    say("snapshot swaps", f"{profile.swaps} snapshots under {len(statuses)} calls", "no call failed")


def test_the_disk_is_full(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined(file_limit=1 << 20)
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 503
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(lambda: gateway.readiness()["ready"], "readiness without a call")
    assert gateway.message(control.key).status == 200
    say("disk full", "no room for the journal, then room", "calls are refused meanwhile, and served without a restart")


def test_callers_read_slowly(
    gateway: GatewayProcess, control: ControlPlane, provider: Provider, profile: Profile
) -> None:
    provider.hold = True
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {control.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    slow = []
    for _ in range(profile.connections // 10):
        caller = socket.create_connection(("127.0.0.1", gateway.port))
        caller.sendall(head.encode() + body)
        slow.append(caller)
    for _ in slow:
        provider.wait_until_held()
    assert set(many(gateway, control.key, 40)) == {200}
    for caller in slow:
        caller.close()
    provider.release()
    until(lambda: len(control.calls("cancelled")) == len(slow), "cancelled calls")
    say("slow readers", f"{len(slow)} callers that read nothing and hang up", "others are served, each is cancelled")


def test_a_thousand_connections_and_half_a_request_on_each(
    gateway: GatewayProcess, control: ControlPlane, profile: Profile
) -> None:
    half = []
    for _ in range(profile.connections):
        caller = socket.create_connection(("127.0.0.1", gateway.port))
        caller.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-a")
        half.append(caller)
    assert set(many(gateway, control.key, 40)) == {200}
    for caller in half:
        caller.close()
    say("half requests", f"{len(half)} connections that never finish a head", "others are served")


def test_descriptors_run_out(gateway: GatewayProcess, control: ControlPlane) -> None:
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (descriptors(gateway) + 20, hard))
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(60)]
    until(lambda: "accept_failed" in gateway.log(), "no more descriptors")
    for caller in idle:
        caller.close()
    until(lambda: gateway.message(control.key).status == 200, "recovery")
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (hard, hard))
    say("descriptors run out", "20 descriptors for 60 connections", "it waits, and serves when some are free")


def test_killed_under_load(
    gateway: GatewayProcess, control: ControlPlane, provider: Provider, profile: Profile
) -> None:
    provider.hold = True
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {control.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    callers = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(profile.connections // 30)]
    for caller in callers:
        caller.sendall(head.encode() + body)
        provider.wait_until_held()
    gateway.kill()
    for caller in callers:
        caller.close()
    provider.release()
    gateway.start()
    until(lambda: len(control.calls("lost")) == len(callers), "lost calls")
    say("kill -9", f"killed with {len(callers)} streams open", "each is recorded as lost, once")


class WallClock:
    """The time of day of one process, moved from outside. What measures durations is left alone, as by a real jump."""

    def __init__(self, place: Path) -> None:
        library = next(Path("/usr/lib").glob(f"*/{CLOCK_LIBRARY}"), None)
        if library is None:
            pytest.skip("the clock can be moved only with libfaketime: apt-get install libfaketime")
        self.file = place / "clock"
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.jump(0)

    def jump(self, by_s: int) -> None:
        """So far from the true time, from now on."""
        part = self.file.with_suffix(".part")
        part.write_text(f"{by_s:+d}\n")
        part.rename(self.file)


def spend_all(gateway: GatewayProcess, key: str) -> int:
    """Calls until the budget refuses one; how many were answered."""
    for count in range(100):
        status = gateway.message(key).status
        if status != 200:
            assert status == 402
            return count
    raise AssertionError("no cap was met")


def test_the_clock_jumps(
    start: Start, control: ControlPlane, provider: Provider, tmp_path: Path, profile: Profile
) -> None:
    clock = WallClock(tmp_path)
    # The bound of one call, and what three cost: the hour is spent after a few.
    cap = 2_300_000 + 3 * COST_NANOUSD
    budget = {"budget_id": "b", "scope": "agent", "scope_id": AGENT, "limit_nanousd": cap, "window": "hour"}
    control.serve_from(provider)
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(control.snapshot))
    gateway = start("--snapshot", str(file), environment=clock.environment)

    # A stream that is open goes on, whatever the time of day becomes; so does everything that asks.
    provider.hold = True
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {control.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as caller:
        caller.sendall(head.encode() + body)
        provider.wait_until_held()
        answered = 0
        for by_s in (HOUR_S, -HOUR_S, 30 * 24 * HOUR_S, 0):
            clock.jump(by_s)
            statuses = many(gateway, control.key, profile.calls // 4)
            assert set(statuses) == {200}, f"the clock stands {by_s} s from the truth"
            answered += len(statuses)
        provider.release()
        text = b""
        while piece := caller.recv(65536):
            text += piece
            if b"message_stop" in text:
                break
    provider.hold = False
    records = gateway.records(answered + 1)
    assert [record["sequence"] for record in records] == list(range(1, answered + 2))
    assert all(record["outcome"] == "completed" for record in records)
    lengths_s = [record["timings"]["total_us"] / 1e6 for record in records]
    assert max(lengths_s) < HOUR_S / 10, "how long a call took is not read off the wall"

    # Each hour has its budget; one that comes again is as spent as it was left.
    file.write_text(json.dumps({**dict(control.snapshot or {}), "version": 2, "budgets": [budget]}))
    until(lambda: gateway.readiness()["snapshot_version"] == 2, "the budget")
    clock.jump(-100 * HOUR_S)
    first = spend_all(gateway, control.key)
    clock.jump(-99 * HOUR_S)
    assert spend_all(gateway, control.key) == first > 0
    clock.jump(-100 * HOUR_S)
    assert spend_all(gateway, control.key) == 0
    say(
        "clock jumps",
        f"an hour on, an hour back, a month on, under {answered} calls and a stream; then between spent hours",
        "no call failed or was cut, durations are true, an hour that comes again is spent",
    )

"""A new gateway takes over from one under load: no request refused, none cut, every call with one record."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from gateway_control_plane import ControlPlane, price
from gateway_processes import GatewayProcess, exchange, run_to_end, until
from gateway_provider import Provider

Start = Callable[..., GatewayProcess]
BODY = {"model": "m", "max_tokens": 5}


class Callers:
    """Callers that go on until they are told to stop, some over kept connections, some over new ones each time."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self.answered = 0
        self.failures: list[str] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call, args=(kept,)) for kept in (True, True, False, False)]
        for thread in self._threads:
            thread.start()

    def _call(self, kept: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self._over.is_set():
            try:
                status = exchange(connection, "POST", "/v1/messages", BODY, key=self.key).status
                failure = None if status == 200 else f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection.close()
            with self._lock:
                self.answered += failure is None
                self.failures += [failure] if failure else []
            if not kept:
                connection.close()
        connection.close()

    def more(self, count: int) -> None:
        """Wait until so many more calls were answered."""
        wanted = self.answered + count
        until(lambda: self.answered >= wanted or self.failures, "calls")

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def begin_stream(gateway: GatewayProcess, key: str) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", gateway.port))
    body = json.dumps({**BODY, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    caller.sendall(head.encode() + body)
    return caller


def rest_of(caller: socket.socket) -> bytes:
    """All that still comes of an answer in chunks."""
    caller.settimeout(20)
    answer = b""
    with caller:
        while not answer.endswith(b"0\r\n\r\n"):
            more = caller.recv(65536)
            assert more, answer
            answer += more
    return answer


def test_taken_over_again_and_again_under_load_nothing_is_refused_or_cut(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    provider.hold = True
    streams = [begin_stream(gateway, control.key) for _ in range(5)]
    for _ in streams:
        provider.wait_until_held()
    callers = Callers(gateway.port, control.key)
    gateways = [gateway]
    for _ in range(3):
        callers.more(30)
        gateways.append(joined("--take-over", port=gateway.port))
        callers.more(30)
    provider.release()
    for stream in streams:
        assert b"message_stop" in rest_of(stream)
    callers.stop()
    assert callers.failures == []
    ids = [each.ready["gateway_id"] for each in gateways]
    assert all(old != new for old, new in pairwise(ids))
    # The old ones end by themselves, in order.
    assert [each.wait() for each in gateways[:-1]] == [0, 0, 0]
    records = control.wait_for_calls(callers.answered + len(streams))
    assert {record["outcome"] for record in records} == {"completed"}
    assert len({record["call_id"] for record in records}) == len(records)
    assert gateways[-1].message(control.key).status == 200


def test_a_kept_connection_moves_to_the_new_gateway_with_its_next_answer(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    old = joined()
    old.wait_for_snapshot(1)
    connection = http.client.HTTPConnection("127.0.0.1", old.port, timeout=20)
    assert exchange(connection, "POST", "/v1/messages", BODY, key=control.key).status == 200
    joined("--take-over", port=old.port)
    last = exchange(connection, "POST", "/v1/messages", BODY, key=control.key)
    assert (last.status, last.headers["connection"]) == (200, "close")
    assert old.wait() == 0
    assert exchange(connection, "POST", "/v1/messages", BODY, key=control.key).status == 200
    connection.close()


def test_what_a_killed_predecessor_left_is_delivered_by_its_successor(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    old = joined()
    old.wait_for_snapshot(1)
    provider.hold = True
    stream = begin_stream(old, control.key)
    provider.wait_until_held()
    new = joined("--take-over", port=old.port)
    old.kill()
    stream.close()
    assert new.message(control.key).status == 200
    assert sorted(record["outcome"] for record in control.wait_for_calls(2)) == ["completed", "lost"]


def test_a_successor_that_cannot_serve_leaves_the_old_gateway_as_it_was(
    joined: Start, control: ControlPlane, provider: Provider, tmp_path: Path
) -> None:
    control.serve_from(provider)
    old = joined()
    old.wait_for_snapshot(1)
    token = str(tmp_path / "join-token")
    source = ("--control", control.url, "--join-token-file", token)
    failed = run_to_end("--data", str(old.data), "--listen", "127.0.0.1:9", *source, "--take-over")
    assert failed.returncode == 1
    assert "the gateway that is taken over from serves on" in failed.stderr
    refused = run_to_end("--data", str(old.data), *source)
    assert "in use by another gateway" in refused.stderr
    assert old.message(control.key).status == 200
    assert joined("--take-over", port=old.port).message(control.key).status == 200


@pytest.mark.parametrize("field", ["budgets", "session_token_keys"])
def test_without_a_control_plane_nothing_that_counts_is_taken_over(
    start: Start, control: ControlPlane, provider: Provider, tmp_path: Path, field: str
) -> None:
    control.serve_from(provider, budgets=control.agent_budget(10**9))
    assert control.snapshot is not None
    snapshot = {**control.snapshot, "budgets": [], "session_token_keys": [], field: control.snapshot[field]}
    assert price() in [target["price"] for target in snapshot["models"][0]["route"][0]["to"]]
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(snapshot))
    old = start("--snapshot", str(path))
    failed = run_to_end("--data", str(old.data), "--listen", "127.0.0.1:0", "--snapshot", str(path), "--take-over")
    assert "use a control plane" in failed.stderr
    assert old.message(control.key).status == 200

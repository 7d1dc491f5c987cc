"""kill -9 of the gateway at any moment: nothing is lost, nothing is billed twice."""

from __future__ import annotations

import http.client
import resource
import socket
import threading
from collections.abc import Callable

from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess, exchange, until
from gateway_provider import COST_NANOUSD, Provider

Start = Callable[..., GatewayProcess]


def begin_stream(gateway: GatewayProcess, key: str) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", gateway.port))
    body = b'{"model":"m","max_tokens":5,"stream":true}'
    head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    caller.sendall(head.encode() + body)
    return caller


def test_a_call_killed_in_the_middle_is_lost_once_and_billed_for_its_input(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider, budgets=control.agent_budget(10**12))
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    provider.hold = True
    with begin_stream(gateway, control.key):
        provider.wait_until_held()
        gateway.kill()
    provider.release()
    gateway.start()
    completed, lost = control.wait_for_calls(2)
    assert (completed["outcome"], lost["outcome"], lost["usage_source"]) == ("completed", "lost", "estimated")
    assert 0 < lost["cost_nanousd"] < lost["hold_nanousd"]
    assert lost["charges"][0]["nanousd"] == lost["cost_nanousd"]
    gateway.kill()
    gateway.start()
    assert gateway.message(control.key).status == 200
    assert [record["outcome"] for record in control.wait_for_calls(3)] == ["completed", "lost", "completed"]


def test_what_was_lost_still_counts_against_the_budget(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.reject_journal = True  # the control plane learns nothing of it: only the spool knows
    control.serve_from(provider, budgets=control.agent_budget(2_200_000 + 2_100_000))
    gateway = joined()
    gateway.wait_for_snapshot(1)
    provider.hold = True
    with begin_stream(gateway, control.key):
        provider.wait_until_held()
        gateway.kill()
    provider.release()
    gateway.start()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 402
    control.reject_journal = False
    assert [record["outcome"] for record in control.wait_for_calls(2)] == ["lost", "refused"]


def test_killed_again_and_again_under_load_every_call_has_one_record(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    answered, over, lock = [0], threading.Event(), threading.Lock()

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
        while not over.is_set():
            try:
                body = {"model": "m", "max_tokens": 5}
                if exchange(connection, "POST", "/v1/messages", body, key=control.key).status == 200:
                    with lock:
                        answered[0] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(5):
        before = answered[0]
        until(lambda before=before: answered[0] > before + 20, "some calls")
        gateway.kill()
        gateway.start()
        gateway.wait_for_snapshot(1)
    over.set()
    for caller in callers:
        caller.join()
    assert gateway.stop() == 0
    gateway.start()
    state = until(
        lambda: (now := gateway.readiness()["journal"])["acknowledged"] == now["sequence"] and now, "delivery"
    )
    records = control.calls()
    assert [record["sequence"] for record in records] == list(range(1, state["sequence"] + 1))
    assert len({record["call_id"] for record in records}) == len(records)
    completed = [record for record in records if record["outcome"] == "completed"]
    assert len(completed) >= answered[0], "who got an answer has a record"
    assert {record["outcome"] for record in records} <= {"completed", "lost", "cancelled"}
    assert len(records) <= provider.requests + 5 * 4
    assert all(record["cost_nanousd"] == COST_NANOUSD for record in completed)


def test_a_full_disk_refuses_calls_and_is_recovered_from(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined(file_limit=100_000)  # no file may grow to the size of a segment
    gateway.wait_for_snapshot(1)
    refused = gateway.message(control.key)
    assert (refused.status, refused.json["error"]["code"]) == (503, "journal_full")
    assert "retry-after" in refused.headers
    assert gateway.request("GET", "/readyz").status == 503
    assert provider.requests == 0
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert gateway.message(control.key).status == 200
    assert gateway.request("GET", "/readyz").status == 200
    assert [record["outcome"] for record in control.wait_for_calls(1)] == ["completed"]

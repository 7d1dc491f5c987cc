"""The gateway and its control plane: snapshots, session tokens, leases, the journal, and life without it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway_control_plane import AGENT, ControlPlane, now_s
from gateway_processes import GatewayProcess, exchange, until
from gateway_provider import COST_NANOUSD, SECRET, Provider

Start = Callable[..., GatewayProcess]


def test_calls_are_served_and_recorded(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    assert gateway.message(control.session_token()).status == 200
    by_key, by_session = control.wait_for_calls(2)
    assert (by_key["key_id"], by_key["cost_nanousd"], by_key["usage_source"]) == ("key_1", COST_NANOUSD, "provider")
    assert (by_session["session_id"], by_session["agent_version"]) == ("sesn_1", 3)
    assert provider.headers[0]["x-api-key"] == SECRET
    assert "authorization" not in provider.headers[0]


def test_without_a_snapshot_the_gateway_is_alive_and_not_ready(joined: Start, control: ControlPlane) -> None:
    gateway = joined()
    assert gateway.request("GET", "/healthz").status == 200
    assert gateway.request("GET", "/readyz").status == 503
    assert gateway.message(control.key).status == 503


def test_a_token_waits_for_the_snapshot_it_needs(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    token = control.session_token(minimum_snapshot=2)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(gateway.message, token)
        control.serve_from(provider, version=2)
        assert waiting.result().status == 200
    late = gateway.message(control.session_token("sesn_2", minimum_snapshot=99))
    assert (late.status, late.json["error"]["code"]) == (503, "snapshot_behind")


def test_a_revoked_session_is_refused_at_once(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    token = control.session_token()
    assert gateway.message(token).status == 200
    revoked = [{"session_id": "sesn_1", "until": "2100-01-01T00:00:00Z"}]
    control.serve_from(provider, version=2, revoked_sessions=revoked)
    gateway.wait_for_snapshot(2)
    assert gateway.message(token).status == 401
    assert gateway.message(control.session_token("sesn_2")).status == 200


def test_expired_and_forged_tokens_are_refused(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    now = now_s()
    assert gateway.message(control.session_token(expires_at=now - 60)).status == 401
    assert gateway.message(control.session_token(issued_at=now + 60)).status == 401
    token = control.session_token()
    body, _, signature = token.partition(".")
    assert gateway.message(f"{body}.{signature[:-4]}AAAA").status == 401
    assert gateway.message(control.session_token(models=["other"])).status == 403
    assert provider.requests == 0


def test_calls_go_on_while_the_control_plane_is_away_and_arrive_once(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    control.wait_for_calls(1)
    control.set_away(True)
    for _ in range(20):
        assert gateway.message(control.key).status == 200
    gateway.kill()
    gateway.start()
    assert gateway.message(control.key).status == 200, "the last good snapshot is on disk"
    control.set_away(False)
    assert {record["outcome"] for record in control.wait_for_calls(22)} == {"completed"}


def test_a_refused_batch_is_never_dropped(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    control.reject_journal = True
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    until(lambda: "journal_refused" in gateway.log(), "the complaint")
    control.reject_journal = False
    assert len(control.wait_for_calls(1)) == 1


def test_a_snapshot_of_tomorrow_is_refused_and_the_old_one_serves(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    control.serve_from(provider, version=2, format=2)
    state = until(lambda: gateway.readiness() if gateway.readiness()["snapshot_refused"] else None, "the refusal")
    assert "format 2" in state["snapshot_refused"]
    assert gateway.message(control.key).status == 200


def test_flushing_answers_when_everything_is_stored(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert gateway.message(control.key).status == 200
    path = "/internal/v1/journal/flush"
    flushed = gateway.request("POST", path, {"timeout_ms": 10_000}, key=control.token)
    assert flushed.json == {"flushed": True, "acknowledged": 1, "sequence": 1}
    assert len(control.calls()) == 1
    control.reject_journal = True
    assert gateway.message(control.key).status == 200
    behind = gateway.request("POST", path, {"timeout_ms": 50}, key=control.token)
    assert behind.json == {"flushed": False, "acknowledged": 1, "sequence": 2}
    assert gateway.request("POST", path, {"timeout_ms": 50}, key=control.key).status == 401


def test_secrets_are_nowhere_but_on_the_wire(
    joined: Start, control: ControlPlane, provider: Provider, tmp_path: Path
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    answer = gateway.message(control.key)
    metrics, state = gateway.request("GET", "/metrics"), gateway.request("GET", "/readyz")
    control.wait_for_calls(1)
    gateway.stop()
    seen = [answer.body, str(answer.headers).encode(), metrics.body, state.body, json.dumps(control.calls()).encode()]
    seen += [path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()]
    seen.append(gateway.log().encode())
    for secret in (SECRET, control.key, control.token):
        assert not any(secret.encode() in text for text in seen)


# --- budgets by lease ----------------------------------------------------------------------------------------------


def bound(text: str = "hi") -> int:
    """The most that `message(text=...)` can cost: a token a byte and a preamble, and its output."""
    body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    return (len(json.dumps(body)) + 2_000) * 1_000 + 100 * 2_000


def test_a_session_spends_its_cap_and_then_is_parked(joined: Start, control: ControlPlane, provider: Provider) -> None:
    cap = bound() + COST_NANOUSD
    control.serve_from(provider)
    control.caps["session:sesn_1"] = cap
    gateway = joined()
    gateway.wait_for_snapshot(1)
    token = control.session_token(budget_nanousd=cap)
    assert [gateway.message(token).status for _ in range(3)] == [200, 200, 402]
    refused = gateway.message(token).json["error"]
    assert refused["code"] == "budget_exceeded"
    assert "parked" in refused["message"]
    assert gateway.message(control.session_token("sesn_2")).status == 200, "another session has no cap"
    records = control.wait_for_calls(5)
    charges = {"scope": "session:sesn_1", "window_start": 0, "nanousd": COST_NANOUSD}
    assert [record["charges"] for record in records[:2]] == [[charges], [charges]]


def test_leases_are_renewed_slice_by_slice(joined: Start, control: ControlPlane, provider: Provider) -> None:
    control.slice_nanousd = bound() // 3
    control.serve_from(provider, budgets=control.agent_budget(bound() + 30 * COST_NANOUSD))
    gateway = joined()
    gateway.wait_for_snapshot(1)
    assert [gateway.message(control.key).status for _ in range(20)] == [200] * 20


def test_two_gateways_together_never_pass_the_cap(joined: Start, control: ControlPlane, provider: Provider) -> None:
    cap = bound() + 25 * COST_NANOUSD
    control.slice_nanousd = cap // 4
    control.serve_from(provider, budgets=control.agent_budget(cap))
    gateways = [joined(data="one"), joined(data="two")]
    for gateway in gateways:
        gateway.wait_for_snapshot(1)

    def spend(gateway: GatewayProcess) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
        body = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
        answers = [exchange(connection, "POST", "/v1/messages", body, key=control.key).status for _ in range(10)]
        connection.close()
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [status for statuses in pool.map(spend, gateways * 4) for status in statuses]
    assert set(answers) <= {200, 402}
    assert 402 in answers
    records = control.wait_for_calls(80)
    assert sum(record["cost_nanousd"] for record in records) <= cap
    assert sum(record["cost_nanousd"] for record in records) == answers.count(200) * COST_NANOUSD


def test_without_a_control_plane_a_lease_is_spent_and_no_more(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.slice_nanousd = bound() + 2 * COST_NANOUSD
    control.serve_from(provider, budgets=control.agent_budget(10**12))
    gateway = joined()
    gateway.wait_for_snapshot(1)
    until(lambda: (f"agent:{AGENT}", gateway.ready["gateway_id"]) in control.granted, "the lease")
    assert gateway.message(control.key).status == 200
    control.wait_for_calls(1)
    control.set_away(True)
    granted = control.granted[f"agent:{AGENT}", str(gateway.ready["gateway_id"])]
    statuses = [gateway.message(control.key).status for _ in range(granted // COST_NANOUSD + 1)][-1:]
    assert statuses == [402]
    unknown = gateway.message(control.session_token("sesn_9", agent_id="agent_2", budget_nanousd=10**9))
    assert (unknown.status, unknown.json["error"]["code"]) == (503, "lease_unavailable")
    assert "retry-after" in unknown.headers
    control.set_away(False)
    until(lambda: gateway.message(control.key).status == 200, "service")

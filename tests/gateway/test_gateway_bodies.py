"""Bodies of calls: off unless asked for, without secrets, within bounds, and never in the way of a call."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess
from gateway_provider import SECRET, Provider

Start = Callable[..., GatewayProcess]


def recording(**fields: object) -> dict[str, Any]:
    return {"recordings": [{"project": "proj_1", "bodies": "redacted", **fields}]}


def started(joined: Start, control: ControlPlane, provider: Provider, *options: str, **fields: Any) -> GatewayProcess:
    control.serve_from(provider, **fields)
    gateway = joined(*options)
    gateway.wait_for_snapshot(1)
    return gateway


def test_nothing_is_kept_unless_a_project_asks(joined: Start, control: ControlPlane, provider: Provider) -> None:
    other = {"recordings": [{"project": "proj_2", "bodies": "full"}, {"project": "proj_1", "bodies": "off"}]}
    gateway = started(joined, control, provider, **other)
    assert gateway.message(control.key, text="my words").status == 200
    (record,) = control.wait_for_calls(1)
    assert record["bodies"] is None
    assert list((gateway.data / "bodies").iterdir()) == []
    assert not any(b"my words" in path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())


def test_secrets_are_taken_out_before_anything_is_written(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    fields = recording(emails=True, patterns=[r"\bORD-[0-9]{6}\b"])
    gateway = started(joined, control, provider, **fields)
    secrets = [control.key, SECRET, control.token, "ghp_" + "a" * 36, "me@example.com", "ORD-123456"]
    answer = gateway.message(control.key, text=f"keep this, lose {' and '.join(secrets)}.")
    (record,) = control.wait_for_calls(1)
    assert record["bodies"] == "kept"
    kept = control.wait_for_bodies(record["call_id"])
    request = json.loads(gzip.decompress(kept.request_gzip))
    assert request["messages"][0]["content"] == f"keep this, lose {' and '.join(['[redacted]'] * 6)}."
    assert gzip.decompress(kept.answer_gzip) == answer.body
    assert (kept.mode, kept.redactions, kept.project, kept.retention_days) == ("redacted", 6, "proj_1", 30)
    assert (kept.request_bytes, kept.answer_bytes) == (record["bytes_in"], record["bytes_out"])


def test_in_full_only_the_gateways_own_secrets_are_missing(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    gateway = started(joined, control, provider, **recording(bodies="full"))
    gateway.message(control.key, text=f"{SECRET} {control.key} me@example.com ghp_{'a' * 36}")
    (record,) = control.wait_for_calls(1)
    request = json.loads(gzip.decompress(control.wait_for_bodies(record["call_id"]).request_gzip))
    assert request["messages"][0]["content"] == f"[redacted] [redacted] me@example.com ghp_{'a' * 36}"


def test_a_stream_is_kept_as_its_caller_read_it(joined: Start, control: ControlPlane, provider: Provider) -> None:
    gateway = started(joined, control, provider, **recording())
    answer = gateway.message(control.key, stream=True)
    (record,) = control.wait_for_calls(1)
    assert gzip.decompress(control.wait_for_bodies(record["call_id"]).answer_gzip) == answer.body


def test_long_bodies_are_cut(joined: Start, control: ControlPlane, provider: Provider) -> None:
    gateway = started(joined, control, provider, **recording(max_bytes=2048))
    assert gateway.message(control.key, text="x" * 100_000).status == 200
    (record,) = control.wait_for_calls(1)
    kept = control.wait_for_bodies(record["call_id"])
    assert len(gzip.decompress(kept.request_gzip)) == 2048
    assert kept.request_bytes == record["bytes_in"] > 100_000


@pytest.mark.parametrize(("audited", "status"), [(False, 200), (True, 503)])
def test_without_room_bodies_are_dropped_or_the_call_is_refused(
    joined: Start, control: ControlPlane, provider: Provider, audited: bool, status: int
) -> None:
    fields = recording(audited=audited, max_bytes=2048)
    gateway = started(joined, control, provider, "--body-bytes", "100", **fields)
    answer = gateway.message(control.key)
    assert answer.status == status
    (record,) = control.wait_for_calls(1)
    assert (record["bodies"], record["error_code"]) == ((None, "bodies_full") if audited else ("dropped", None))
    metrics = gateway.request("GET", "/metrics").body.decode()
    assert f"airside_gateway_bodies_dropped_total {0 if audited else 1}\n" in metrics


def test_a_pattern_nobody_can_use_keeps_nothing(joined: Start, control: ControlPlane, provider: Provider) -> None:
    gateway = started(joined, control, provider, **recording(patterns=["("]))
    assert gateway.message(control.key).status == 200
    assert control.wait_for_calls(1)[0]["bodies"] == "dropped"


def test_bodies_wait_for_a_control_plane_that_is_away(joined: Start, control: ControlPlane, provider: Provider) -> None:
    gateway = started(joined, control, provider, **recording())
    control.set_away(True)
    assert gateway.message(control.key).status == 200
    gateway.stop()
    waiting = list((gateway.data / "bodies").iterdir())
    assert len(waiting) == 1
    assert waiting[0].stat().st_mode & 0o077 == 0
    control.set_away(False)
    gateway.start()
    (record,) = control.wait_for_calls(1)
    assert control.wait_for_bodies(record["call_id"]).mode == "redacted"

"""What the gateway writes down of a call, and how it is told elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess
from gateway_provider import Provider
from pydantic import BaseModel, create_model

from airside.dataplanes.journal import ModelCall

Start = Callable[..., GatewayProcess]

CLAUDE = {
    "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
    "x-claude-code-session-id": "s1",
    "x-claude-code-agent-id": "a2",
    "x-claude-code-parent-agent-id": "a1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
MESSAGE = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def unknown_to(model: type[BaseModel], value: Mapping[str, Any]) -> list[str]:
    """What a record says that the contract has no field for, at the top level and one below."""
    found = sorted(set(value) - set(model.model_fields))
    loaded = model.model_validate(value)
    for name, inner in value.items():
        field = getattr(loaded, name, None)
        if isinstance(field, BaseModel) and isinstance(inner, dict):
            found += [f"{name}.{one}" for one in unknown_to(type(field), inner)]
    return found


def test_a_checker_of_records_sees_what_it_should() -> None:
    inner = create_model("Inner", known=(int, 0))
    outer = create_model("Outer", inner=(inner, ...))
    assert unknown_to(outer, {"inner": {"known": 1, "new": 2}, "more": 3}) == ["more", "inner.new"]


def test_a_record_says_who_called_and_how_long_everything_took(
    joined: Start, control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    answer = gateway.request("POST", "/v1/messages", {**MESSAGE, "stream": True}, key=control.key, headers=CLAUDE)
    assert answer.status == 200
    (record,) = control.wait_for_calls(1)
    (written,) = control.as_written
    assert unknown_to(ModelCall, json.loads(written)) == []
    caller = record["caller"]
    assert (caller["harness"], caller["harness_version"]) == ("claude-code", "2.1.330")
    assert (caller["harness_session"], caller["subagent"], caller["parent"]) == ("s1", "a2", "a1")
    assert record["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    times = record["timings"]
    assert 0 < times["routed_us"] <= times["admitted_us"]
    assert times["queue_us"] <= times["admitted_us"]
    assert times["admitted_us"] < times["head_us"] <= times["first_byte_us"]
    assert times["first_byte_us"] <= times["last_content_us"] <= times["total_us"]

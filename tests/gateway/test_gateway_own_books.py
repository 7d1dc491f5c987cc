"""What a gateway reckons by itself that runs on a snapshot file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from gateway_control_plane import price
from gateway_processes import GatewayProcess, run_to_end, until
from gateway_provider import Provider

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]


def snapshot(folder: Path, provider: str, timezone: str) -> Path:
    """One model, and a budget of a day in this zone on whoever calls."""
    content = {
        "format": 1,
        "version": 1,
        "compiled_at": "2026-11-26T00:00:00Z",
        "keys": [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}],
        "providers": [{"name": "p", "protocol": "anthropic", "base_url": provider}],
        "models": [{"name": "m", "route": [{"to": [{"provider": "p", "model": "claude-sonnet-5", "price": price()}]}]}],
        "budgets": [
            {
                "budget_id": "bud_1",
                "scope": "project",
                "scope_id": "*",
                "limit_nanousd": 10**12,
                "window": "day",
                "timezone": timezone,
            }
        ],
    }
    path = folder / "snapshot.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/St_Johns"])
def test_a_day_begins_at_midnight_of_the_budgets_zone(
    start: Callable[..., GatewayProcess], provider: Provider, tmp_path: Path, zone: str
) -> None:
    gateway = start("--snapshot", str(snapshot(tmp_path, provider.url, zone)))
    before = datetime.now(UTC)
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    answer = gateway.request("POST", "/v1/messages", body, key=KEY["key"], headers={"anthropic-version": "2023-06-01"})
    assert answer.status == 200, answer.body
    journal = gateway.data / "journal.jsonl"
    until(lambda: journal.exists() and journal.read_text().endswith("\n"), "the record")
    record = json.loads(journal.read_text().splitlines()[0])
    midnights = {
        int(moment.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
        for moment in (before, before + timedelta(seconds=60))
    }
    assert {charge["window_start"] for charge in record["charges"]} <= midnights
    assert record["charges"]


def test_a_zone_that_there_is_not_is_named_and_leaves_with_1(tmp_path: Path) -> None:
    path = snapshot(tmp_path, "http://127.0.0.1:9", "Mars/Olympus")
    refused = run_to_end("--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--snapshot", str(path))
    assert refused.returncode == 1
    assert "there is no time zone `Mars/Olympus`" in refused.stderr

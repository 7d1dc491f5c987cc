"""What the gateway reads out of answers, against an outside reader of the same: `genai_prices.extract_usage`.

The corpus holds whole answers, and streams with the whole answer they amount to. Wherever the two readers differ the
difference is listed here, with why ours is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import airside_gateway
import pytest
from genai_prices.data_snapshot import get_snapshot

CORPUS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "corpus" / "usage.json").read_text())

TOOLS_UNREAD = "the oracle has no rule for searches in this dialect; they are billed"
REASONING_BESIDE = "some servers count reasoning only in the total; it is billed as output, so the total is believed"

# Which counters differ, and why ours is right. `None` for the oracle's: it refuses the answer.
DIFFERENCES: dict[str, tuple[set[str], str]] = {
    "responses web search": ({"web_searches"}, TOOLS_UNREAD),
    "gemini grounding": ({"web_searches"}, TOOLS_UNREAD),
    "chat on openrouter": ({"web_searches"}, TOOLS_UNREAD),
    "chat cache hit beside details (DeepSeek)": (
        {"input_uncached", "cache_read"},
        "the oracle does not know DeepSeek's own word for what its cache had",
    ),
    "chat reasoning outside completion (xAI)": ({"output"}, REASONING_BESIDE),
    "chat reasoning outside completion, unsaid in details": ({"output"}, REASONING_BESIDE),
    "chat whose cache is larger than its prompt": (
        {"input_uncached", "cache_read"},
        "no counter may be negative: what was read from the cache is at most the prompt",
    ),
}
# A count below nothing is refused by the oracle; ours takes it for none, because the answer was given all the same.
REFUSED_BY_THE_ORACLE = {"chat negative": {"output": 9}}


def as_stream(events: list[tuple[str | None, Any]]) -> bytes:
    """The events as a provider sends them."""
    lines = []
    for name, data in events:
        text = data if isinstance(data, str) else json.dumps(data)
        lines.append((f"event: {name}\n" if name else "") + f"data: {text}\n\n")
    return "".join(lines).encode()


def ours(case: dict[str, Any]) -> dict[str, Any] | None:
    """What the gateway says was consumed."""
    body = as_stream(case["events"]) if "events" in case else json.dumps(case["body"]).encode()
    said = airside_gateway.read_usage(case["family"], body)
    return json.loads(said) if said else None


def theirs(case: dict[str, Any]) -> dict[str, int]:
    """The oracle's counters, made disjoint as ours are."""
    vendor_name, flavor = case["oracle"]
    vendor = next(vendor for vendor in get_snapshot().providers if vendor.id == vendor_name)
    _, usage = vendor.extract_usage(case["body"], api_flavor=flavor)
    said = usage._reported_values()
    read, hour = int(said.get("cache_read_tokens", 0)), int(said.get("cache_write_1h_tokens", 0))
    write = int(said.get("cache_write_tokens", 0)) - hour
    return {
        "input_uncached": int(said.get("input_tokens", 0)) - read - write - hour,
        "cache_read": read,
        "cache_write_5m": write,
        "cache_write_1h": hour,
        "output": int(said.get("output_tokens", 0)),
        "web_searches": int(said.get("web_searches", 0)),
    }


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["name"])
def test_both_read_the_same_but_for_what_is_listed(case: dict[str, Any]) -> None:
    read = ours(case)
    assert read is not None
    counted = {**read["usage"], "web_searches": read["tool_uses"]["web_searches"]}
    if case["name"] in REFUSED_BY_THE_ORACLE:
        with pytest.raises(ValueError, match="negative"):
            theirs(case)
        assert {name: count for name, count in counted.items() if count} == REFUSED_BY_THE_ORACLE[case["name"]]
        return
    expected = theirs(case)
    listed, why = DIFFERENCES.get(case["name"], (set(), "nothing is listed for it"))
    assert {name for name, count in counted.items() if expected[name] != count} == listed, why


def test_every_listed_difference_is_of_a_case() -> None:
    names = {case["name"] for case in CORPUS}
    assert DIFFERENCES.keys() | REFUSED_BY_THE_ORACLE.keys() <= names
    assert len(names) == len(CORPUS)


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("anthropic batch", "batch"),
        ("anthropic fast", "fast"),
        ("anthropic nulls", "standard"),
        ("responses flex", "flex"),
        ("responses priority", "priority"),
        ("responses stream", "standard"),
        ("chat flex", "flex"),
    ],
)
def test_the_service_tier_is_read_from_the_answer(name: str, tier: str) -> None:
    (case,) = (case for case in CORPUS if case["name"] == name)
    read = ours(case)
    assert read is not None
    assert read["service_tier"] == tier


@pytest.mark.parametrize("case", [case for case in CORPUS if "events" in case], ids=lambda case: case["name"])
def test_a_stream_amounts_to_its_whole_answer(case: dict[str, Any]) -> None:
    whole = {name: value for name, value in case.items() if name != "events"}
    assert ours(case) == ours(whole)


def test_what_says_nothing_of_usage_has_none() -> None:
    assert airside_gateway.read_usage("openai-chat", b'{"choices": []}') is None
    assert airside_gateway.read_usage("openai-chat", b"data: [DONE]\n\n") is None
    with pytest.raises(ValueError, match="variant"):
        airside_gateway.read_usage("telepathy", b"{}")

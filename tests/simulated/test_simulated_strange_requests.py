"""Requests nobody should send: answered or refused, never a failure of the server's own."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_talks import TALKS, TOOLS, Talk, script

from airside.events import canonical_json
from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.answer import Reply, usage_of
from airside.testing.simulated.dialects.contract import Addressed, Operation, VendorError
from airside.testing.simulated.json_reading import parsed_object
from airside.testing.simulated.speaker import answer_to
from airside.testing.simulated.usage import PromptCache

WORDS = st.sampled_from(
    ["user", "assistant", "system", "tool", "text", "tool_use", "tool_result", "function", "function_call", "custom",
     "namespace", "reasoning", "input_text", "model", "OBJECT", "STRING",
     "message", "local_shell", "object", "1h", "bash", "edit", "read", ""]
)  # fmt: skip
FIELDS = st.sampled_from(
    ["role", "content", "type", "text", "tool_calls", "id", "call_id", "name", "input", "input_schema", "parameters",
     "properties", "required", "tools", "cache_control", "ttl", "function", "tool_use_id", "schema", "format", "$ref",
     "anyOf", "allOf", "enum", "minItems", "items", "command", "parts", "functionCall", "functionResponse", "thought",
     "functionDeclarations", "thoughtSignature", "responseSchema", "thinkingConfig", "includeThoughts"]
)  # fmt: skip
SCRIPT = script("- think: Hm.\n  say: Hi.\n  calls: [{bash: ls}, {read: a}, {edit: {path: a, old: b, new: c}}]\n")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    WORDS,
    st.just(SCRIPT),
)
VALUES: Any = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(FIELDS, inner, max_size=5)),
    max_leaves=25,
)
OPTIONAL = (
    "messages", "input", "system", "instructions", "tools", "tool_choice", "stream", "stream_options", "text",
    "response_format", "output_config", "output_format", "max_output_tokens", "parallel_tool_calls", "include",
    "stop_sequences", "cache_control", "previous_response_id", "contents", "systemInstruction", "generationConfig",
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "max_tokens": st.one_of(st.just(1000), VALUES)}, optional=dict.fromkeys(OPTIONAL, VALUES)
)


def answered(dialect: Any, body: Any) -> None:
    """Everything the server does with a body, whole and streamed."""
    dialect.check(Operation.ANSWER, Addressed({"anthropic-version": "1"}), body)
    conversation = dialect.read(body)
    answer = answer_to(conversation)
    usage = usage_of(answer, dialect.count_prompt(PromptCache(), conversation))
    reply = Reply("s", 0, body, conversation, answer, usage)
    canonical_json(dialect.whole(reply))
    for frame in dialect.stream(reply):
        assert frame.data.endswith(b"\n\n")


@settings(deadline=None, max_examples=300)
@given(body=BODIES, talk=st.sampled_from(TALKS))
def test_any_object_is_answered_or_refused(body: dict[str, Any], talk: type[Talk]) -> None:
    read = parsed_object(json.dumps(body).encode())
    try:
        answered(talk.dialect, read)
    except VendorError as refused:
        assert 400 <= refused.status < 500  # noqa: PT017 - most bodies are refused, and all may be


@settings(deadline=None, max_examples=200)
@given(schema=VALUES, name=st.sampled_from([*TOOLS, "Bash", "apply_patch", "exec_command"]))
def test_any_tool_schema_is_called_or_declined(schema: Any, name: str) -> None:
    for talk_type in TALKS:
        talk = talk_type(max_tokens=4000)
        function = {"name": name, "parameters": schema}
        talk.fields["tools"] = [{"type": "function", **function, "input_schema": schema, "function": function}]
        talk.user(SCRIPT)
        answered(talk.dialect, talk.request())


@pytest.mark.parametrize(
    "body",
    [b'{"model": "m", "input": "hi", "top_p": 1e999}', b'{"model": "m", "input": "\\ud800"}', b'{"model": NaN}'],
    ids=["infinity", "half a character", "no number"],
)
async def test_json_that_no_vendor_reads_is_refused(
    models: SimulatedModels, http: httpx2.AsyncClient, body: bytes
) -> None:
    response = await http.post(f"{models.openai_url()}/responses", headers={"authorization": "Bearer k"}, content=body)
    assert (response.status_code, models.requests()[0].body) == (400, body)

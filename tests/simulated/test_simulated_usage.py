"""Counters: sizes, prompt caches of both vendors, and scripted numbers."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
from simulated_talks import script

PROMPT = script("- say: One.\n- say: Two.\n- say: Three.")
MARK = {"type": "ephemeral"}


def text(words: str, **mark: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **mark}


async def anthropic_usage(client: anthropic.AsyncAnthropic, messages: list[Any], **more: Any) -> tuple[int, ...]:
    """Uncached, read, written for 5 minutes, written for an hour."""
    usage = (await client.messages.create(model="m", max_tokens=100, messages=messages, **more)).usage
    return (
        usage.input_tokens,
        usage.cache_read_input_tokens,
        usage.cache_creation.ephemeral_5m_input_tokens,
        usage.cache_creation.ephemeral_1h_input_tokens,
    )


async def test_without_marks_nothing_is_cached(claude: anthropic.AsyncAnthropic) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    first = await anthropic_usage(claude, messages)
    assert first[1:] == (0, 0, 0)
    assert await anthropic_usage(claude, messages) == first


async def test_a_marked_prefix_is_written_once_and_read_from_then_on(claude: anthropic.AsyncAnthropic) -> None:
    first = [{"role": "user", "content": [text(PROMPT, cache_control=MARK)]}]
    uncached, read, written, _ = await anthropic_usage(claude, first)
    assert (uncached, read) == (3, 0)
    assert written > 10
    assert await anthropic_usage(claude, first) == (3, written, 0, 0)


async def test_a_mark_that_moved_on_reads_the_old_prefix_and_writes_the_new_part(
    claude: anthropic.AsyncAnthropic,
) -> None:
    """As Claude Code does: the mark stands on the newest message, and plain text becomes a block to carry it."""
    _, _, written, _ = await anthropic_usage(claude, [{"role": "user", "content": [text(PROMPT, cache_control=MARK)]}])
    longer = [
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": [text("Go on, at some length.", cache_control=MARK)]},
    ]
    _, read, more, _ = await anthropic_usage(claude, longer)
    assert read == written
    assert more > 0


async def test_hour_long_writes_are_counted_apart(claude: anthropic.AsyncAnthropic) -> None:
    system = [text("You are a careful engineer. " * 5, cache_control={**MARK, "ttl": "1h"})]
    messages = [{"role": "user", "content": [text(PROMPT, cache_control=MARK)]}]
    uncached, read, five_minutes, hour = await anthropic_usage(claude, messages, system=system)
    assert (uncached, read) == (3, 0)
    assert five_minutes > 0
    assert hour > 30


async def test_each_model_has_a_cache_of_its_own(claude: anthropic.AsyncAnthropic) -> None:
    marked: Any = [{"role": "user", "content": [text(PROMPT, cache_control=MARK)]}]
    await anthropic_usage(claude, marked)
    other = await claude.messages.create(model="other", max_tokens=100, messages=marked)
    assert other.usage.cache_read_input_tokens == 0


async def test_openai_counts_cached_tokens_inside_the_input(gpt: openai.AsyncOpenAI) -> None:
    first = await gpt.responses.create(model="m", input=PROMPT)
    longer: Any = [{"role": "user", "content": PROMPT}, first.output[0].model_dump(exclude_none=True)]
    longer.append({"role": "user", "content": "Go on."})
    second = await gpt.responses.create(model="m", input=longer)
    assert first.usage.input_tokens_details.cached_tokens == 0
    assert 0 < second.usage.input_tokens_details.cached_tokens < second.usage.input_tokens
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_reasoning_is_counted_inside_the_output(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.create(model="m", input=script("- think: A thought of some length.\n  say: Yes."))
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


NUMBERS = "usage: {input: 100, cache_read: 50, cache_write_5m: 20, cache_write_1h: 10, output: 7, reasoning: 2}"


async def test_scripted_counters_are_given_as_they_are(
    claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    prompt = script(f"- say: Counted.\n  {NUMBERS}")
    assert await anthropic_usage(claude, [{"role": "user", "content": prompt}]) == (100, 50, 20, 10)
    response = await gpt.responses.create(model="m", input=prompt)
    usage = response.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens) == (180, 50)
    assert usage.input_tokens_details.cache_write_tokens == 30
    assert (usage.output_tokens, usage.output_tokens_details.reasoning_tokens) == (7, 2)
    completion = await gpt.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (180, 7)


async def test_a_stream_ends_with_the_counters_of_the_whole_answer(claude: anthropic.AsyncAnthropic) -> None:
    prompt: Any = [{"role": "user", "content": script(f"- say: Counted.\n  {NUMBERS}")}]
    stream = await claude.messages.create(model="m", max_tokens=100, messages=prompt, stream=True)
    events = {event.type: event async for event in stream}
    start, end = events["message_start"].message.usage, events["message_delta"].usage
    assert (start.input_tokens, start.cache_read_input_tokens, start.output_tokens) == (100, 50, 1)
    assert (end.input_tokens, end.cache_creation_input_tokens, end.output_tokens) == (100, 30, 7)

"""Reading what a harness writes, whatever it writes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.harnesses.json_lines import ObjectReader


async def read_all(chunks: list[bytes], **options: object) -> list[object]:
    stream = asyncio.StreamReader()
    reader = ObjectReader(stream, **options)
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    found = []
    while (message := await reader.receive()) is not None:
        found.append(message)
    return found


async def test_objects_are_read_and_everything_else_is_passed_over() -> None:
    lines = b'warning: hello\n{"a": 1}\n\n[1, 2]\n"text"\n{"broken": \n\xff\xfe\n{"b": {"c": []}}\n{"unfinished": 1'
    assert await read_all([lines]) == [{"a": 1}, {"b": {"c": []}}]


@given(cut=st.integers(min_value=0, max_value=40))
def test_a_line_may_arrive_in_pieces(cut: int) -> None:
    whole = b'{"first": "\xc3\xa4"}\n{"second": [1, 2, 3]}\n'
    found = asyncio.run(read_all([piece for piece in (whole[:cut], whole[cut:]) if piece]))
    assert found == [{"first": "\xe4"}, {"second": [1, 2, 3]}]


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_reader_down(garbage: bytes) -> None:
    assert all(isinstance(found, dict) for found in asyncio.run(read_all([garbage] if garbage else [])))


async def test_a_line_over_the_limit_is_passed_over_and_the_next_is_read() -> None:
    chunks = [b'{"long": "', *([b"x" * 50] * 10), b'"}\n{"short": 1}\n']
    assert await read_all(chunks, longest_line_bytes=100) == [{"short": 1}]


async def test_nesting_without_end_is_passed_over() -> None:
    assert await read_all([b"[" * 200_000 + b"\n" + b'{"a":' * 100_000 + b'\n{"ok": 1}\n']) == [{"ok": 1}]


async def test_with_a_prefix_only_lines_that_begin_so_are_read() -> None:
    assert await read_all([b'event: x\ndata: {"a": 1}\r\n\r\n{"b": 2}\n'], prefix=b"data:") == [{"a": 1}]


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    stream = asyncio.StreamReader()
    reader = ObjectReader(stream)
    stream.feed_data(b'{"half": ')
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reader.receive()
    stream.feed_data(b"1}\n")
    assert await reader.receive() == {"half": 1}

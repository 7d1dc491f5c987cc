"""What runs alongside a block ends with it, and only a failure from before its end counts."""

from __future__ import annotations

import asyncio

import pytest

from airside.tasks import alongside


async def _fails_when_cut_off() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise RuntimeError("a read that was cut off") from None


async def test_a_failure_while_being_cancelled_does_not_undo_the_block() -> None:
    async with alongside(_fails_when_cut_off()):
        await asyncio.sleep(0)


async def test_a_failure_before_the_end_is_raised_as_itself() -> None:
    async def fails() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        async with alongside(fails()):
            await asyncio.sleep(60)

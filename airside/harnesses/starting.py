"""Waiting for a harness that has just been started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from airside.harnesses.contract import HarnessFailed
from airside.sandboxes.contract import SandboxProcess

T = TypeVar("T")


async def wait_until_up(process: SandboxProcess, name: str, greeting: Awaitable[T], *, within_s: float) -> T:
    """What the greeting brings. If it fails or takes too long, the process is stopped before anybody hears of it.

    Raises `HarnessFailed` after that time, and whatever the greeting raises.
    """
    try:
        async with asyncio.timeout(within_s):
            return await greeting
    except TimeoutError:
        await process.stop(0)
        raise HarnessFailed(f"{name} did not come up within {within_s:g} s") from None
    except BaseException:
        await process.stop(0)
        raise

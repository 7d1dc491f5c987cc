"""Writing to the input of another program, which may be gone at any moment."""

from __future__ import annotations

import asyncio


async def write_whole(pipe: asyncio.StreamWriter, content: bytes) -> bool:
    """Write all of it; False if the program has ended or has closed its input.

    Under uvloop, which workers run on, a write to a transport that is closed is a `RuntimeError`, which looks like a
    defect and is none: so it is asked first.
    """
    if pipe.transport.is_closing():
        return False
    try:
        pipe.write(content)
        await pipe.drain()
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True

"""`python -m airside.testing.simulated`: the simulated providers as a process of their own."""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import signal
import sys

from airside.testing.simulated import SimulatedModels


async def _serve(port: int, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with SimulatedModels(port=port) as models:
        ready = json.dumps({"url": models.url}) if as_json else f"Simulated models are ready at {models.url}"
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Prints one line once ready; returns 1 if the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m airside.testing.simulated", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes any free one")
    parser.add_argument("--json", action="store_true", help="print the ready line as JSON")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(chosen.port, as_json=chosen.json))
    except OSError as problem:
        said = f"cannot listen on port {chosen.port}: {os.strerror(problem.errno or 0)}"
        sys.stderr.write(said + "\n")
        if chosen.json:
            code = "port_taken" if problem.errno == errno.EADDRINUSE else "cannot_listen"
            hint = "Give another with --port N, or 0 for any free one."
            detail = {"code": code, "message": said, "hint": hint, "bad_input": False}
            sys.stdout.write(json.dumps({"error": detail}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

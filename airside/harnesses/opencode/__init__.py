"""OpenCode: `opencode serve`, requests over HTTP and events over a stream of it.

For running OpenCode on our settings alone. Not for its own sharing, snapshots or updates, which are off. Start reading
at `harness.py`; `settings.py` says what it is started with and why.
"""

from airside.harnesses.opencode.harness import OpenCodeHarness

__all__ = ["OpenCodeHarness"]

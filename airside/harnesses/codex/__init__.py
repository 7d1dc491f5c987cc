"""Codex: `codex app-server`, JSON-RPC over standard input and output.

For running OpenAI's harness on our settings alone. Not for its own sandbox, which is off: ours is around it. Start
reading at `harness.py`; `settings.py` says what it is started with and why.
"""

from airside.harnesses.codex.harness import CodexHarness

__all__ = ["CodexHarness"]

"""Claude Code: `claude -p` with JSON lines both ways.

For running Anthropic's harness on our settings alone. Not for its terminal interface or its own accounting. Start
reading at `harness.py`; `command.py` says what it is started with and why.
"""

from airside.harnesses.claude_code.harness import ClaudeCodeHarness

__all__ = ["ClaudeCodeHarness"]

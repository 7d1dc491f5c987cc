"""What Claude Code is started with: our settings, and nothing that the repository or its home brings along."""

from __future__ import annotations

from collections.abc import Sequence

from airside.harnesses.contract import HarnessSpec
from airside.harnesses.own_settings import forgetting
from airside.sandboxes.contract import Sandbox
from airside.tools.grants import BuiltinTool

_TOOLS = {
    BuiltinTool.READ: ("Read", "Glob", "Grep"),
    BuiltinTool.EDIT: ("Edit", "Write", "NotebookEdit"),
    BuiltinTool.BASH: ("Bash",),
    BuiltinTool.WEB: ("WebFetch", "WebSearch"),
}
_SUBAGENT = "Task"  # its agents have only the tools that the session has

# Backoff of 0.5 s, doubling: half a minute in all, enough for a gateway that is started again or asks for patience.
_RETRIES = 6

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    # What runs on after the turn is over would call models that nobody asked for.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_CRON": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
}


def command(spec: HarnessSpec, sandbox: Sandbox, session_id: str) -> Sequence[str]:
    """The command line. It holds no secret: every user of a machine can read it."""
    tools = ",".join(_tools(spec))
    arguments = [
        *(str(spec.executable), "-p", "--verbose"),
        *("--input-format", "stream-json", "--output-format", "stream-json", "--include-partial-messages"),
        # No settings of user, project or folder: hooks, permissions, environment and servers in them are not ours.
        *("--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands"),
        # The project's CLAUDE.md is what the model is told, not what the harness does; only this way it is read alone.
        *("--add-dir", str(sandbox.workspace)),
        # Denies whatever would ask, and never has a model judge a call.
        *("--permission-mode", "dontAsk", "--tools", tools, "--allowedTools", tools),
        *("--model", spec.model),
        *(("--resume", session_id) if spec.resume is not None else ("--session-id", session_id)),
    ]
    if spec.system:
        arguments += ["--append-system-prompt", spec.system]
    return forgetting(arguments, {".claude": "projects"})


def _tools(spec: HarnessSpec) -> list[str]:
    granted = [name for tool, names in _TOOLS.items() if spec.may_use(tool) for name in names]
    return [*granted, _SUBAGENT] if granted else []


def environment(spec: HarnessSpec, sandbox: Sandbox) -> dict[str, str]:
    """The environment: where the model is, which it is, and silence towards everybody else.

    Every name under which it would pick a model of its own is bound to the agent's, so that nothing is called behind
    the route's back.
    """
    return {
        **_QUIET,
        "CLAUDE_CONFIG_DIR": str(sandbox.home / ".claude"),
        "ANTHROPIC_BASE_URL": sandbox.gateway_url,
        "ANTHROPIC_AUTH_TOKEN": spec.token.value,
        "ANTHROPIC_MODEL": spec.model,
        "ANTHROPIC_SMALL_FAST_MODEL": spec.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": spec.model,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": spec.model,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": spec.model,
        "ANTHROPIC_DEFAULT_FABLE_MODEL": spec.model,
        "CLAUDE_CODE_SUBAGENT_MODEL": spec.model,
        "CLAUDE_CODE_MAX_RETRIES": str(_RETRIES),
        "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",
        # The transcript is written as it happens: a killed process lacks no more than the last tenth of a second.
        "CLAUDE_CODE_EAGER_FLUSH": "1",
        # Tools behind a search tool would be unknown to whoever audits the tools of a request.
        "ENABLE_TOOL_SEARCH": "false",
    }

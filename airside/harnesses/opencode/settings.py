"""What OpenCode is started with: a configuration of ours by environment, and nothing that the repository brings."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from airside.events import JsonObject
from airside.harnesses.contract import HarnessSpec
from airside.harnesses.own_settings import forgetting
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox
from airside.tools.grants import BuiltinTool

PROVIDER = "airside"
USER = "opencode"  # whom its server knows

_TOKEN_VARIABLE = "AIRSIDE_TOKEN"  # noqa: S105

# The packages are inside OpenCode's program; naming them fetches nothing.
_DIALECTS = {
    ProviderProtocol.ANTHROPIC: "@ai-sdk/anthropic",
    ProviderProtocol.OPENAI_RESPONSES: "@ai-sdk/openai",
    ProviderProtocol.OPENAI_CHAT: "@ai-sdk/openai-compatible",
}
FAMILIES: Sequence[ProviderProtocol] = tuple(_DIALECTS)

_TOOLS = {
    BuiltinTool.READ: ("read", "glob", "grep", "list", "lsp"),
    BuiltinTool.EDIT: ("edit",),  # also its tools for writing and patching
    BuiltinTool.BASH: ("bash",),
    BuiltinTool.WEB: ("webfetch", "websearch"),
}
# Not tools but what it would ask about; and helpers that can do no more than the tools above. Its questions to a person
# and the skills of the repository stay denied.
_ALWAYS = ("doom_loop", "external_directory", "task", "todoread", "todowrite")

_OFF = (
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_MODELS_FETCH",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_DISABLE_SHARE",
)


def command(spec: HarnessSpec, port: int) -> Sequence[str]:
    """The command line of the server."""
    # `--pure`: no plugins, as far as OpenCode heeds it.
    arguments = [str(spec.executable), "serve", "--pure", "--hostname", "127.0.0.1", "--port", str(port)]
    return forgetting(arguments, {".opencode": "", ".local/share/opencode": "opencode.db*"})


def environment(spec: HarnessSpec, sandbox: Sandbox, password: str) -> dict[str, str]:
    """The environment. Without the password any program on the machine could give it commands."""
    return {
        **dict.fromkeys(_OFF, "1"),
        _TOKEN_VARIABLE: spec.token.value,
        "OPENCODE_SERVER_PASSWORD": password,
        # Its folder of settings: one that was never there before, so that nobody has put anything into it.
        "XDG_CONFIG_HOME": f"/tmp/opencode-{secrets.token_hex(8)}",  # noqa: S108
        "OPENCODE_CONFIG_CONTENT": json.dumps(_configuration(spec, sandbox)),
    }


def _configuration(spec: HarnessSpec, sandbox: Sandbox) -> JsonObject:
    # Its small model, for titles and the like, is the agent's own: nothing is called behind the route's back.
    model = f"{PROVIDER}/{spec.model}"
    return {
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
        "model": model,
        "small_model": model,
        "enabled_providers": [PROVIDER],
        "provider": {
            PROVIDER: {
                "npm": _DIALECTS[spec.family],
                "name": "Airside gateway",
                "options": {
                    "baseURL": f"{sandbox.gateway_url}/v1",
                    "apiKey": f"{{env:{_TOKEN_VARIABLE}}}",
                    "timeout": False,  # the gateway decides how long a model may take
                },
                "models": {spec.model: {"name": spec.model, "limit": {"context": 200_000, "output": 32_000}}},
            }
        },
        "permission": _permissions(spec),
        # Named, because with the project's configuration its instructions are passed over too.
        "instructions": [str(sandbox.workspace / name) for name in ("AGENTS.md", "CLAUDE.md")],
    }


def _permissions(spec: HarnessSpec) -> JsonObject:
    """The last rule that matches wins, so the denial of everything comes first. A denied tool is not offered."""
    granted = [name for tool, names in _TOOLS.items() if spec.may_use(tool) for name in names]
    return {"*": "deny", **dict.fromkeys((*_ALWAYS, *granted), "allow")}

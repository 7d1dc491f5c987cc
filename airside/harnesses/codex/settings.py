"""What Codex is started with: a configuration of ours, given whole on the command line.

On the command line it stands above every file, so that nothing in HOME or in the repository can change it. It holds no
secret: the token is named by its environment variable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from airside.events import JsonObject
from airside.harnesses.contract import HarnessSpec
from airside.harnesses.own_settings import forgetting
from airside.sandboxes.contract import Sandbox
from airside.tools.grants import BuiltinTool

_PROVIDER = "airside"
_TOKEN_VARIABLE = "AIRSIDE_TOKEN"  # noqa: S105

# No retries of single requests: each would be multiplied by those of the stream, thirty requests for one fault. The
# stream's own back off from 0.2 s, doubling: 25 s in all, enough for a gateway that is started again.
_REQUEST_RETRIES = 0
_STREAM_RETRIES = 7

# In a folder that is not trusted Codex does not read these by itself.
_PROJECT_INSTRUCTIONS = (
    "If the workspace holds a file AGENTS.md, it is what the people of this project ask of you: read it before you "
    "begin, and heed it as far as these instructions and the user's allow."
)

_OFF = (
    "apps",
    "enable_request_compression",
    "goals",  # starts turns by itself
    "guardian_approval",  # a model that judges calls
    "hooks",
    "image_generation",
    "memories",
    "plugins",  # contacts three hosts at start
    "remote_plugin",
    "skill_mcp_dependency_install",
)


def command(spec: HarnessSpec, sandbox: Sandbox) -> Sequence[str]:
    """The command line of the server."""
    overrides = [f"{name}={_toml(value)}" for name, value in _settings(spec, sandbox).items()]
    # A folder that is not trusted has its .codex/ passed over: configuration, hooks and servers in it. Spelled as an
    # inline table, since names with slashes are not understood on the left of an override.
    overrides.append(f'projects={{ {_toml(str(sandbox.workspace))} = {{ trust_level = "untrusted" }} }}')
    arguments = [str(spec.executable), *(word for override in overrides for word in ("-c", override)), "app-server"]
    return forgetting(arguments, {".codex": "sessions"})


def _settings(spec: HarnessSpec, sandbox: Sandbox) -> Mapping[str, str | int | bool | list[str]]:
    provider = f"model_providers.{_PROVIDER}"
    return {
        "model": spec.model,
        "model_provider": _PROVIDER,
        f"{provider}.name": "Airside gateway",
        f"{provider}.base_url": f"{sandbox.gateway_url}/v1",
        f"{provider}.env_key": _TOKEN_VARIABLE,
        f"{provider}.wire_api": "responses",
        f"{provider}.request_max_retries": _REQUEST_RETRIES,
        f"{provider}.stream_max_retries": _STREAM_RETRIES,
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
        "history.persistence": "none",
        # They tell of a sandbox that is off, and of ways to ask out of it.
        "include_permissions_instructions": False,
        "web_search": "live" if spec.may_use(BuiltinTool.WEB) else "disabled",
        "features.view_image": spec.may_use(BuiltinTool.READ),
        # Codex reads and writes through its shell: without it there is no tool left but looking at images.
        "features.shell_tool": spec.may_use(BuiltinTool.BASH),
        **{f"features.{name}": False for name in _OFF},
        "shell_environment_policy.exclude": [_TOKEN_VARIABLE],
    }


def _toml(value: str | int | bool | list[str]) -> str:
    """A TOML value; strings and lists of them are spelled as in JSON."""
    return json.dumps(value)


def environment(spec: HarnessSpec, sandbox: Sandbox) -> dict[str, str]:
    """The environment. CODEX_HOME is named so that no file in the workspace can name another."""
    return {_TOKEN_VARIABLE: spec.token.value, "CODEX_HOME": str(sandbox.home / ".codex")}


def conversation(spec: HarnessSpec, sandbox: Sandbox) -> JsonObject:
    """What a conversation is started or resumed with.

    Its own sandbox is off, for ours is around it. What Codex holds for dangerous, such as `rm -f`, it asks about; when
    editing is denied, it asks about each call. The answer is ours (see `RunningCodex`). Told never to ask, it would
    refuse what it holds for dangerous, and report no item of it.
    """
    asks = not spec.may_use(BuiltinTool.EDIT)
    return {
        "cwd": str(sandbox.workspace),
        "model": spec.model,
        "modelProvider": _PROVIDER,
        "approvalPolicy": "untrusted" if asks else "on-request",
        "sandbox": "danger-full-access",
        "developerInstructions": "\n\n".join(filter(None, (spec.system, _PROJECT_INSTRUCTIONS))),
    }

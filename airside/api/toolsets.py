"""Builtin tools on the wire: the agent toolset of the Managed Agents API and our four permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from airside.agents.definition import ToolsDefinition
from airside.errors import BadInput
from airside.tools.grants import BuiltinTool, Permission

_NAMES: Mapping[BuiltinTool, tuple[str, ...]] = {
    BuiltinTool.READ: ("read", "glob", "grep"),
    BuiltinTool.EDIT: ("edit", "write"),
    BuiltinTool.BASH: ("bash",),
    BuiltinTool.WEB: ("web_fetch", "web_search"),
}


class PermissionPolicy(BaseModel):
    """How calls of a tool are decided."""

    type: Literal["always_allow", "always_ask", "auto"]


class ToolConfig(BaseModel):
    """One tool of the set, or the default for those not named."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    enabled: bool | None = None
    permission_policy: PermissionPolicy | None = None


class AgentToolset(BaseModel):
    """The builtin tools of an agent."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["agent_toolset_20260401"]
    default_config: ToolConfig | None = None
    configs: Sequence[ToolConfig] = ()


def tools_from_wire(toolsets: Sequence[AgentToolset] | None) -> ToolsDefinition:
    """What a request grants. Leaving `tools` out grants the defaults; an empty list grants nothing."""
    if toolsets is None:
        return ToolsDefinition()
    if len(toolsets) > 1:
        raise BadInput("tools: one agent_toolset_20260401 is enough; there are several")
    if not toolsets:
        return ToolsDefinition(builtin=dict.fromkeys(BuiltinTool, Permission.DENY))
    given = toolsets[0]
    for config in (given.default_config, *given.configs):
        if config is not None and config.permission_policy and config.permission_policy.type != "always_allow":
            raise BadInput(
                f"tools: permission policy {config.permission_policy.type!r} needs approvals, "
                "which builtin tools do not have yet",
                hint='Use {"type": "always_allow"}, or "enabled": false.',
            )
    default = given.default_config is None or given.default_config.enabled is not False
    named = {config.name: config.enabled is not False for config in given.configs if config.name}
    unknown = sorted(set(named) - {name for names in _NAMES.values() for name in names})
    if unknown:
        raise BadInput(f"tools: there is no builtin tool {unknown[0]!r}")
    return ToolsDefinition(builtin={tool: _permission(tool, named, default=default) for tool in BuiltinTool})


def _permission(tool: BuiltinTool, named: Mapping[str, bool], *, default: bool) -> Permission:
    enabled = {named.get(name, default) for name in _NAMES[tool]}
    if len(enabled) > 1:
        raise BadInput(
            f"tools: {', '.join(_NAMES[tool])} are one permission here and cannot differ",
            hint="Enable or disable all of them.",
        )
    return Permission.ALLOW if enabled.pop() else Permission.DENY


def tools_to_wire(tools: ToolsDefinition) -> list[AgentToolset]:
    """The same for an answer, with every tool named."""
    policy = PermissionPolicy(type="always_allow")
    return [
        AgentToolset(
            type="agent_toolset_20260401",
            default_config=ToolConfig(enabled=True, permission_policy=policy),
            configs=[
                ToolConfig(name=name, enabled=permission is Permission.ALLOW, permission_policy=policy)
                for tool, permission in tools.effective.items()
                for name in _NAMES[tool]
            ],
        )
    ]

"""An agent as people define it."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field, field_validator

from airside.agents.harness_name import HarnessName
from airside.events import canonical_json
from airside.routing.definitions import Definition
from airside.tools.grants import DEFAULT_BUILTIN, BuiltinTool, Permission


class ToolsDefinition(Definition):
    """What the agent may use. A builtin tool that is not named keeps its default: everything but the web."""

    builtin: dict[BuiltinTool, Permission] = Field(default_factory=dict)

    @field_validator("builtin")
    @classmethod
    def _no_asking(cls, value: dict[BuiltinTool, Permission]) -> dict[BuiltinTool, Permission]:
        if Permission.ASK in value.values():
            raise ValueError("nobody can be asked about builtin tools yet; write allow or deny")
        return value

    @property
    def effective(self) -> dict[BuiltinTool, Permission]:
        """Every builtin tool with its permission."""
        return {**DEFAULT_BUILTIN, **self.builtin}


class AgentDefinition(Definition):
    """Everything a session of this agent runs on. Immutable once stored; a change makes a new version."""

    harness: HarnessName
    model: Annotated[str, Field(min_length=1, max_length=200)]
    environment: str | None = Field(default=None, description="Name of the environment that `airside run` uses.")
    system: str | None = None
    description: str | None = None
    tools: ToolsDefinition = ToolsDefinition()
    metadata: Annotated[dict[str, str], Field(max_length=16)] = Field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """What this definition is, in 64 characters."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()

"""What is said of a name that nothing here goes by."""

from __future__ import annotations

from collections.abc import Sequence

from airside.agents.agents import Agent
from airside.errors import AirsideError


def unknown_agent(kind: type[AirsideError], given: str, agents: Sequence[Agent]) -> AirsideError:
    """The error of this kind for an agent that is none of these, with the next step."""
    known = ", ".join(agent.name for agent in agents) or "none yet"
    return kind(
        f"there is no agent {given!r}; agents known here: {known}",
        code="unknown_agent",
        hint="Define it in a file and run `airside apply FILE`, or create it by API.",
    )

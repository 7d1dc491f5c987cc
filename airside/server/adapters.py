"""Every harness and every sandbox there is, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from airside.agents.harness_name import HarnessName
from airside.environments.sandbox_kind import SandboxKind
from airside.harnesses.claude_code import ClaudeCodeHarness
from airside.harnesses.claude_code.program import PROGRAM as CLAUDE_CODE
from airside.harnesses.codex import CodexHarness
from airside.harnesses.codex.program import PROGRAM as CODEX
from airside.harnesses.contract import Harness
from airside.harnesses.installation import Installations
from airside.harnesses.opencode import OpenCodeHarness
from airside.harnesses.opencode.program import PROGRAM as OPENCODE
from airside.harnesses.scripted.harness import ScriptedHarness
from airside.harnesses.scripted.program import PROGRAM as SCRIPTED
from airside.sandboxes.bubblewrap import BubblewrapDriver
from airside.sandboxes.contract import SandboxDriver
from airside.sandboxes.process import ProcessDriver


def harnesses() -> Mapping[HarnessName, Harness]:
    """Every harness there is."""
    found: tuple[Harness, ...] = (ClaudeCodeHarness(), CodexHarness(), OpenCodeHarness(), ScriptedHarness())
    return {HarnessName(harness.name): harness for harness in found}


def installations(roots: Sequence[Path], data: Path | None = None) -> Installations:
    """The harness programs under these folders; the first that has one wins. `data`: the data directory they serve."""
    return Installations([CLAUDE_CODE, CODEX, OPENCODE, SCRIPTED], roots, data)


def sandboxes() -> Mapping[SandboxKind, SandboxDriver]:
    """Every kind of sandbox there is."""
    found: tuple[SandboxDriver, ...] = (BubblewrapDriver(), ProcessDriver())
    return {SandboxKind(driver.kind): driver for driver in found}


def sandbox_problem() -> str | None:
    """Why the default sandbox cannot work on this machine; None if it can."""
    return BubblewrapDriver().unavailable_because()

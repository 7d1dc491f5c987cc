"""The contract every harness keeps, and the one event model that all of them are translated into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from airside.errors import Conflict, Unavailable
from airside.events import JsonObject
from airside.ids import SessionId
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox
from airside.tools.grants import BuiltinTool, Permission


class HarnessFailed(Unavailable):
    """A harness did not come up, or did not answer where it must."""

    code = "harness_failed"


class NativeSessionLost(Conflict):
    """The files under HOME do not hold the session that was to be resumed: go on from the event log instead."""

    code = "native_session_lost"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not be printed."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HarnessSpec:
    """What one harness process is started with. Paths are those inside the sandbox, but for `installation`.

    A builtin tool without a cell in `builtin` is denied, and so is one at `ask`: nobody can be asked yet.
    """

    session_id: SessionId
    agent_name: str
    model: str  # an alias; passed on verbatim
    family: ProviderProtocol  # the front door its model is served on
    system: str | None
    token: Secret  # works only at our gateway
    installation: Path  # on this machine; shown read-only inside at the same path
    executable: Path
    resume: str | None = None  # the harness's own session id, with its files already back in HOME
    builtin: Mapping[BuiltinTool, Permission] = field(default_factory=dict)

    def may_use(self, tool: BuiltinTool) -> bool:
        """True if the agent was granted this tool."""
        return self.builtin.get(tool) is Permission.ALLOW


# --- what a running harness reports --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The harness is up and has a session of its own. `resumed`: it read the earlier conversation from its files."""

    native_session_id: str
    version: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """A fragment of the message being written; the whole follows as `Message`."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """A complete message of the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A complete block of reasoning, as far as the harness shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent calls a tool. `name` and `input` are the harness's own."""

    call_id: str
    name: str
    input: JsonObject


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool answered."""

    call_id: str
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Retrying:
    """The harness asks the model again after a failure."""

    attempt: int
    delay_ms: int | None
    status: int | None
    detail: str


class TurnEnd(StrEnum):
    """Why a turn is over."""

    END_TURN = "end_turn"
    INTERRUPTED = "interrupted"
    BUDGET_REACHED = "budget_reached"  # the gateway answered 402
    REFUSAL = "refusal"
    FAILED = "failed"
    DIED = "died"  # the process ended in the middle of the turn; another one can go on with it


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The harness waits for input again. `detail` says what failed, in a sentence, when something did."""

    reason: TurnEnd
    detail: str | None = None


HarnessEvent = Started | MessageDelta | Message | Thinking | ToolUse | ToolResult | Retrying | TurnEnded


class RunningHarness(Protocol):
    """One live harness process and its conversation."""

    @property
    def process_group(self) -> int:
        """The operating-system group that holds it."""
        ...

    async def send(self, text: str) -> None:
        """Give it a user message: the start of a turn. Not while a turn is under way."""
        ...

    def events(self) -> AsyncIterator[HarnessEvent]:
        """Everything it reports, from `Started` on; ends after `close` or the process's death.

        A process that dies in mid-turn yields `TurnEnded(DIED, detail)` with the tail of its stderr first.
        """
        ...

    async def interrupt(self) -> None:
        """Ask it to stop the running turn; `TurnEnded(INTERRUPTED)` follows. Does nothing between turns."""
        ...

    async def decide(self, call_id: str, permission: Literal[Permission.ALLOW, Permission.DENY], reason: str) -> None:
        """Answer a tool call it holds back for approval."""
        ...

    async def close(self) -> None:
        """End the process and all it started; its session files are then complete on disk. Safe to call twice."""
        ...


class Harness(Protocol):
    """One kind of harness: knows its program, its files and its wire. Holds no state."""

    name: str  # as in `harness:` of a configuration file
    families: Sequence[ProviderProtocol]  # the front doors it can speak, best first
    session_files: Sequence[str]  # globs under HOME that make up its own session; never credentials

    async def start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningHarness:
        """Start the program inside the sandbox and wait until it takes input.

        Returns after `Started` is known. Raises `HarnessFailed` with the tail of its stderr when it does not come up,
        and `NativeSessionLost` when `spec.resume` names a session its files do not hold.
        """
        ...

    def holds_session(self, home: Path, native_session_id: str) -> bool:
        """True if the files under this HOME (a path on this machine) let that session be resumed natively."""
        ...

    def recorded_input(self, home: Path, native_session_id: str, text: str) -> bool:
        """True if that session's transcript already holds this user message, so that it must not be sent again."""
        ...

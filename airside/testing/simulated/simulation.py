"""The state behind the simulated providers: scripts, faults, keys, records and gates. What tests and demos talk to."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airside.clock import Clock, SystemClock
from airside.testing.simulated.faults import Fault, FaultPlan, check_fault
from airside.testing.simulated.records import Matches, ReceivedRequest, RequestLog
from airside.testing.simulated.scripts.place import Registered
from airside.testing.simulated.scripts.script import Script, Step, check_script, read_script
from airside.testing.simulated.usage import PromptCache
from airside.testing.simulated.waiting import Gates

DEFAULT_PROVIDER = "default"
MODELS = ("simulated-large", "simulated-small", "claude-simulated", "gpt-simulated", "gemini-simulated")


@dataclass(slots=True)
class Provider:
    """One simulated vendor account."""

    name: str
    faults: FaultPlan = field(default_factory=FaultPlan)
    cache: PromptCache = field(default_factory=PromptCache)
    key: str | None = None  # the one key it accepts; None accepts any that is not empty
    tokens: dict[str, datetime] = field(default_factory=dict)  # that an identity service gave out, with their ends


class Simulation:
    """Everything a test can tell the simulated providers and ask of them. Providers come into being when named."""

    def __init__(self, clock: Clock | None = None, *, keep_requests: int = 1000) -> None:
        self.clock: Clock = clock or SystemClock()
        self.gates = Gates()
        self.log = RequestLog(keep_requests)
        self._providers: dict[str, Provider] = {}
        self._registered: list[Registered] = []
        # Ids stay unique when a server is started again under a conversation that goes on.
        self._instance = secrets.token_hex(4)
        self._stems = 0

    def script(
        self, steps: str | Sequence[Step | dict[str, object]], *, match: str | None = None, provider: str | None = None
    ) -> None:
        """Have conversations follow these steps: those with a user message that contains `match`, or all.

        `steps` is YAML, or plain values of the same shape. A script in a prompt comes first, then the one registered
        last. Raises `BadScript`.
        """
        checked: Script = read_script(steps) if isinstance(steps, str) else check_script(list(steps))
        self._registered.append(Registered(checked, match, provider))

    def fault(self, provider: str = DEFAULT_PROVIDER, **fields: object) -> Fault:
        """Plan a failure of a provider; the fields are those of `Fault`. Raises `BadFault`."""
        fault = check_fault(fields)
        self.provider(provider).faults.add(fault)
        return fault

    def clear_faults(self, provider: str = DEFAULT_PROVIDER) -> None:
        """Have a provider answer well from the next request on."""
        self.provider(provider).faults.clear()

    def demand_key(self, key: str | None, provider: str = DEFAULT_PROVIDER) -> None:
        """Have a provider refuse every other key; None accepts any again."""
        self.provider(provider).key = key

    def release(self, name: str) -> None:
        """Let an answer go on that is held or stalled under this name, and any that comes later."""
        self.gates.release(name)

    async def wait_until_held(self, name: str, *, deadline_s: float = 10.0) -> None:
        """Return once an answer is held or stalled under this name. Raises `TimeoutError` after the deadline."""
        await self.gates.wait_until_held(name, deadline_s)

    def requests(self, provider: str | None = None) -> list[ReceivedRequest]:
        """What arrived, oldest first; of one provider, or of all."""
        return list(self.log.matching(_from(provider)))

    async def wait_for_request(
        self, provider: str | None = None, *, number: int = 1, matching: Matches | None = None, deadline_s: float = 10.0
    ) -> ReceivedRequest:
        """The `number`-th request (from 1), once it has arrived. Raises `TimeoutError`, saying what did arrive."""
        ours = _from(provider)
        return await self.log.wait_for(
            lambda request: ours(request) and (matching is None or matching(request)), number, deadline_s
        )

    def reset(self) -> None:
        """Forget scripts, faults, keys, caches, records and opened gates. Answers under way go on."""
        self._providers.clear()
        self._registered.clear()
        self.log.clear()
        self.gates.reset()

    def provider(self, name: str) -> Provider:
        """The provider of that name."""
        return self._providers.setdefault(name, Provider(name))

    def scripts_for(self, provider: str) -> list[Registered]:
        """The registered scripts that a provider follows, oldest first."""
        return [script for script in self._registered if script.provider in {None, provider}]

    def new_stem(self) -> str:
        """A string no other reply has: letters and digits, 16 of them."""
        self._stems += 1
        return f"{self._instance}{self._stems:08x}"


def _from(provider: str | None) -> Matches:
    return lambda request: provider in {None, request.provider}

"""Simulated model vendors on a loopback port: Anthropic, OpenAI (Responses and Chat Completions), Gemini, and the
clouds that sell them: Bedrock, Google Cloud and Azure.

For the demo, the tests and trying things out without a key. Not for anything a model has to think about: scripts in
prompts decide what is said. Start reading at `simulation.py` for its use, `scripts/script.py` for scripts,
`serving/service.py` for how a request is answered.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from airside.clock import Clock
from airside.testing.simulated.serving.listening import Listener
from airside.testing.simulated.serving.service import Service
from airside.testing.simulated.simulation import DEFAULT_PROVIDER, Simulation

__all__ = ["SimulatedModels"]


class SimulatedModels(Simulation):
    """The simulated providers, listening while the `async with` block runs.

    `url` is where all of them live; what a vendor's SDK takes as its base URL is `anthropic_url`, `openai_url` and
    `gemini_url`.
    """

    def __init__(self, clock: Clock | None = None, *, port: int = 0, keep_requests: int = 1000) -> None:
        super().__init__(clock, keep_requests=keep_requests)
        self._port = port
        self._listener = Listener(Service(self))
        self.url = ""

    def anthropic_url(self, provider: str = DEFAULT_PROVIDER) -> str:
        """The base URL of a provider for Anthropic's SDK."""
        return f"{self.url}/{provider}"

    def openai_url(self, provider: str = DEFAULT_PROVIDER) -> str:
        """The base URL of a provider for OpenAI's SDK."""
        return f"{self.url}/{provider}/v1"

    def gemini_url(self, provider: str = DEFAULT_PROVIDER) -> str:
        """The base URL of a provider for Google's SDK, which adds the version."""
        return f"{self.url}/{provider}"

    async def __aenter__(self) -> Self:
        self.url = await self._listener.open(self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.close()

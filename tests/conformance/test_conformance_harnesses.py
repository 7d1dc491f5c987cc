"""The real command-line agents on each provider family: the same work with tools, through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import gemini_cli
import pytest
from airside_system import System, install_harnesses, make_repository, script
from codex_server import codex_server
from conformance_matrix import CLIS, FAMILIES, HARNESS_FEATURE
from places import place_outside_tmp

pytestmark = [pytest.mark.harness, pytest.mark.timeout(180)]

FILES = {"calc.py": "def add(a, b):\n    return a - b\n"}
MEND = script(
    {"think": "A sign is wrong.", "say": "I look at it.", "calls": [{"read": "calc.py"}]},
    {"calls": [{"edit": {"path": "calc.py", "old": "    return a - b", "new": "    return a + b  # mended"}}]},
    {"calls": [{"bash": "python3 -c 'import calc; print(calc.add(2, 3))'"}, {"bash": "echo and at once"}]},
    {"say": "Mended."},
)
MODELS = {"gemini": "gemini-3-simulated", "anthropic": "claude-sonnet-4-5"}


@pytest.fixture
def place() -> Iterator[Path]:
    with place_outside_tmp() as made:
        yield made


class OneFamily(System):
    """A system whose only providers speak one family."""

    family: str

    def configuration(self, **more: Any) -> dict[str, Any]:
        urls = {"anthropic": self.models.anthropic_url("sim"), "gemini": self.models.gemini_url("sim")}
        provider = {
            "protocol": self.family,
            "base_url": urls.get(self.family, self.models.openai_url("sim")),
            "headers": {"x-goog-api-key": "simulated"}
            if self.family == "gemini"
            else {"authorization": "Bearer simulated"},
            "models": {MODELS.get(self.family, "gpt-5.2"): {"prices": {"input": 1, "output": 2}}},
        }
        harnesses = [name for name in CLIS.values() if name is not None]
        return {
            "providers": {"only": provider},
            "models": {"coder": f"only/{MODELS.get(self.family, 'gpt-5.2')}"},
            "agents": {name: {"harness": name, "model": "coder"} for name in harnesses},
            **more,
        }


@pytest.fixture
async def system(place: Path, family: str) -> AsyncIterator[System]:
    install_harnesses()
    system = OneFamily(place)
    system.family = family
    async with system:
        await system.start()
        yield system


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", [client for client, harness in CLIS.items() if harness is not None])
async def test_a_harness_works_on_any_family(
    system: System, client: str, family: str, publish: Callable[[str, str, str, str], None]
) -> None:
    repository = make_repository(system.place / "repository", FILES)
    session = await system.begin(str(CLIS[client]), MEND, repository)
    found = await system.at_rest(session)
    assert (found["status"], found["stop_reason"]) == ("idle", {"type": "end_turn"})
    assert (await system.said(session))[-1] == "Mended."
    results = [event for event in await system.events(session) if event["type"] == "agent.tool_result"]
    assert len(results) == 4
    assert not any(event["is_error"] for event in results)
    assert "# mended" in (system.workspace(session) / "calc.py").read_text()
    calls = await system.journal_is_complete(session)
    translations = [call["translation"] for call in calls if call["translation"]]
    losses = sorted({loss["field"] for translation in translations for loss in translation["losses"]})
    publish(client, HARNESS_FEATURE, family, f"yes, without {', '.join(losses)}" if losses else "yes")


@pytest.mark.parametrize("family", FAMILIES)
async def test_gemini_cli_works_on_any_family(
    system: System, family: str, publish: Callable[[str, str, str, str], None]
) -> None:
    folder = make_repository(system.place / "repository", FILES)
    key = await system.post("/v1/keys", {"agent": "codex"})
    said = await asyncio.to_thread(
        gemini_cli.run,
        MEND,
        url=system.stack.gateway_url,
        key=key["key"],
        model="coder",
        home=system.place / "home",
        folder=folder,
    )
    assert said == "Mended."
    assert "# mended" in (folder / "calc.py").read_text()
    publish("Gemini CLI", HARNESS_FEATURE, family, "yes")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "openai-responses"])
async def test_codex_compacts_with_a_model_of_another_family(system: System, family: str) -> None:
    system.models.script([{"say": "The summary: a fish is to be remembered."}], match="Write a summary of this")
    key = (await system.post("/v1/keys", {"agent": "codex"}))["key"]
    url, home, folder = system.stack.gateway_url, system.place / "codex-home", system.place / "codex-work"
    async with codex_server(url=url, key=key, model="coder", home=home, folder=folder) as codex:
        # What the tool says stands in no message of the user's, which Codex keeps.
        assert await codex.say(script({"calls": [{"bash": "echo fish-$((40 + 2))"}]}, {"say": "Seen."})) == "Seen."
        assert await codex.compact() == ["contextCompaction"]
        assert await codex.say(script({"say": "On we go."})) == "On we go."
    asked, after = [request.body.decode() for request in system.models.requests()][-2:]
    assert "fish-42" in asked
    assert "The summary: a fish is to be remembered." in after
    assert "fish-42" not in after

"""The published matrix: what each client gets of each provider family, as `docs/reference/conformance.md` says it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.md"
FAMILIES = ("anthropic", "openai-responses", "openai-chat", "gemini")
#: Where the same models are sold, as `gateway_clouds` sets them up: the provider there, its name among the simulated
#: ones, and whose words it takes.
CLOUDS = {
    "Bedrock, Claude": ("bedrock", "aws", "anthropic"),
    "Bedrock, Converse": ("converse", "aws", "bedrock-converse"),
    "Vertex, Claude": ("vertex-claude", "google", "anthropic"),
    "Vertex, Gemini": ("vertex-gemini", "google", "gemini"),
    "Azure, Chat": ("azure", "azure", "openai-chat"),
    "Azure, Responses": ("azure-v1", "azure", "openai-responses"),
    "Foundry, Claude": ("foundry", "foundry", "anthropic"),
    "OpenRouter": ("openrouter", "router", "openai-chat"),
}
NOT_RUN = "not run"
# The command-line agents, with the harness each is here; Gemini CLI is a client only.
CLIS = {"Claude Code": "claude-code", "Codex": "codex", "OpenCode": "opencode", "Gemini CLI": None}
#: Behind a client's name, its table of clouds.
ON_CLOUDS = ", on clouds"
HARNESS_FEATURE = "repairs a repository with its own tools"

_HEAD = """# Conformance

What each client gets when its calls are served by each family of providers, through the gateway. Written by
`tools/write-conformance` from a run of `tests/conformance`, which every `make test` repeats
and holds against this page: a cell that is not what happens fails the run. The clients are the vendors' own SDKs and
the real command-line agents; the models behind the providers are simulated, and as strict as the vendors about what
they take.

`yes`: it works, checked on what the client's own SDK read and on what the provider received. `yes, without ...`: it
works, and the named parts of the request or answer have no counterpart at the provider; the answer's
`x-airside-dropped` header and the journal name them. `no: 404`: refused with that status, since counts and embeddings
are a provider's own and are not translated. Everything else is the reason why not.

Bedrock, Google Cloud, Azure and OpenRouter sell the same models under addresses, signatures and limits of their own;
the tables "on clouds" have the same features there, with credentials as a deployment has them.
"""


class Matrix:
    """The cells of the page, by client, feature and family."""

    def __init__(self, cells: Mapping[tuple[str, str, str], str]) -> None:
        self.cells = dict(cells)

    @classmethod
    def published(cls) -> Matrix:
        """What the page says now."""
        cells, client, families = {}, "", list[str]()
        for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
            columns = [column.strip() for column in line.strip("|").split("|")]
            if line.startswith("## "):
                client = line.removeprefix("## ")
            elif line.startswith("| feature"):
                families = columns[1:]
            elif line.startswith("| ") and client:
                cells |= {
                    (client, columns[0], family): cell for family, cell in zip(families, columns[1:], strict=True)
                }
        return cls(cells)

    @classmethod
    def collected(cls, lines: Sequence[str]) -> Matrix:
        """What a run found, a line of JSON for each cell."""
        found = [json.loads(line) for line in lines]
        return cls({(cell["client"], cell["feature"], cell["family"]): cell["outcome"] for cell in found})

    def page(self, clients: Sequence[str], features: Mapping[str, Sequence[str]]) -> str:
        """The page. `features`: those of each client, in order."""
        parts = [_HEAD]
        for client in clients:
            places: Sequence[str] = tuple(CLOUDS) if client.endswith(ON_CLOUDS) else FAMILIES
            parts += [f"## {client}\n", f"| feature | {' | '.join(places)} |", "| --- " * (len(places) + 1) + "|"]
            for feature in features[client]:
                cells = [self.cells.get((client, feature, place), NOT_RUN) for place in places]
                parts.append(f"| {feature} | {' | '.join(cells)} |")
            parts.append("")
        return "\n".join(parts)

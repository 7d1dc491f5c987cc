"""A configuration on simulated providers: for `airside up --simulated` and the demo.

Two vendors, north and south, each in every dialect, so that any harness can be tried and the second vendor can answer
when the first does not. Model names and prices are those of real models, so costs look as they would.
"""

from __future__ import annotations

import yaml

from airside.agents.harness_name import HarnessName
from airside.routing.protocols import ProviderProtocol

VENDORS = ("north", "south")
MODEL = "coder"
_MODEL_NAMES = {
    ProviderProtocol.ANTHROPIC: "claude-sonnet-4-5",
    ProviderProtocol.OPENAI_RESPONSES: "gpt-5.2",
    ProviderProtocol.OPENAI_CHAT: "gpt-5.2",
}
_SUFFIXES = {
    ProviderProtocol.ANTHROPIC: "",
    ProviderProtocol.OPENAI_RESPONSES: "/v1",
    ProviderProtocol.OPENAI_CHAT: "/v1",
}
SYSTEM = "You repair code. Run the tests, find the cause, mend it, and run the tests again."


def provider_name(vendor: str, protocol: ProviderProtocol) -> str:
    """What a vendor's provider of one dialect is called."""
    return f"{vendor}-{protocol}"


def simulated_file(url: str, sandbox: str) -> str:
    """An `airside.yaml` with one agent per harness, named after it, on the simulated providers at `url`."""
    content = {
        "providers": {
            provider_name(vendor, protocol): {
                "protocol": str(protocol),
                "base_url": f"{url}/{vendor}{suffix}",
                "headers": {"authorization": "Bearer simulated"},
            }
            for protocol, suffix in _SUFFIXES.items()
            for vendor in VENDORS
        },
        "models": {
            MODEL: {
                "route": [
                    {
                        "to": [
                            f"{provider_name(vendor, protocol)}/{_MODEL_NAMES[protocol]}"
                            for protocol in _MODEL_NAMES
                            for vendor in VENDORS
                        ]
                    }
                ]
            }
        },
        "environments": {"sandboxed": {"sandbox": sandbox}},
        "agents": {
            str(harness): {
                "harness": str(harness),
                "model": MODEL,
                "environment": "sandboxed",
                "system": SYSTEM,
                "description": f"Repairs code with {harness} on simulated models.",
            }
            for harness in HarnessName
        },
    }
    return yaml.safe_dump(content, sort_keys=False)

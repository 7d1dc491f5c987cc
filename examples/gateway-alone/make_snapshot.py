"""Writes a snapshot for a gateway without a control plane, and prints the one key that opens it.

    export ANTHROPIC_API_KEY=...
    python examples/gateway-alone/make_snapshot.py --out snapshot.json
    airside gateway --snapshot snapshot.json --data gateway-data

Then, in another terminal, with the key that was printed:

    ANTHROPIC_BASE_URL=http://127.0.0.1:7710 ANTHROPIC_AUTH_TOKEN=air_... claude

The vendor's key stays in the gateway's environment: the snapshot only names the variable. The gateway refuses calls
once the cap is reached, and keeps its journal in `gateway-data/journal.jsonl`.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from airside.access.keys import new_key, sha256_of
from airside.dataplanes import snapshot as contract
from airside.dataplanes.compiler import price_of
from airside.routing.prices import published
from airside.routing.protocols import ProviderProtocol
from airside.spending.budgets import Window

VENDOR = "anthropic"


def made_snapshot(key: str, base_url: str, model: str, cap_usd: str) -> contract.Snapshot:
    now = datetime.now(UTC)
    prices = published(VENDOR, model, now)
    if prices is None:
        raise SystemExit(f"no price is published for {model!r}; the gateway calls nothing that has no price")
    return contract.Snapshot(
        version=1,
        compiled_at=now,
        keys=[
            contract.Key(
                key_id="key_laptop",
                sha256=sha256_of(key),
                project="laptop",
                agent_id="agent_laptop",
                agent_name="laptop",
            )
        ],
        providers=[
            contract.Provider(
                name=VENDOR,
                protocol=ProviderProtocol.ANTHROPIC,
                base_url=base_url,
                credential=contract.Credential(kind=contract.CredentialKind.X_API_KEY, env="ANTHROPIC_API_KEY"),
            )
        ],
        models=[
            contract.Model(
                name=model,
                route=[contract.Step(to=[contract.Target(provider=VENDOR, model=model, price=price_of(prices))])],
            )
        ],
        budgets=[
            contract.Budget(
                budget_id="budget_laptop",
                scope=contract.ScopeKind.AGENT,
                scope_id="agent_laptop",
                limit_nanousd=int(Decimal(cap_usd) * 1_000_000_000),
                window=Window.DAY,
            )
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("snapshot.json"), help="where the snapshot goes")
    parser.add_argument("--base-url", default="https://api.anthropic.com", help="what the vendor's own SDK takes")
    parser.add_argument("--model", default="claude-opus-5-5", help="the one model that may be called")
    parser.add_argument("--cap-usd", default="5.00", help="the most that may be spent in a day (UTC)")
    chosen = parser.parse_args()

    key = new_key()
    snapshot = made_snapshot(key, chosen.base_url, chosen.model, chosen.cap_usd)
    chosen.out.write_text(snapshot.model_dump_json(indent=2))
    print(key)


if __name__ == "__main__":
    main()

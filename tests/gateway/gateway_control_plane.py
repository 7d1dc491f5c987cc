"""A control plane that keeps the contract with gateways in memory, and can go away and come back."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gateway_processes import LoopbackServer
from gateway_provider import SECRET, Provider

from airside.access.keys import new_key
from airside.access.tokens import SessionTokenSigner, encode_base64url
from airside.clock import SystemClock
from airside.dataplanes.bodies import BodyBatch, CallBodies
from airside.dataplanes.journal import JournalBatch
from airside.dataplanes.leases import LeaseRequests

AGENT = "agent_1"


def now_s() -> int:
    """Seconds since 1970, by the clock that gateways go by."""
    return int(SystemClock().now().timestamp())


def price() -> dict[str, Any]:
    """A dollar a million tokens of input, two of output."""
    tier = {"input_uncached": 10**9, "cache_read": 10**8, "cache_write_5m": 10**9, "cache_write_1h": 2 * 10**9}
    return {"tiers": [{"above_input_tokens": 0, **tier, "output": 2 * 10**9}]}


class ControlPlane:
    """Snapshots by long poll, leases from one cap per scope, and a journal that counts every record once."""

    def __init__(self) -> None:
        self.token = "join-" + base64.urlsafe_b64encode(b"canary-token").decode()
        self.signer = SessionTokenSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
        self.key = new_key("test")
        self.snapshot: dict[str, Any] | None = None
        self.caps: dict[str, int] = {}
        self.slice_nanousd = 10**18
        self.granted: dict[tuple[str, str], int] = {}
        self.records: dict[tuple[str, int], dict[str, Any]] = {}
        self.through: dict[str, int] = {}
        self.as_written: list[str] = []
        self.bodies: dict[str, CallBodies] = {}
        self.away = False
        self.reject_journal = False
        self.changed = threading.Condition()
        control = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                control.serve(self)

            def do_POST(self) -> None:
                control.serve(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = LoopbackServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    # --- what a test says ------------------------------------------------------------------------------------------

    def serve_from(self, provider: Provider, *, version: int = 1, **fields: object) -> None:
        """Send a snapshot with one provider, one model `m` and one key."""
        target = {"provider": "p", "model": "real", "price": price(), "max_output_tokens": 1000}
        snapshot = {
            "format": 1,
            "version": version,
            "compiled_at": "2026-11-23T17:52:28Z",
            "session_token_keys": [{"key_id": self.signer.key_id, "ed25519": encode_base64url(self.signer.public_key)}],
            "keys": [
                {
                    "key_id": "key_1",
                    "sha256": hashlib.sha256(self.key.encode()).hexdigest(),
                    "project": "proj_1",
                    "agent_id": AGENT,
                    "agent_name": "fixer",
                }
            ],
            "providers": [
                {
                    "name": "p",
                    "protocol": "anthropic",
                    "base_url": provider.url,
                    "credential": {"kind": "x_api_key", "secret": SECRET},
                }
            ],
            "models": [{"name": "m", "route": [{"to": [target]}]}],
            **fields,
        }
        with self.changed:
            self.snapshot = snapshot
            self.changed.notify_all()

    def session_token(self, session: str = "sesn_1", **claims: object) -> str:
        now = now_s()
        body = {
            "key_id": self.signer.key_id,
            "session_id": session,
            "agent_id": AGENT,
            "agent_name": "fixer",
            "agent_version": 3,
            "project": "proj_1",
            "harness": "codex",
            "models": ["m"],
            "issued_at": now - 5,
            "expires_at": now + 600,
            **claims,
        }
        return self.signer.sign(json.dumps(body).encode())

    def agent_budget(self, limit_nanousd: int) -> list[dict[str, Any]]:
        """The budget of the agent, for a snapshot; from now on its leases too."""
        self.caps[f"agent:{AGENT}"] = limit_nanousd
        budget = {"budget_id": "b", "scope": "agent", "scope_id": AGENT, "limit_nanousd": limit_nanousd}
        return [{**budget, "window": "total"}]

    def set_away(self, away: bool) -> None:
        """Answer 503 to everything, as a proxy before a dead control plane would."""
        with self.changed:
            self.away = away
            self.changed.notify_all()

    def calls(self, outcome: str | None = None) -> list[dict[str, Any]]:
        with self.changed:
            records = [self.records[place] for place in sorted(self.records)]
        return [record for record in records if outcome in {None, record["outcome"]}]

    # --- what a gateway hears --------------------------------------------------------------------------------------

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        url = urlsplit(handler.path)
        if self.away:
            self._say(handler, 503, {})
        elif handler.headers.get("authorization") != f"Bearer {self.token}":
            self._say(handler, 401, {"error": "unknown token"})
        elif url.path == "/internal/v1/snapshot":
            self._snapshot(handler, {name: values[0] for name, values in parse_qs(url.query).items()})
        elif url.path == "/internal/v1/leases":
            self._say(handler, 200, self._leases(LeaseRequests.model_validate_json(body)))
        elif url.path == "/internal/v1/bodies":
            self._say(handler, 204, self._bodies(BodyBatch.model_validate_json(body)))
        elif url.path == "/internal/v1/journal" and not self.reject_journal:
            self.as_written += [json.dumps(record) for record in json.loads(body)["records"]]
            self._say(handler, 200, self._journal(JournalBatch.model_validate_json(body)))
        else:
            self._say(handler, 422, {"error": "no"})

    def _snapshot(self, handler: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        after = int(query["after"])
        with self.changed:
            self.changed.wait_for(
                lambda: self.away or (self.snapshot and self.snapshot["version"] > after),
                timeout=float(query["wait_s"]),
            )
            snapshot = self.snapshot
        if self.away:
            self._say(handler, 503, {})
        elif snapshot is None or snapshot["version"] <= after:
            handler.send_response(204)
            handler.end_headers()
        else:
            self._say(handler, 200, snapshot)

    def _leases(self, asked: LeaseRequests) -> dict[str, Any]:
        gateway, leases, unknown = asked.gateway_id, [], []
        with self.changed:
            for request in asked.requests:
                if request.scope not in self.caps:
                    unknown.append(request.scope)
                    continue
                cap = self.caps[request.scope]
                others = sum(
                    granted
                    for (scope, name), granted in self.granted.items()
                    if scope == request.scope and name != gateway
                )
                mine = self.granted.get((request.scope, gateway), 0)
                ceiling = max(0, cap - others)
                granted = min(ceiling, mine + max(self.slice_nanousd, request.need_nanousd))
                self.granted[request.scope, gateway] = granted
                settled = sum(
                    charge["nanousd"]
                    for (name, _), record in self.records.items()
                    if name == gateway
                    for charge in record["charges"]
                    if charge["scope"] == request.scope
                )
                leases.append(
                    {
                        "scope": request.scope,
                        "window_start": 0,
                        "window_end": None,
                        "granted_nanousd": granted,
                        "settled_nanousd": settled,
                        "exhausted": granted >= ceiling,
                    }
                )
            return {"journal_through": self.through.get(gateway, 0), "leases": leases, "unknown_scopes": unknown}

    def _journal(self, batch: JournalBatch) -> dict[str, Any]:
        with self.changed:
            for record in batch.records:
                through = self.through.get(batch.gateway_id, 0)
                assert record.sequence <= through + 1, "a gap in the journal"
                if record.sequence <= through:
                    known = self.records[batch.gateway_id, record.sequence]
                    assert known == record.model_dump(mode="json"), "a record changed"
                    continue
                self.records[batch.gateway_id, record.sequence] = record.model_dump(mode="json")
                self.through[batch.gateway_id] = record.sequence
            self.changed.notify_all()
            return {"acknowledged": self.through.get(batch.gateway_id, 0)}

    def _bodies(self, batch: BodyBatch) -> None:
        with self.changed:
            self.bodies |= {one.call_id: one for one in batch.bodies}
            self.changed.notify_all()

    def wait_for_bodies(self, call_id: str) -> CallBodies:
        """What was kept of a call, once it has come."""
        with self.changed:
            assert self.changed.wait_for(lambda: call_id in self.bodies, timeout=20), "no bodies came"
            return self.bodies[call_id]

    def wait_for_calls(self, count: int) -> list[dict[str, Any]]:
        """All records, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.records) >= count, timeout=20), len(self.records)
        found = self.calls()
        assert len(found) == count, found
        return found

    @staticmethod
    def _say(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set_away(True)
        self.server.shutdown()
        self.server.server_close()

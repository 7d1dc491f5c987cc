"""The gateway of Airside: a process that serves model calls, and the rules the control plane shares with it."""

from collections.abc import Sequence

def check_condition(text: str) -> None:
    """Do nothing when this is a condition of a route step; raise `ValueError` with what is wrong and what is known."""

def explain_route(snapshot_json: str, request_json: str, now: int) -> str:
    """What would become of a call under a snapshot (`Snapshot`), as JSON, at `now` (seconds since 1970).

    The request says what is known of the call: model, door, task, input_tokens, images, documents, tools, thinking,
    stream, headers, agent, project, session, body. Nothing is known of the health of providers, and the answer's
    `health` is null. Raises `ValueError` when the request makes no sense.
    """

def main(argv: Sequence[str]) -> int:
    """Run `airside gateway` with these arguments until SIGTERM or SIGINT; returns the exit code.

    0: stopped as told. 1: it could not start or serve. 2: bad usage. The interpreter lock is released throughout.
    Called once per process: it takes over the process's signals.
    """

def price_usage(price_json: str, usage_json: str) -> int:
    """What this usage (`TokenUsage`) costs at this price (`Price`), in nano-dollars, rounded up once.

    Raises `ValueError` when either cannot be read.
    """

def price_consumption(price_json: str, consumption_json: str) -> int:
    """The same for a `Consumption`: `usage`, `tool_uses` and `service_tier`, as `read_usage` gives it."""

def read_usage(family: str, body: bytes) -> str | None:
    """What an answer says it consumed, as JSON: `usage`, `tool_uses`, `service_tier`; None when it says nothing.

    `family` is that of a provider's protocol. A body that begins with `{` is one document, any other a stream.
    """

def check_redaction_pattern(pattern: str) -> None:
    """Do nothing when the gateway can take out of bodies what this finds; raise `ValueError` with the reason if not."""

def validate_snapshot(json: str) -> None:
    """Do nothing when the gateway would take this snapshot (`Snapshot`); raise `ValueError` with the reason if not."""

def verify_session_token(token: str, snapshot_json: str, now: int) -> str:
    """The claims (`SessionClaims`) of a token as JSON, judged at `now` (seconds since 1970) by a snapshot's keys.

    Raises `ValueError` with the reason when the gateway would refuse it.
    """

def version() -> str:
    """The gateway's version."""

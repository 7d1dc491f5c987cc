"""Bodies of calls on their way from a gateway to the control plane.

Sent after the records they belong to, at least once; a call's bodies are stored once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Base64Bytes, Field

from airside.dataplanes.snapshot import Contract


class CallBodies(Contract):
    """What is kept of one call, without secrets."""

    call_id: Annotated[str, Field(min_length=1, max_length=64)]
    project: Annotated[str, Field(max_length=100)]
    retention_days: Annotated[int, Field(ge=1, le=3650)]
    mode: Literal["redacted", "full"]
    request_bytes: int = Field(description="Length of the request before it was cut and redacted.")
    answer_bytes: int = Field(description="Length of the answer before it was cut and redacted.")
    redactions: int = Field(description="How many secrets were taken out.")
    request_gzip: Base64Bytes
    answer_gzip: Base64Bytes


class BodyBatch(Contract):
    """Body of `POST /internal/v1/bodies`; 204 when all are stored."""

    gateway_id: str
    bodies: list[CallBodies]

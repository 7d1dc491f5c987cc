"""Amazon Bedrock's `InvokeModel` for Claude, as the Bedrock user guide and API reference describe it."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.anthropic import AnthropicMessages, require_fields
from airside.testing.simulated.dialects.aws_signing import check_signature
from airside.testing.simulated.dialects.contract import (
    UNADDRESSED,
    Account,
    Addressed,
    Asked,
    Operation,
    VendorError,
    admit_key,
    bearer,
    compact,
)
from airside.testing.simulated.json_reading import as_list, as_object, as_text

EVENT_STREAM = "application/vnd.amazon.eventstream"
_EXCEPTIONS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_IN_STREAM = {
    400: "validationException",
    408: "modelTimeoutException",
    424: "modelStreamErrorException",
    429: "throttlingException",
    503: "serviceUnavailableException",
}
_NOT_KNOWN = frozenset({"model", "stream", "service_tier", "mcp_servers", "container", "speed", "inference_geo"})


class BedrockWire:
    """What all of Bedrock's operations share: who is let in, and how it fails."""

    stream_type = EVENT_STREAM

    def admit(self, asked: Asked, account: Account) -> None:
        shown = bearer(asked.headers)
        if shown and not shown.startswith("AWS4-"):
            admit_key(shown, account)
        else:
            check_signature(asked, account, "bedrock")

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        del request_id
        return {"message": error.message}

    def error_headers(self, error: VendorError) -> Mapping[str, str]:
        kind = error.kind or _EXCEPTIONS.get(error.status, "InternalServerException")
        return {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"}

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        del reply, already_sent
        if bare:
            headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": error.message}
            return Frame(framed(headers, b""))
        kind = _IN_STREAM.get(error.status, "internalServerException")
        headers = {
            ":exception-type": kind,
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return Frame(framed(headers, compact({"message": error.message})))

    def request_id_header(self) -> str:
        return "x-amzn-requestid"

    def token_count(self, tokens: int) -> JsonObject:
        return {"inputTokens": tokens}


class BedrockInvoke(BedrockWire, AnthropicMessages):
    """Claude's own requests and answers; the model stands in the path, beta flags in the body."""

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        del addressed
        request = _request(body)
        if request.get("anthropic_version") != "bedrock-2023-05-31":
            raise VendorError(400, "anthropic_version: Input should be 'bedrock-2023-05-31'")
        unknown = sorted(_NOT_KNOWN & request.keys())
        if unknown:
            raise VendorError(400, f"{unknown[0]}: Extra inputs are not permitted")
        if any("scope" in mark for mark in cache_marks(request)):
            raise VendorError(400, "cache_control.ephemeral.scope: Extra inputs are not permitted")
        if any("eager_input_streaming" in as_object(tool) for tool in as_list(request.get("tools"))):
            raise VendorError(400, "tools.0.custom.eager_input_streaming: Extra inputs are not permitted")
        if any("," in as_text(flag) for flag in as_list(request.get("anthropic_beta"))):
            raise VendorError(400, "invalid beta flag")
        require_fields(operation, request, but="model")

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        request = {**_request(body), "model": addressed.model, "stream": addressed.streams}
        return super().read(request, addressed)

    def stream(self, reply: Reply) -> Iterator[Frame]:
        for frame in super().stream(reply):
            event = frame.data.partition(b"data: ")[2].strip()
            payload = compact({"bytes": b64encode(event).decode(), "p": "abcdef"})
            headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
            yield Frame(framed(headers, payload), frame.content_chars)

    error_in_stream = BedrockWire.error_in_stream


def framed(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame of AWS's event stream."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    start = struct.pack("!II", 12 + len(head) + len(payload) + 4, len(head))
    whole = start + struct.pack("!I", zlib.crc32(start)) + head + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def cache_marks(value: JsonValue) -> Iterator[JsonObject]:
    """Every cache mark in a request, wherever it stands."""
    if isinstance(value, Mapping):
        mark = as_object(value.get("cache_control"))
        if mark:
            yield mark
        for inner in value.values():
            yield from cache_marks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from cache_marks(inner)


def _request(body: JsonObject) -> JsonObject:
    """The request itself; one that counts tokens wraps it."""
    wrapped = as_text(as_object(as_object(body.get("input")).get("invokeModel")).get("body"))
    return as_object(json.loads(b64decode(wrapped))) if wrapped else body

"""Gemini's `generateContent`, as ai.google.dev describes it and the google-genai SDK types it (v1beta)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.contract import (
    SERVER_SENT_EVENTS,
    UNADDRESSED,
    Account,
    Addressed,
    Asked,
    DialectName,
    Operation,
    VendorError,
    admit_key,
    compact,
    server_sent,
)
from airside.testing.simulated.dialects.gemini_requests import (
    check_request,
    named,
    read_request,
    shows_thoughts,
    signature_of,
)
from airside.testing.simulated.embedding import as_json, vector_of
from airside.testing.simulated.json_reading import as_count, as_object, as_text, objects_in
from airside.testing.simulated.query import query_value
from airside.testing.simulated.scripts.script import Stop
from airside.testing.simulated.usage import PromptCache, Usage, tokens_in

_DIMENSIONS = 768
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_FINISHES = {
    Stop.MAX_TOKENS: "MAX_TOKENS",
    Stop.CONTEXT_WINDOW: "MAX_TOKENS",
    Stop.CONTENT_FILTER: "SAFETY",
    Stop.REFUSAL: "PROHIBITED_CONTENT",
}


class Gemini:
    """The dialect of `models/{model}:generateContent`; a stream is server-sent events."""

    name = DialectName.GEMINI
    stream_type = SERVER_SENT_EVENTS

    def admit(self, asked: Asked, account: Account) -> None:
        shown = asked.headers.get("x-goog-api-key") or query_value(asked.query, "key")
        if not shown:
            message = "Method doesn't allow unregistered callers (callers without established identity)."
            raise VendorError(403, message)
        try:
            admit_key(shown, account)
        except VendorError:
            message = "API key not valid. Please pass a valid API key."
            raise VendorError(400, message, code="API_KEY_INVALID") from None

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        if operation in {Operation.ANSWER, Operation.COUNT_TOKENS}:
            check_request(addressed.model, _asked(body))

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        return read_request(addressed.model, _asked(body), streams=addressed.streams)

    def count_prompt(self, cache: PromptCache, conversation: Conversation) -> Usage:
        return cache.count_all(conversation.model, conversation.prompt)

    def whole(self, reply: Reply) -> JsonObject:
        return _chunk(reply, _parts(reply), _finish(reply), _usage(reply.usage))

    def stream(self, reply: Reply) -> Iterator[Frame]:
        for chunk, chars in _chunks(reply):
            yield Frame(server_sent(chunk), chars)

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        del request_id
        return {"error": error_fields(error)}

    def error_headers(self, error: VendorError) -> Mapping[str, str]:
        del error
        return {}

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        del reply, already_sent, bare
        return Frame(server_sent({"error": error_fields(error)}))

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        del created
        methods: list[JsonValue] = ["generateContent", "countTokens", "embedContent"]
        return {
            "models": [
                {
                    "name": f"models/{name}",
                    "version": "001",
                    "displayName": name,
                    "inputTokenLimit": 1_048_576,
                    "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": methods,
                }
                for name in models
            ]
        }

    def token_count(self, tokens: int) -> JsonObject:
        return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}

    def embeddings(self, model: str, body: JsonObject) -> JsonObject:
        del model
        requests = objects_in(body.get("requests"))
        if requests:
            return {"embeddings": [_embedding(request) for request in requests]}
        return {"embedding": _embedding(body)}

    def request_id_header(self) -> str:
        return "x-goog-request-id"


class GeminiArray(Gemini):
    """The same without `alt=sse`: a stream is one JSON array, written piece by piece."""

    stream_type = "application/json; charset=UTF-8"

    def stream(self, reply: Reply) -> Iterator[Frame]:
        opening = b"["
        for chunk, chars in _chunks(reply):
            yield Frame(opening + compact(chunk), chars)
            opening = b",\r\n"
        yield Frame(b"]")

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        del reply, bare
        opening = b",\r\n" if already_sent else b"["
        return Frame(opening + compact({"error": error_fields(error)}) + b"]")


def error_fields(error: VendorError) -> JsonObject:
    """The `error` object as Google's services write it; a `code` of the error becomes its reason."""
    fields: dict[str, JsonValue] = {
        "code": error.status,
        "message": error.message,
        "status": error.kind or _STATUSES.get(error.status, "UNKNOWN"),
    }
    if error.code:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        fields["details"] = [{"@type": kind, "reason": error.code, "domain": "googleapis.com"}]
    return fields


def _asked(body: JsonObject) -> JsonObject:
    """The request itself; a count of tokens may wrap it."""
    return as_object(named(body, "generateContentRequest")) or body


def _embedding(request: JsonObject) -> JsonObject:
    text = "\n".join(as_text(part.get("text")) for part in objects_in(as_object(request.get("content")).get("parts")))
    if not text:
        raise VendorError(400, "* EmbedContentRequest.content: contents is not specified\n")
    config = as_object(named(request, "embedContentConfig")) or request
    dimensions = as_count(named(config, "outputDimensionality")) or _DIMENSIONS
    if not 1 <= dimensions <= 3072:
        raise VendorError(400, f"output_dimensionality must be between 1 and 3072, but got {dimensions}.")
    return {"values": as_json(vector_of(text, dimensions))}


# --- answers -------------------------------------------------------------------------------------------------------


def _finish(reply: Reply) -> str:
    return _FINISHES.get(reply.answer.stop, "STOP")


def _call_parts(reply: Reply) -> list[JsonObject]:
    """The calls as parts; the first carries the signature of the step."""
    parts: list[JsonObject] = []
    for index, call in enumerate(reply.answer.calls):
        part: dict[str, JsonValue] = {"functionCall": {"name": call.tool.name, "args": call.arguments}}
        if index == 0:
            part["thoughtSignature"] = signature_of(call.tool.name)
        parts.append(part)
    return parts


def _parts(reply: Reply) -> list[JsonValue]:
    answer = reply.answer
    parts: list[JsonValue] = []
    if answer.think and shows_thoughts(reply.request):
        parts.append({"text": answer.think, "thought": True})
    if answer.say:
        parts.append({"text": answer.say})
    return [*parts, *_call_parts(reply)]


def _chunk(reply: Reply, parts: list[JsonValue], finish: str | None, usage: JsonObject) -> JsonObject:
    candidate: dict[str, JsonValue] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    candidate["index"] = 0
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": reply.conversation.model,
        "responseId": reply.stem,
    }


def _usage(usage: Usage, written: int | None = None) -> JsonObject:
    """The counters; `written` tokens of the answer so far. What was thought is counted beside the candidates."""
    candidates = usage.output - usage.reasoning if written is None else written
    fields: dict[str, JsonValue] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": candidates,
        "totalTokenCount": usage.input + candidates + usage.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
    }
    if usage.cache_read:
        fields["cachedContentTokenCount"] = usage.cache_read
        fields["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cache_read}]
    if usage.reasoning:
        fields["thoughtsTokenCount"] = usage.reasoning
    return fields


def _chunks(reply: Reply) -> Iterator[tuple[JsonObject, int]]:
    """The stream's values in order, each with how many characters of the model's own it carries."""
    answer, most = reply.answer, reply.usage.output - reply.usage.reasoning
    if answer.think and shows_thoughts(reply.request):
        for piece in reply.pieces(answer.think):
            yield _chunk(reply, [{"text": piece, "thought": True}], None, _usage(reply.usage, 0)), len(piece)
    said = ""
    for piece in reply.pieces(answer.say):
        said += piece
        yield _chunk(reply, [{"text": piece}], None, _usage(reply.usage, min(tokens_in(said), most))), len(piece)
    for part in _call_parts(reply):
        size = len(compact(as_object(part["functionCall"]).get("args")))
        yield _chunk(reply, [part], None, _usage(reply.usage, min(tokens_in(said), most))), size
    yield _chunk(reply, [{"text": ""}], _finish(reply), _usage(reply.usage)), 0

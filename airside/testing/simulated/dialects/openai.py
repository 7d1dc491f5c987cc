"""What the two dialects of OpenAI have in common: keys, errors and the list of models."""

from __future__ import annotations

from collections.abc import Mapping

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.contract import (
    SERVER_SENT_EVENTS,
    Account,
    Asked,
    VendorError,
    admit_key,
    bearer,
)
from airside.testing.simulated.usage import PromptCache, Usage

_KINDS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "not_found"),
    426: ("invalid_request_error", "upgrade_required"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "server_is_overloaded"),
}


class OpenAiWire:
    """The part of a dialect that Responses and Chat Completions share."""

    stream_type = SERVER_SENT_EVENTS

    def admit(self, asked: Asked, account: Account) -> None:
        admit_key(bearer(asked.headers), account)

    def count_prompt(self, cache: PromptCache, conversation: Conversation) -> Usage:
        return cache.count_all(conversation.model, conversation.prompt)

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        del request_id  # travels in a header only
        return {"error": error_fields(error)}

    def error_headers(self, error: VendorError) -> Mapping[str, str]:
        del error
        return {}

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        data: list[JsonValue] = [
            {"id": name, "object": "model", "created": created, "owned_by": "airside"} for name in models
        ]
        return {"object": "list", "data": data}

    def token_count(self, tokens: int) -> JsonObject:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def request_id_header(self) -> str:
        return "x-request-id"


def error_fields(error: VendorError) -> dict[str, JsonValue]:
    """The `error` object of an error answer."""
    kind, code = _KINDS.get(error.status, ("server_error", "server_error"))
    return {
        "message": error.message,
        "type": error.kind or kind,
        "param": error.param,
        "code": error.code or code,
    }

"""Which vendor's door a path is: the dialect spoken behind it, and what the path says beside the body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from airside.testing.simulated.dialects.anthropic import AnthropicMessages
from airside.testing.simulated.dialects.azure import AzureChat, AzureResponses
from airside.testing.simulated.dialects.bedrock import BedrockInvoke
from airside.testing.simulated.dialects.bedrock_converse import BedrockConverse
from airside.testing.simulated.dialects.contract import Dialect, Operation, VendorError
from airside.testing.simulated.dialects.gemini import Gemini, GeminiArray
from airside.testing.simulated.dialects.openai_chat import OpenAiChat
from airside.testing.simulated.dialects.openai_responses import OpenAiResponses
from airside.testing.simulated.dialects.vertex import GoogleIdentity, VertexClaude, VertexGemini
from airside.testing.simulated.query import query_value
from airside.testing.simulated.simulation import DEFAULT_PROVIDER

_PROVIDER = re.compile(r"^/(?P<provider>[A-Za-z0-9][\w.-]*)(?P<rest>/.*)$")

_ANTHROPIC, _CHAT, _RESPONSES = AnthropicMessages(), OpenAiChat(), OpenAiResponses()
_GEMINI, _GEMINI_ARRAY = Gemini(), GeminiArray()
_INVOKE, _CONVERSE = BedrockInvoke(), BedrockConverse()
_VERTEX_CLAUDE, _VERTEX_GEMINI = VertexClaude(), VertexGemini()
_AZURE_CHAT, _AZURE_RESPONSES = AzureChat(), AzureResponses()


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a request is for."""

    provider: str
    dialect: Dialect
    operation: Operation
    model: str = ""  # that the path names
    streams: bool = False  # as the path says


@dataclass(frozen=True, slots=True)
class _Door:
    """Paths that begin alike; a group `model` is the model, still encoded."""

    method: str
    path: re.Pattern[str]
    dialect: Dialect
    operation: Operation
    streams: bool = False


def _door(method: str, path: str, dialect: Dialect, operation: Operation, *, streams: bool = False) -> _Door:
    return _Door(method, re.compile(path + "/?"), dialect, operation, streams)


_GEMINI_MODEL = r"/v1(?:alpha|beta)?/models/(?P<model>[^/:]+)"
_BEDROCK_MODEL = r"/model/(?P<model>[^/]+)"
_PUBLISHERS = r"/v1/projects/[^/]+/locations/[^/]+/publishers"
_VERTEX_MODEL = r"/models/(?P<model>[^/:]+)"
_AZURE_DEPLOYMENT = r"/openai/deployments/(?P<model>[^/]+)"
_DOORS = (
    _door("POST", "/v1/messages", _ANTHROPIC, Operation.ANSWER),
    _door("POST", "/v1/messages/count_tokens", _ANTHROPIC, Operation.COUNT_TOKENS),
    _door("POST", "/v1/responses", _RESPONSES, Operation.ANSWER),
    _door("POST", "/v1/chat/completions", _CHAT, Operation.ANSWER),
    _door("POST", "/v1/embeddings", _CHAT, Operation.EMBEDDINGS),
    _door("GET", "/v1(?:alpha|beta)/models", _GEMINI, Operation.MODELS),
    _door("POST", _GEMINI_MODEL + ":generateContent", _GEMINI, Operation.ANSWER),
    _door("POST", _GEMINI_MODEL + ":streamGenerateContent", _GEMINI, Operation.ANSWER, streams=True),
    _door("POST", _GEMINI_MODEL + ":countTokens", _GEMINI, Operation.COUNT_TOKENS),
    _door("POST", _GEMINI_MODEL + ":(?:embedContent|batchEmbedContents)", _GEMINI, Operation.EMBEDDINGS),
    _door("POST", _BEDROCK_MODEL + "/invoke", _INVOKE, Operation.ANSWER),
    _door("POST", _BEDROCK_MODEL + "/invoke-with-response-stream", _INVOKE, Operation.ANSWER, streams=True),
    _door("POST", _BEDROCK_MODEL + "/count-tokens", _INVOKE, Operation.COUNT_TOKENS),
    _door("POST", _BEDROCK_MODEL + "/converse", _CONVERSE, Operation.ANSWER),
    _door("POST", _BEDROCK_MODEL + "/converse-stream", _CONVERSE, Operation.ANSWER, streams=True),
    _door("POST", _PUBLISHERS + "/anthropic/models/count-tokens:rawPredict", _VERTEX_CLAUDE, Operation.COUNT_TOKENS),
    _door("POST", _PUBLISHERS + "/anthropic" + _VERTEX_MODEL + ":rawPredict", _VERTEX_CLAUDE, Operation.ANSWER),
    _door(
        "POST",
        _PUBLISHERS + "/anthropic" + _VERTEX_MODEL + ":streamRawPredict",
        _VERTEX_CLAUDE,
        Operation.ANSWER,
        streams=True,
    ),
    _door("POST", _PUBLISHERS + "/google" + _VERTEX_MODEL + ":generateContent", _VERTEX_GEMINI, Operation.ANSWER),
    _door(
        "POST",
        _PUBLISHERS + "/google" + _VERTEX_MODEL + ":streamGenerateContent",
        _VERTEX_GEMINI,
        Operation.ANSWER,
        streams=True,
    ),
    _door("POST", "/oauth2/token", GoogleIdentity(), Operation.CREDENTIAL),
    _door("POST", _AZURE_DEPLOYMENT + "/chat/completions", _AZURE_CHAT, Operation.ANSWER),
    _door("POST", "/openai/v1/chat/completions", _AZURE_CHAT, Operation.ANSWER),
    _door("POST", "/openai(?:/v1)?/responses", _AZURE_RESPONSES, Operation.ANSWER),
)


def target_of(method: str, raw_path: str, query: str, headers: Mapping[str, str]) -> Target | VendorError:
    """Whom a request is for and in which dialect, or the error that answers it.

    A first segment that is no vendor's own names the provider.
    """
    for provider, path in _readings(raw_path):
        if (method, path.rstrip("/")) == ("GET", "/v1/responses"):
            return VendorError(426, "WebSockets are not simulated: use POST.")
        if (method, path.rstrip("/")) == ("GET", "/v1/models"):
            return Target(provider, spoken_by(headers), Operation.MODELS)
        for door in _DOORS:
            matched = door.path.fullmatch(path) if door.method == method else None
            if matched:
                return _through(door, matched, provider, query)
    return VendorError(404, f"There is no {method} {unquote(raw_path)}.")


def spoken_by(headers: Mapping[str, str]) -> Dialect:
    """The dialect of a request whose path does not tell."""
    if "x-goog-api-key" in headers:
        return _GEMINI
    return _ANTHROPIC if "anthropic-version" in headers else _CHAT


def _readings(raw_path: str) -> Iterator[tuple[str, str]]:
    """The path with its first segment taken for a provider, and without."""
    matched = _PROVIDER.match(raw_path)
    if matched:
        yield matched["provider"], matched["rest"]
    yield DEFAULT_PROVIDER, raw_path


def _through(door: _Door, matched: re.Match[str], provider: str, query: str) -> Target:
    dialect = door.dialect
    if dialect is _GEMINI and door.streams and query_value(query, "alt") != "sse":
        dialect = _GEMINI_ARRAY
    model = unquote(matched.groupdict().get("model") or "")
    return Target(provider, dialect, door.operation, model, door.streams)

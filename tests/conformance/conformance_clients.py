"""One conversation, spoken by each vendor's own SDK: what the conformance matrix asks with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anthropic
import openai
from google import genai
from google.genai import errors as gemini_errors
from google.genai import types

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAPER = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@dataclass(frozen=True)
class Said:
    """What a client's SDK made of an answer."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[tuple[str, str, Mapping[str, Any]]] = ()  # id, name, input
    stop: str | None = None
    input_tokens: int = 0  # all of them, cached ones included
    cached_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    turn: Any = None  # the answer as the client puts it into the next request


@dataclass(frozen=True)
class Ask:
    """One request, in no vendor's words."""

    model: str
    prompt: str
    system: str | None = None
    tools: bool = False
    picture: bool = False
    paper: bool = False
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 4096
    thinks: bool = False
    marks_cache: bool = False
    stream: bool = False
    before: Sequence[tuple[Said, Mapping[str, str]]] = field(default=())  # answers so far, with results by call id


class Refused(Exception):
    """The SDK raised what it raises for a refusal."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Client(Protocol):
    """A vendor's SDK that talks to the gateway."""

    name: str

    async def ask(self, ask: Ask) -> Said: ...

    async def count(self, model: str, prompt: str) -> int:
        """The tokens of a prompt. Raises `NotImplementedError` where the SDK has no such call."""
        ...

    async def embed(self, model: str, text: str) -> Sequence[float]:
        """The embedding of a text. Raises `NotImplementedError` where the SDK has no such call."""
        ...

    async def close(self) -> None: ...


async def _embedding(client: openai.AsyncOpenAI, model: str, text: str) -> Sequence[float]:
    try:
        made = await client.embeddings.create(model=model, input=text, encoding_format="float")
    except openai.APIStatusError as error:
        raise Refused(error.status_code, str(error.message)) from error
    return made.data[0].embedding


class AnthropicSdk:
    """`anthropic`, Messages."""

    name = "anthropic SDK"

    def __init__(self, url: str, key: str) -> None:
        self._client = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)

    async def ask(self, ask: Ask) -> Said:
        request = self._request(ask)
        try:
            if ask.stream:
                async with self._client.messages.stream(**request) as stream:
                    return self._said(await stream.get_final_message())
            return self._said(await self._client.messages.create(**request))
        except anthropic.APIStatusError as error:
            raise Refused(error.status_code, str(error.message)) from error

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
        if ask.picture:
            source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PICTURE).decode()}
            content.append({"type": "image", "source": source})
        if ask.paper:
            source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(PAPER).decode()}
            content.append({"type": "document", "source": source})
        if ask.marks_cache:
            content[0]["cache_control"] = {"type": "ephemeral"}
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        for said, results in ask.before:
            messages.append({"role": "assistant", "content": said.turn})
            given = [{"type": "tool_result", "tool_use_id": id_, "content": text} for id_, text in results.items()]
            messages.append({"role": "user", "content": given or "Go on."})
        request: dict[str, Any] = {"model": ask.model, "max_tokens": ask.max_tokens, "messages": messages}
        if ask.system:
            request["system"] = ask.system
        if ask.tools:
            request["tools"] = [{"name": "get_weather", "description": "Weather", "input_schema": WEATHER}]
        if ask.schema:
            request["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.thinks:
            request["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        return request

    def _said(self, message: Any) -> Said:
        blocks = message.content
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        return Said(
            text="".join(block.text for block in blocks if block.type == "text"),
            thinking="".join(block.thinking for block in blocks if block.type == "thinking"),
            calls=[(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
            stop=message.stop_reason,
            input_tokens=usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            cached_tokens=cached,
            output_tokens=usage.output_tokens,
            model=message.model,
            turn=[block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in blocks],
        )

    async def count(self, model: str, prompt: str) -> int:
        try:
            counted = await self._client.messages.count_tokens(
                model=model, messages=[{"role": "user", "content": prompt}]
            )
        except anthropic.APIStatusError as error:
            raise Refused(error.status_code, str(error.message)) from error
        return counted.input_tokens

    async def embed(self, model: str, text: str) -> Sequence[float]:
        raise NotImplementedError

    async def close(self) -> None:
        await self._client.close()


class OpenAiResponsesSdk:
    """`openai`, Responses."""

    name = "openai SDK (Responses)"

    def __init__(self, url: str, key: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    async def ask(self, ask: Ask) -> Said:
        request = self._request(ask)
        try:
            if ask.stream:
                return self._said(await self._streamed(request))
            return self._said(await self._client.responses.create(**request))
        except openai.APIStatusError as error:
            raise Refused(error.status_code, error.message) from error
        except openai.APIError as error:
            raise Refused(200, error.message) from error

    async def _streamed(self, request: dict[str, Any]) -> Any:
        async for event in await self._client.responses.create(**request, stream=True):
            if event.type in {"response.completed", "response.incomplete"}:
                return event.response
            if event.type == "response.failed":
                raise Refused(200, event.response.error.message)
            if event.type == "error":
                raise Refused(200, event.message)
        raise Refused(200, "the stream ended without an end")

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "input_text", "text": ask.prompt}]
        if ask.picture:
            picture = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
            content.append({"type": "input_image", "image_url": picture, "detail": "auto"})
        if ask.paper:
            paper = f"data:application/pdf;base64,{base64.b64encode(PAPER).decode()}"
            content.append({"type": "input_file", "filename": "paper.pdf", "file_data": paper})
        items: list[Any] = [{"role": "user", "content": content}]
        for said, results in ask.before:
            items += said.turn
            items += [{"type": "function_call_output", "call_id": id_, "output": text} for id_, text in results.items()]
            if not results:
                items.append({"role": "user", "content": "Go on."})
        request: dict[str, Any] = {
            "model": ask.model,
            "input": items,
            "max_output_tokens": ask.max_tokens,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        if ask.system:
            request["instructions"] = ask.system
        if ask.tools:
            request["tools"] = [
                {"type": "function", "name": "get_weather", "description": "Weather", "parameters": WEATHER}
            ]
        if ask.schema:
            request["text"] = {
                "format": {"type": "json_schema", "name": "answer", "schema": ask.schema, "strict": True}
            }
        if ask.thinks:
            request["reasoning"] = {"effort": "medium", "summary": "auto"}
        return request

    def _said(self, response: Any) -> Said:
        output = response.output
        reasoning = [part.text for item in output if item.type == "reasoning" for part in item.summary]
        calls = [
            (item.call_id, item.name, json.loads(item.arguments)) for item in output if item.type == "function_call"
        ]
        why = response.incomplete_details.reason if response.incomplete_details else None
        return Said(
            text=response.output_text,
            thinking="".join(reasoning),
            calls=calls,
            stop=why or response.status,
            input_tokens=response.usage.input_tokens,
            cached_tokens=response.usage.input_tokens_details.cached_tokens,
            output_tokens=response.usage.output_tokens,
            model=response.model,
            turn=[item.model_dump(exclude_none=True) for item in output],
        )

    async def count(self, model: str, prompt: str) -> int:
        try:
            return (await self._client.responses.input_tokens.count(model=model, input=prompt)).input_tokens
        except openai.APIStatusError as error:
            raise Refused(error.status_code, str(error.message)) from error

    async def embed(self, model: str, text: str) -> Sequence[float]:
        return await _embedding(self._client, model, text)

    async def close(self) -> None:
        await self._client.close()


class OpenAiChatSdk:
    """`openai`, Chat Completions."""

    name = "openai SDK (Chat)"

    def __init__(self, url: str, key: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    async def ask(self, ask: Ask) -> Said:
        request = self._request(ask)
        try:
            if ask.stream:
                return await self._streamed(request)
            completion = await self._client.chat.completions.create(**request)
        except openai.APIStatusError as error:
            raise Refused(error.status_code, error.message) from error
        except openai.APIError as error:
            raise Refused(200, error.message) from error
        choice = completion.choices[0]
        return self._said(choice.message.model_dump(exclude_none=True), choice.finish_reason, completion)

    async def _streamed(self, request: dict[str, Any]) -> Said:
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        calls: dict[int, dict[str, Any]] = {}
        stop, last = None, None
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async for chunk in await self._client.chat.completions.create(**request, **options):
            last = chunk
            for choice in chunk.choices:
                stop = choice.finish_reason or stop
                delta = choice.delta.model_dump(exclude_none=True)
                message["content"] += delta.get("content", "")
                message["reasoning_content"] = message.get("reasoning_content", "") + delta.get("reasoning_content", "")
                for part in delta.get("tool_calls", []):
                    call = calls.setdefault(part["index"], {"type": "function", "function": {"arguments": ""}})
                    call["id"] = part.get("id") or call["id"]
                    call["function"]["name"] = part["function"].get("name") or call["function"]["name"]
                    call["function"]["arguments"] += part["function"].get("arguments", "")
        if calls:
            message["tool_calls"] = list(calls.values())
        return self._said(message, stop, last)

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
        if ask.picture:
            picture = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
            content.append({"type": "image_url", "image_url": {"url": picture}})
        if ask.paper:
            paper = f"data:application/pdf;base64,{base64.b64encode(PAPER).decode()}"
            content.append({"type": "file", "file": {"filename": "paper.pdf", "file_data": paper}})
        messages: list[dict[str, Any]] = [{"role": "system", "content": ask.system}] if ask.system else []
        messages.append({"role": "user", "content": content})
        for said, results in ask.before:
            messages.append(said.turn)
            messages += [{"role": "tool", "tool_call_id": id_, "content": text} for id_, text in results.items()]
            if not results:
                messages.append({"role": "user", "content": "Go on."})
        request: dict[str, Any] = {
            "model": ask.model,
            "messages": messages,
            "max_completion_tokens": ask.max_tokens,
        }
        if ask.tools:
            function = {"name": "get_weather", "description": "Weather", "parameters": WEATHER}
            request["tools"] = [{"type": "function", "function": function}]
        if ask.schema:
            shape = {"name": "answer", "schema": ask.schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        if ask.thinks:
            request["reasoning_effort"] = "medium"
        return request

    def _said(self, message: dict[str, Any], stop: str | None, completion: Any) -> Said:
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", [])
        ]
        details = completion.usage.prompt_tokens_details
        return Said(
            text=message.get("content") or "",
            thinking=message.get("reasoning_content") or "",
            calls=calls,
            stop=stop,
            input_tokens=completion.usage.prompt_tokens,
            cached_tokens=(details.cached_tokens or 0) if details else 0,
            output_tokens=completion.usage.completion_tokens,
            model=completion.model,
            turn={name: value for name, value in message.items() if value},
        )

    async def count(self, model: str, prompt: str) -> int:
        raise NotImplementedError

    async def embed(self, model: str, text: str) -> Sequence[float]:
        return await _embedding(self._client, model, text)

    async def close(self) -> None:
        await self._client.close()


class GeminiSdk:
    """`google-genai`."""

    name = "google-genai SDK"

    def __init__(self, url: str, key: str) -> None:
        options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
        self._client = genai.Client(api_key=key, http_options=options)

    async def ask(self, ask: Ask) -> Said:
        request = {"model": ask.model, "contents": self._contents(ask), "config": self._config(ask)}
        try:
            if ask.stream:
                stream = await self._client.aio.models.generate_content_stream(**request)
                return self._said([chunk async for chunk in stream])
            return self._said([await self._client.aio.models.generate_content(**request)])
        except gemini_errors.APIError as error:
            raise Refused(error.code, str(error.message)) from error

    def _contents(self, ask: Ask) -> list[Any]:
        parts = [types.Part.from_text(text=ask.prompt)]
        if ask.picture:
            parts.append(types.Part.from_bytes(data=PICTURE, mime_type="image/png"))
        if ask.paper:
            parts.append(types.Part.from_bytes(data=PAPER, mime_type="application/pdf"))
        contents: list[Any] = [types.UserContent(parts)]
        for said, results in ask.before:
            contents.append(said.turn)
            names = {id_: name for id_, name, _ in said.calls}
            given = [
                types.Part(
                    function_response=types.FunctionResponse(
                        id=None if id_.startswith("#") else id_, name=names[id_], response={"output": text}
                    )
                )
                for id_, text in results.items()
            ]
            contents.append(types.UserContent(given or [types.Part.from_text(text="Go on.")]))
        return contents

    def _config(self, ask: Ask) -> types.GenerateContentConfig:
        config: dict[str, Any] = {"max_output_tokens": ask.max_tokens}
        if ask.system:
            config["system_instruction"] = ask.system
        if ask.tools:
            function = types.FunctionDeclaration(
                name="get_weather", description="Weather", parameters_json_schema=WEATHER
            )
            config["tools"] = [types.Tool(function_declarations=[function])]
            config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
        if ask.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
        if ask.thinks:
            config["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        return types.GenerateContentConfig(**config)

    def _said(self, chunks: list[Any]) -> Said:
        candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
        parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]
        called = [part.function_call for part in parts if part.function_call]
        # The vendor gives calls no ids; results are matched by name and order.
        calls = [(call.id or f"#{number}", call.name, call.args or {}) for number, call in enumerate(called)]
        usage = chunks[-1].usage_metadata
        return Said(
            text="".join(part.text or "" for part in parts if not part.thought),
            thinking="".join(part.text or "" for part in parts if part.thought),
            calls=calls,
            stop=next((candidate.finish_reason.value for candidate in candidates if candidate.finish_reason), None),
            input_tokens=usage.prompt_token_count or 0,
            cached_tokens=usage.cached_content_token_count or 0,
            output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            model=chunks[-1].model_version or "",
            turn=types.ModelContent(parts),
        )

    async def count(self, model: str, prompt: str) -> int:
        try:
            counted = await self._client.aio.models.count_tokens(model=model, contents=prompt)
        except gemini_errors.APIError as error:
            raise Refused(int(error.code), str(error.message)) from error
        return counted.total_tokens or 0

    async def embed(self, model: str, text: str) -> Sequence[float]:
        try:
            made = await self._client.aio.models.embed_content(model=model, contents=text)
        except gemini_errors.APIError as error:
            raise Refused(int(error.code), str(error.message)) from error
        return (made.embeddings or [types.ContentEmbedding()])[0].values or []

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()


SDKS = {sdk.name: sdk for sdk in (AnthropicSdk, OpenAiResponsesSdk, OpenAiChatSdk, GeminiSdk)}

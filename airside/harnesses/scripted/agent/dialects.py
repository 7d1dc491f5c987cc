"""The three dialects of the gateway's front doors: how a conversation is asked in each, and how its answer is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airside.harnesses.scripted.agent.reply import Reply, StreamFailed

Entries = list[dict[str, Any]]

_MOST_TOKENS = 16_000


class Dialect:
    """One vendor's way of saying it."""

    path = ""
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: str, system: str) -> None:
        self.model = model
        self.system = system

    def request(self, entries: Entries, tools: Entries) -> dict[str, Any]:
        """The body of a request for the next answer."""
        raise NotImplementedError

    def read(self, event: dict[str, Any], reply: Reply) -> None:
        """Add what one event of the stream tells. Raises `StreamFailed` when it tells of an error."""
        raise NotImplementedError


class Anthropic(Dialect):
    """Anthropic's Messages API."""

    path = "/v1/messages"
    headers = MappingProxyType({"anthropic-version": "2023-06-01"})

    def request(self, entries: Entries, tools: Entries) -> dict[str, Any]:
        body = {
            "model": self.model,
            "max_tokens": _MOST_TOKENS,
            "stream": True,
            "messages": self._messages(entries),
            "tools": [{"name": t["name"], "description": t["description"], "input_schema": t["schema"]} for t in tools],
        }
        return {**body, "system": self.system} if self.system else body

    def _messages(self, entries: Entries) -> Entries:
        """Alternating messages: the results of parallel calls, and a message after them, are one of the user's."""
        messages: Entries = []
        for entry in entries:
            role = "assistant" if entry["role"] == "assistant" else "user"
            content = self._content(entry)
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += content
            elif content:
                messages.append({"role": role, "content": content})
        return messages

    def _content(self, entry: dict[str, Any]) -> Entries:
        if entry["role"] == "tool":
            result = {"type": "tool_result", "tool_use_id": entry["id"], "content": entry["text"]}
            return [{**result, "is_error": entry["is_error"]}]
        text = [{"type": "text", "text": entry["text"]}] if entry["text"] else []
        return text + [{"type": "tool_use", **call} for call in entry.get("calls", ())]

    def read(self, event: dict[str, Any], reply: Reply) -> None:
        kind = event.get("type")
        if kind == "error":
            raise StreamFailed(event["error"]["message"])
        if kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
            block = event["content_block"]
            reply.open_call(event["index"], block["id"], block["name"])
        elif kind == "content_block_delta":
            self._read_delta(event["index"], event["delta"], reply)
        elif kind == "message_delta":
            reply.refused = event["delta"].get("stop_reason") == "refusal"
        elif kind == "message_stop":
            reply.complete = True

    def _read_delta(self, index: int, delta: dict[str, Any], reply: Reply) -> None:
        if delta["type"] == "text_delta":
            reply.add_text(delta["text"])
        elif delta["type"] == "thinking_delta":
            reply.thinking += delta["thinking"]
        elif delta["type"] == "input_json_delta":
            reply.add_arguments(index, delta["partial_json"])


class Responses(Dialect):
    """OpenAI's Responses API, without anything stored at the vendor's."""

    path = "/v1/responses"

    def request(self, entries: Entries, tools: Entries) -> dict[str, Any]:
        functions = [
            {"type": "function", "name": t["name"], "description": t["description"], "parameters": t["schema"]}
            for t in tools
        ]
        items = [item for entry in entries for item in self._items(entry)]
        body = {"model": self.model, "stream": True, "store": False, "input": items, "tools": functions}
        return {**body, "instructions": self.system} if self.system else body

    def _items(self, entry: dict[str, Any]) -> Entries:
        if entry["role"] == "tool":
            return [{"type": "function_call_output", "call_id": entry["id"], "output": entry["text"]}]
        kind = "output_text" if entry["role"] == "assistant" else "input_text"
        content = [{"type": kind, "text": entry["text"]}]
        message = [{"type": "message", "role": entry["role"], "content": content}] if entry["text"] else []
        calls = entry.get("calls", ())
        return message + [
            {"type": "function_call", "call_id": c["id"], "name": c["name"], "arguments": json.dumps(c["input"])}
            for c in calls
        ]

    def read(self, event: dict[str, Any], reply: Reply) -> None:
        kind = event.get("type")
        if kind == "response.output_text.delta":
            reply.add_text(event["delta"])
        elif kind == "response.reasoning_summary_text.delta":
            reply.thinking += event["delta"]
        elif kind == "response.refusal.delta":
            reply.refused = True
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            item = event["item"]
            reply.open_call(item["call_id"], item["call_id"], item["name"])
            reply.add_arguments(item["call_id"], item["arguments"])
        elif kind in {"response.completed", "response.incomplete"}:
            reply.complete = True
        elif kind == "response.failed":
            raise StreamFailed((event["response"].get("error") or {}).get("message", "the response failed"))
        elif kind == "error":
            raise StreamFailed(event.get("message", "the response failed"))


class Chat(Dialect):
    """OpenAI's Chat Completions API, which many other servers speak."""

    path = "/v1/chat/completions"

    def request(self, entries: Entries, tools: Entries) -> dict[str, Any]:
        functions = [
            {
                "type": "function",
                "function": {"name": t["name"], "description": t["description"], "parameters": t["schema"]},
            }
            for t in tools
        ]
        messages = [self._message(entry) for entry in entries]
        if self.system:
            messages.insert(0, {"role": "system", "content": self.system})
        body = {"model": self.model, "stream": True, "messages": messages}
        return {**body, "tools": functions} if functions else body

    def _message(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry["role"] == "tool":
            return {"role": "tool", "tool_call_id": entry["id"], "content": entry["text"]}
        message = {"role": entry["role"], "content": entry["text"]}
        if entry.get("calls"):
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
                }
                for call in entry["calls"]
            ]
        return message

    def read(self, event: dict[str, Any], reply: Reply) -> None:
        if "error" in event:
            raise StreamFailed(event["error"].get("message", "the completion failed"))
        for choice in event.get("choices", ()):
            self._read_choice(choice, reply)

    def _read_choice(self, choice: dict[str, Any], reply: Reply) -> None:
        delta = choice.get("delta") or {}
        if delta.get("content"):
            reply.add_text(delta["content"])
        if delta.get("refusal"):
            reply.refused = True
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            if call.get("id"):
                reply.open_call(call["index"], call["id"], function.get("name", ""))
            reply.add_arguments(call["index"], function.get("arguments") or "")
        if choice.get("finish_reason"):
            reply.complete = True
            reply.refused = reply.refused or choice["finish_reason"] == "content_filter"


DIALECTS = {"anthropic": Anthropic, "openai-responses": Responses, "openai-chat": Chat}

"""A harness in memory, one for each dialect: keeps a conversation and lets the simulated model answer it."""

from __future__ import annotations

from typing import Any

from airside.testing.simulated.answer import Answer, Reply, usage_of
from airside.testing.simulated.dialects.anthropic import AnthropicMessages
from airside.testing.simulated.dialects.gemini import Gemini
from airside.testing.simulated.dialects.openai_chat import OpenAiChat
from airside.testing.simulated.dialects.openai_responses import OpenAiResponses
from airside.testing.simulated.scripts.place import Registered
from airside.testing.simulated.speaker import answer_to
from airside.testing.simulated.usage import Usage

STRING = {"type": "string"}
TOOLS = {
    "bash": {"type": "object", "properties": {"command": STRING}, "required": ["command"]},
    "read": {"type": "object", "properties": {"path": STRING}, "required": ["path"]},
    "write": {"type": "object", "properties": {"path": STRING, "content": STRING}, "required": ["path", "content"]},
    "edit": {
        "type": "object",
        "properties": {"path": STRING, "old": STRING, "new": STRING},
        "required": ["path", "old", "new"],
    },
}


def script(steps: str, prose: str = "Please work.") -> str:
    """A prompt that carries a script."""
    return f"{prose}\n\n```script\n{steps.strip()}\n```\n"


class Talk:
    """What they have in common. `items` is the conversation as the request carries it."""

    dialect: Any
    conversation_field = "messages"

    def __init__(self, *, tools: bool = True, registered: tuple[Registered, ...] = (), **fields: Any) -> None:
        self.items: list[Any] = []
        self.fields = {"model": "m", **({"tools": self.tools()} if tools else {}), **fields}
        self._registered = registered
        self._answers = 0

    def tools(self) -> list[Any]:
        raise NotImplementedError

    def user(self, text: str) -> None:
        self.items.append({"role": "user", "content": text})

    def ask(self) -> Answer:
        """What the model answers now; asking changes nothing."""
        return answer_to(self.dialect.read(self.request()), self._registered)

    def request(self) -> dict[str, Any]:
        return {**self.fields, self.conversation_field: list(self.items)}

    def whole(self) -> Any:
        """The answer in the dialect's own shape."""
        request = self.request()
        conversation = self.dialect.read(request)
        answer = answer_to(conversation, self._registered)
        self._answers += 1
        reply = Reply(f"{self._answers:016}", 0, request, conversation, answer, usage_of(answer, Usage()))
        return self.dialect.whole(reply)

    def take(self) -> Answer:
        """Let the model answer, keep the answer and carry out its calls."""
        answer = self.ask()
        self.keep(self.whole())
        return answer

    def keep(self, whole: Any) -> None:
        raise NotImplementedError


class AnthropicTalk(Talk):
    dialect = AnthropicMessages()

    def tools(self) -> list[Any]:
        return [{"name": name, "input_schema": schema} for name, schema in TOOLS.items()]

    def keep(self, whole: Any) -> None:
        self.items.append({"role": "assistant", "content": whole["content"]})
        calls = [block["id"] for block in whole["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call, "content": "done"} for call in calls]
        if results:
            self.items.append({"role": "user", "content": results})


class ChatTalk(Talk):
    dialect = OpenAiChat()

    def tools(self) -> list[Any]:
        return [
            {"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in TOOLS.items()
        ]

    def keep(self, whole: Any) -> None:
        message = whole["choices"][0]["message"]
        self.items.append(message)
        for call in message.get("tool_calls", []):
            self.items.append({"role": "tool", "tool_call_id": call["id"], "content": "done"})


class ResponsesTalk(Talk):
    dialect = OpenAiResponses()
    conversation_field = "input"

    def tools(self) -> list[Any]:
        return [{"type": "function", "name": name, "parameters": schema} for name, schema in TOOLS.items()]

    def keep(self, whole: Any) -> None:
        self.items += whole["output"]
        for item in whole["output"]:
            if item["type"] == "function_call":
                self.items.append({"type": "function_call_output", "call_id": item["call_id"], "output": "done"})


class GeminiTalk(Talk):
    dialect = Gemini()
    conversation_field = "contents"

    def __init__(self, *, max_tokens: int | None = None, **fields: Any) -> None:
        settings = {} if max_tokens is None else {"generationConfig": {"maxOutputTokens": max_tokens}}
        super().__init__(**settings, **fields)

    def tools(self) -> list[Any]:
        functions = [{"name": name, "parametersJsonSchema": schema} for name, schema in TOOLS.items()]
        return [{"functionDeclarations": functions}]

    def user(self, text: str) -> None:
        self.items.append({"role": "user", "parts": [{"text": text}]})

    def keep(self, whole: Any) -> None:
        content = whole["candidates"][0]["content"]
        self.items.append(content)
        calls = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
        results = [{"functionResponse": {"name": name, "response": {"output": "done"}}} for name in calls]
        if results:
            self.items.append({"role": "user", "parts": results})


TALKS: tuple[type[Talk], ...] = (AnthropicTalk, ChatTalk, ResponsesTalk, GeminiTalk)

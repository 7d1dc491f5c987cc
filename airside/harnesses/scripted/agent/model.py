"""Asking the model: one streamed HTTP request, tried again where that can help."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airside.harnesses.scripted.agent.dialects import Dialect
from airside.harnesses.scripted.agent.reply import Reply, StreamFailed
from airside.harnesses.scripted.agent.stopping import Stopper

_ATTEMPTS = 7
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 60.0
_SILENCE_S = 600
_WORTH_ANOTHER_TRY = (408, 409, 429, 500, 502, 503, 504, 529)

Reporter = Callable[..., None]


class ModelFailed(Exception):
    """The model did not answer. `status` is that of HTTP, where there was one."""

    def __init__(self, message: str, status: int | None = None, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.delay_s = delay_s


@dataclass
class Answer:
    """What the model said, whole."""

    text: str = ""
    thinking: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    refused: bool = False


class Model:
    """The model behind one front door of the gateway."""

    def __init__(self, dialect: Dialect, url: str, token: str, stopper: Stopper) -> None:
        self._dialect = dialect
        self._url = urllib.parse.urlsplit(url)
        self._token = token
        self._stopper = stopper

    def ask(self, entries: list[dict[str, Any]], tools: list[dict[str, Any]], report: Reporter) -> Answer:
        """The model's next answer. Raises `ModelFailed` when it stays away, `Stopped` on a stop."""
        body = json.dumps(self._dialect.request(entries, tools)).encode()
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._ask_once(body, report)
            except ModelFailed as failure:
                if failure.status is not None and failure.status not in _WORTH_ANOTHER_TRY:
                    raise
                delay_s = failure.delay_s or min(_FIRST_DELAY_S * 2 ** (attempt - 1), _LONGEST_DELAY_S)
                report(
                    "retrying",
                    attempt=attempt,
                    delay_ms=int(delay_s * 1000),
                    status=failure.status,
                    detail=str(failure),
                )
                self._stopper.wait(delay_s)
        return self._ask_once(body, report)

    def _ask_once(self, body: bytes, report: Reporter) -> Answer:
        host = self._url.hostname or ""
        connection = http.client.HTTPConnection(host, self._url.port, timeout=_SILENCE_S)
        try:
            with self._stopper.during(lambda: _hang_up(connection)):
                return self._exchange(connection, body, report)
        except (OSError, http.client.HTTPException, StreamFailed) as failure:
            raise ModelFailed(f"the model's answer broke off: {str(failure) or type(failure).__name__}") from failure
        finally:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes, report: Reporter) -> Answer:
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._token}",
            **self._dialect.headers,
        }
        connection.request("POST", self._url.path.rstrip("/") + self._dialect.path, body, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise _refusal(response)
        reply = Reply(lambda text: report("delta", text=text))
        for event in _events(response):
            self._dialect.read(event, reply)
        calls = reply.finished_calls()
        return Answer(reply.text, reply.thinking, calls, reply.refused)


def _hang_up(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        connection.sock.shutdown(socket.SHUT_RDWR)


def _refusal(response: http.client.HTTPResponse) -> ModelFailed:
    said = response.read(1 << 16).decode(errors="replace")
    try:
        said = json.loads(said)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = said[:500]
    after = response.headers.get("retry-after", "")
    delay_s = min(float(after), _LONGEST_DELAY_S) if after.replace(".", "", 1).isdecimal() else None
    return ModelFailed(f"the gateway answered {response.status}: {said}", response.status, delay_s)


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The objects of an event stream, up to its end or its own word for it."""
    for line in response:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        try:
            event = json.loads(data)
        except ValueError:
            raise StreamFailed("the stream holds something that is not JSON") from None
        if isinstance(event, dict):
            yield event

"""Finds the server a command talks to, and talks to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from airside.errors import AirsideError, BadInput, Conflict, NotFound, Refused, Unauthenticated, Unavailable
from airside.settings import default_data_directory, environment

_ERRORS: Mapping[int, type[AirsideError]] = {
    400: BadInput,
    401: Unauthenticated,
    403: Refused,
    404: NotFound,
    409: Conflict,
    503: Unavailable,
}
_CONNECT_S = 5.0
_ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the way in."""

    url: str
    token: str


def find_target(data: Path | None) -> Target:
    """The server to talk to: the one on the data directory that was named, or else the one at `AIRSIDE_URL` with
    `AIRSIDE_TOKEN`, or else the one on `AIRSIDE_DATA` or `~/.airside`.

    Raises `Unavailable` if there is none, with how to start one, and `BadInput` for an address that is none.
    """
    variables = environment()
    url = variables.get("AIRSIDE_URL")
    if data is None and url:
        if not is_url(url):
            raise BadInput(
                f"AIRSIDE_URL is {url!r}, which is no URL", hint="Write it as http://HOST:PORT or https://HOST."
            )
        token = variables.get("AIRSIDE_TOKEN")
        if not token:
            raise BadInput(
                "AIRSIDE_URL is set but AIRSIDE_TOKEN is not", hint="Set AIRSIDE_TOKEN to the server's admin token."
            )
        return Target(url.rstrip("/"), token)
    root = data or default_data_directory(variables)
    try:
        running = json.loads((root / "running.json").read_text())
        return Target(str(running["url"]), (root / "admin-token").read_text().strip())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"no Airside server is running on {root}",
            code="no_server",
            hint=f"Start one with `airside up --data {root}`, or point AIRSIDE_URL and AIRSIDE_TOKEN at one.",
        ) from error


def is_url(text: str) -> bool:
    """True for an address of HTTP or HTTPS with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # of a port or an IPv6 address
        return False


class Api:
    """The API of one server. Every method raises our errors, with the server's own words."""

    def __init__(self, target: Target, client: httpx2.Client) -> None:
        self._target = target
        self._client = client

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._target.url

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path."""
        given = {key: value for key, value in query.items() if value is not None}
        return self._send("GET", path, params=given).json()

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON that posting a body gives."""
        return self._send("POST", path, json=body if body is not None else {}).json()

    def put(self, path: str, body: Any) -> Any:
        """The JSON that putting a body gives."""
        return self._send("PUT", path, json=body).json()

    def delete(self, path: str) -> Any:
        """The JSON that deleting gives."""
        return self._send("DELETE", path).json()

    def agent_id(self, agent: str) -> str:
        """The id of the agent with this name or id."""
        if agent.startswith("agent_"):
            return agent
        named = self.get("/v1/agents", name=agent, limit=1)["data"]
        if not named:
            raise NotFound(f"there is no agent {agent!r}", hint="`airside agents list` shows the agents.")
        return str(named[0]["id"])

    def download(self, path: str) -> bytes:
        """The bytes at a path."""
        return self._send("GET", path).content

    def _send(self, method: str, path: str, **given: Any) -> httpx2.Response:
        try:
            answer = self._client.request(method, path, **given)
        except httpx2.HTTPError as error:
            raise self._away(error) from error
        if answer.is_error:
            raise _error(answer)
        return answer

    def _away(self, error: httpx2.HTTPError) -> Unavailable:
        return Unavailable(
            f"the server at {self._target.url} does not answer: {error}",
            code="no_server",
            hint="Is it still running? `airside up` starts one.",
        )

    def events(self, session_id: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """A session's events from behind `after` on, without end; a stream that breaks is picked up again."""
        return self._followed(f"/v1/sessions/{session_id}/events/stream", "sequence", after, {})

    def model_calls(self, after: int | None, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Model calls as they are recorded, from behind `after` on if given; a broken stream is picked up again."""
        return self._followed("/v1/model_calls/stream", "position", after, wanted)

    def _followed(
        self, path: str, position_name: str, after: int | None, query: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        position = after
        while True:
            begin = {} if position is None else {"after": str(position)}
            try:
                for event in self._stream(path, {**query, **begin}):
                    position = int(event[position_name])
                    yield event
            except httpx2.HTTPError as error:
                self._wait_until_back(error)

    def _stream(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        with self._client.stream("GET", path, params=query, timeout=httpx2.Timeout(30.0)) as answer:
            if answer.is_error:
                answer.read()
                raise _error(answer)
            for line in answer.iter_lines():
                if line.startswith("data: {") and line != "data: {}":
                    event: dict[str, Any] = json.loads(line[len("data: ") :])
                    yield event

    def _wait_until_back(self, error: httpx2.HTTPError) -> None:
        """Return once the server answers again; raise if it stays away."""
        retrying = httpx2.HTTPTransport(retries=6)
        try:
            with httpx2.Client(transport=retrying, base_url=self._target.url, timeout=_CONNECT_S) as client:
                client.get("/healthz")
        except httpx2.HTTPError as again:
            raise self._away(error) from again


def _error(answer: httpx2.Response) -> AirsideError:
    try:
        detail = answer.json()["error"]
        message, code, hint = str(detail["message"]), str(detail["code"]), detail.get("hint")
    except (ValueError, KeyError, TypeError):
        message, code, hint = f"the server answered {answer.status_code}", "unexpected_answer", None
    return _ERRORS.get(answer.status_code, AirsideError)(message, code=code, hint=hint)


@contextmanager
def connected(data: Path | None) -> Iterator[Api]:
    """The API of the server that `find_target` finds."""
    with api_of(find_target(data)) as api:
        yield api


@contextmanager
def api_of(target: Target) -> Iterator[Api]:
    """The API of this server."""
    timeout = httpx2.Timeout(_ANSWER_S, connect=_CONNECT_S)
    headers = {"authorization": f"Bearer {target.token}"}
    with httpx2.Client(base_url=target.url, headers=headers, timeout=timeout) as client:
        yield Api(target, client)

"""The gateway as a process, started as the product starts it, and callers over plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0
PROGRAM = "import sys, airside_gateway; sys.exit(airside_gateway.main(sys.argv[1:]))"
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY)); "
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}


class LoopbackServer(ThreadingHTTPServer):
    """A server of a test's own. The usual backlog of five drops connections that come a hundred at a time."""

    daemon_threads = True
    request_queue_size = 1024


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """The first true value of `condition`; fails when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        os.sched_yield()
    raise AssertionError(f"{what} did not come about")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def run_to_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A gateway that is expected to leave by itself."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=CLEAN_ENVIRONMENT
    )


class GatewayProcess:
    """One gateway; may be killed and started again on the same data directory and port."""

    def __init__(
        self,
        data: Path,
        options: Sequence[str],
        *,
        file_limit: int | None = None,
        port: int | None = None,
        environment: Mapping[str, str] = {},
    ) -> None:
        self.data = data
        self.environment = {**CLEAN_ENVIRONMENT, **environment}
        self.options = list(options)
        self.file_limit = file_limit
        self.port = port
        self.log_file = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[str] | None = None
        self.ready: Mapping[str, Any] = {}

    def start(self) -> None:
        listen = f"127.0.0.1:{self.port or 0}"
        options = ["--data", str(self.data), "--listen", listen, *self.options]
        program = PROGRAM if self.file_limit is None else LIMITED.format(limit=self.file_limit) + PROGRAM
        command = [sys.executable, "-c", program, *options]
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment
            )
        self.ready = json.loads(self._first_line())
        self.port = int(str(self.ready["url"]).rsplit(":", 1)[1])

    def _first_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_S), f"not ready: {self.log()}"
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.log()}"
        return line

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def log(self) -> str:
        return self.log_file.read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._ended()

    def stop(self) -> int | None:
        """SIGTERM, and the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def terminate(self) -> None:
        """SIGTERM without waiting."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def _ended(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.process = None
        return code

    def wait(self) -> int:
        return self._ended()

    def request(
        self, method: str, path: str, body: object = None, *, key: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            return exchange(connection, method, path, body, key=key, headers=headers)
        finally:
            connection.close()

    def message(
        self, key: str, *, model: str = "m", max_tokens: int = 100, text: str = "hi", **fields: object
    ) -> Answer:
        """A call of a model, not streamed."""
        body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": text}], **fields}
        return self.request("POST", "/v1/messages", body, key=key)

    def readiness(self) -> Any:
        return self.request("GET", "/readyz").json

    def records(self, count: int) -> list[dict[str, Any]]:
        """What it wrote of its calls, of one without a control plane, once that are at least so many."""
        until(lambda: len(self._whole_lines()) >= count, f"{count} records")
        return [json.loads(line) for line in self._whole_lines()]

    def _whole_lines(self) -> Sequence[str]:
        path = self.data / "journal.jsonl"
        written = path.read_text() if path.exists() else ""
        return written.split("\n")[:-1]  # what follows the last end of a line is still being written

    def wait_for_snapshot(self, version: int) -> None:
        until(lambda: (self.readiness()["snapshot_version"] or 0) >= version, f"snapshot {version}")


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] = {},
) -> Answer:
    """One request and its answer over this connection."""
    sent = {"content-type": "application/json", **headers}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    connection.request(method, path, json.dumps(body) if body is not None else None, sent)
    answer = connection.getresponse()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("gateway", timeout=PATIENCE_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)

"""A provider that answers Anthropic Messages, and can be made to hold an answer in the middle."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from gateway_processes import PATIENCE_S, LoopbackServer

SECRET = "sk-canary-4711"
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 3}
COST_NANOUSD = 10_000 + 400 + 6_000
START = {"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello world!"}}
END = ({"type": "message_delta", "usage": {"output_tokens": 7}}, {"type": "message_stop"})


class Provider:
    """Serves on loopback. With `hold` set, streams stop after their first content until `release`."""

    def __init__(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.answer(self, body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = LoopbackServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.hold = False
        self.held = threading.Semaphore(0)
        self.released = threading.Event()
        self.lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler, body: Any) -> None:
        with self.lock:
            self.requests += 1
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        if body.get("stream"):
            self._stream(handler)
        else:
            text = json.dumps({"type": "message", "content": [{"type": "text", "text": "hi"}], "usage": USAGE}).encode()
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.send_header("content-length", str(len(text)))
            handler.send_header("x-echo", handler.headers["x-api-key"])
            handler.end_headers()
            handler.wfile.write(text)

    def _stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for event in (START, DELTA):
                self._event(handler, event)
            if self.hold:
                self.held.release()
                self.released.wait(PATIENCE_S)
            for event in END:
                self._event(handler, event)
        except OSError:
            pass  # the gateway hung up or died

    @staticmethod
    def _event(handler: BaseHTTPRequestHandler, event: Any) -> None:
        handler.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        handler.wfile.flush()

    def wait_until_held(self) -> None:
        assert self.held.acquire(timeout=PATIENCE_S)

    def release(self) -> None:
        self.released.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self.server.shutdown()
        self.server.server_close()

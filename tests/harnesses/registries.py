"""Registries on this machine: a folder of wheels for pip and uv, and a server on loopback for npm."""

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def program(version: str) -> bytes:
    """A program that can do nothing but tell its version."""
    return f"#!/bin/sh\necho demo {version}\n".encode()


def make_wheel(folder: Path, version: str, content: bytes) -> str:
    """Put a wheel `demo-agent` that carries a program into the folder, and return its digest as PyPI spells it."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"demo_agent-{version}-py3-none-any.whl"
    info = f"demo_agent-{version}.dist-info"
    with zipfile.ZipFile(place, "w") as wheel:
        wheel.writestr("demo_agent/bin/demo", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: demo-agent\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"sha256:{hashlib.sha256(place.read_bytes()).hexdigest()}"


def use_wheels(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have pip and uv know of this folder and of nothing else."""
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_NO_CACHE"):
        monkeypatch.setenv(name, "1")


def make_tarball(version: str, content: bytes) -> bytes:
    """An npm package with a program, and with a script that npm would run on installing."""
    archive = io.BytesIO()
    manifest = {"name": "demo-linux", "version": version, "scripts": {"install": "touch /tmp/canary-of-npm"}}
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for name, data in (("package/package.json", json.dumps(manifest).encode()), ("package/bin/demo", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o644
            packed.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def npm_digest(tarball: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(tarball).digest()).decode()}"


@contextmanager
def npm_registry(version: str, tarball: bytes) -> Iterator[str]:
    """A registry that has one version of `demo-linux`; yields its address."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".tgz"):
                body, kind = tarball, "application/octet-stream"
            else:
                address = f"http://{self.headers['host']}/demo-linux/-/demo-linux-{version}.tgz"
                release = {"name": "demo-linux", "version": version}
                release["dist"] = {"tarball": address, "integrity": npm_digest(tarball)}
                whole = {"name": "demo-linux", "dist-tags": {"latest": version}, "versions": {version: release}}
                body, kind = json.dumps(whole).encode(), "application/json"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

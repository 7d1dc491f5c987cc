"""The gateway as a program: what it takes, what it says, how it leaves."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import airside_gateway
from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess, UnixConnection, exchange, run_to_end, until
from gateway_provider import Provider


def test_help_and_version_are_printed() -> None:
    shown = run_to_end("--help")
    assert shown.returncode == 0
    assert "--join-token-file" in shown.stdout
    assert run_to_end("--version").stdout == f"airside-gateway {airside_gateway.version()}\n"


def test_bad_usage_is_named_and_leaves_with_2(tmp_path: Path) -> None:
    for arguments, words in (
        ((), "--data"),
        (("--data", str(tmp_path)), "--snapshot"),
        (("--nonsense",), "--nonsense"),
        (("--data", str(tmp_path), "--control", "http://127.0.0.1:1", "--join-token-file", "/nowhere"), "/nowhere"),
    ):
        refused = run_to_end(*arguments)
        assert refused.returncode == 2
        assert words in refused.stderr
        # Whoever started it reads the reason in place of the ready line.
        error = json.loads(refused.stdout)["error"]
        assert (error["code"], error["bad_input"]) == ("bad_usage", True)


def test_a_taken_port_is_named_with_the_option_and_leaves_with_1(tmp_path: Path, control: ControlPlane) -> None:
    token = tmp_path / "token"
    token.write_text(control.token)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run_to_end(
            *("--data", str(tmp_path / "d"), "--listen", f"127.0.0.1:{port}"),
            *("--control", control.url, "--join-token-file", str(token)),
        )
    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stderr
    assert "--listen" in refused.stderr
    assert json.loads(refused.stdout)["error"]["code"] == "port_taken"


def test_a_broken_snapshot_file_is_named_and_leaves_with_1(tmp_path: Path) -> None:
    broken = tmp_path / "snapshot.json"
    broken.write_text("{")
    refused = run_to_end("--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--snapshot", str(broken))
    assert refused.returncode == 1
    assert str(broken) in refused.stderr


def test_nobody_serves_the_world_without_keys(tmp_path: Path) -> None:
    keyless = tmp_path / "snapshot.json"
    keyless.write_text(json.dumps({"format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z"}))
    refused = run_to_end("--data", str(tmp_path / "d"), "--listen", "0.0.0.0:0", "--snapshot", str(keyless))
    assert refused.returncode == 1
    assert "no keys" in refused.stderr


def test_two_gateways_never_share_a_directory(
    joined: Callable[..., GatewayProcess], control: ControlPlane, tmp_path: Path
) -> None:
    first = joined()
    refused = run_to_end(
        *("--data", str(first.data), "--listen", "127.0.0.1:0"),
        *("--control", control.url, "--join-token-file", str(tmp_path / "join-token")),
    )
    assert refused.returncode == 1
    assert "in use by another gateway" in refused.stderr


def test_the_ready_line_says_where_and_who(joined: Callable[..., GatewayProcess], tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    gateway = joined("--ready-file", str(ready_file))
    assert gateway.ready == json.loads(ready_file.read_text())
    assert gateway.ready["pid"] == gateway.pid
    assert gateway.ready["gateway_id"] == gateway.readiness()["gateway_id"]
    first = gateway.ready["gateway_id"]
    gateway.kill()
    gateway.start()
    assert gateway.ready["gateway_id"] == first, "a gateway keeps its id"


def test_calls_come_in_by_a_unix_socket_too(
    joined: Callable[..., GatewayProcess], control: ControlPlane, provider: Provider, tmp_path: Path
) -> None:
    control.serve_from(provider)
    path = tmp_path / "gateway.sock"
    gateway = joined("--socket", str(path))
    gateway.wait_for_snapshot(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = UnixConnection(str(path))
    answer = exchange(connection, "POST", "/v1/messages", {"model": "m", "max_tokens": 5}, key=control.key)
    connection.close()
    assert answer.status == 200
    gateway.kill()
    gateway.start()
    assert path.exists(), "a dead process's socket is replaced"
    assert gateway.stop() == 0
    assert not path.exists()


def test_stopping_lets_calls_under_way_finish(
    joined: Callable[..., GatewayProcess], control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    provider.hold = True
    with socket.create_connection(("127.0.0.1", gateway.port)) as caller:
        body = b'{"model":"m","max_tokens":5,"stream":true}'
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {control.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        caller.sendall(head.encode() + body)
        provider.wait_until_held()
        gateway.terminate()
        until(lambda: "draining" in gateway.log(), "the drain")
        provider.release()
        received = b""
        while chunk := caller.recv(65536):
            received += chunk
    assert b"message_stop" in received
    assert gateway.wait() == 0
    assert [record["outcome"] for record in control.wait_for_calls(1)] == ["completed"]


def test_an_idle_gateway_is_small(
    joined: Callable[..., GatewayProcess], control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    pages = int(Path(f"/proc/{gateway.pid}/statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < 60 << 20

"""The data directory keeps its secrets to its owner and refuses what it does not understand."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airside.errors import BadInput, Unavailable
from airside.ids import SessionId
from airside.storage.datadir import LAYOUT_VERSION, DataDirectory, write_private


def test_opening_twice_gives_the_same_secrets(tmp_path: Path) -> None:
    first, second = DataDirectory.open(tmp_path / "data"), DataDirectory.open(tmp_path / "data")
    assert first.admin_token() == second.admin_token()
    assert first.gateway_token() == second.gateway_token()
    assert first.session_signing_key().private_bytes_raw() == second.session_signing_key().private_bytes_raw()
    assert len({first.admin_token(), first.gateway_token()}) == 2


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    data = DataDirectory.open(tmp_path / "data")
    assert stat.S_IMODE(data.root.stat().st_mode) == 0o700
    for name in ("admin-token", "gateway-token", "session-key"):
        assert stat.S_IMODE((data.root / name).stat().st_mode) == 0o600


def _open(root: Path) -> str:
    return DataDirectory.open(root).admin_token()


def test_processes_that_open_it_at_the_same_time_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        tokens = set(pool.map(_open, [tmp_path / "data"] * 8))
    assert len(tokens) == 1


@pytest.mark.parametrize(("version", "code"), [(str(LAYOUT_VERSION + 1), "data_directory_newer"), ("x", None)])
def test_a_layout_it_does_not_know_is_refused(tmp_path: Path, version: str, code: str | None) -> None:
    DataDirectory.open(tmp_path)
    (tmp_path / "VERSION").write_text(version)
    with pytest.raises(BadInput) as raised:
        DataDirectory.open(tmp_path)
    assert raised.value.code == (code or "data_directory_unknown")
    assert raised.value.hint


def test_a_database_without_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"")
    with pytest.raises(BadInput, match="no VERSION file"):
        DataDirectory.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\x00", b"RSA"])
def test_a_signing_key_that_is_none_is_named_with_the_next_step(tmp_path: Path, content: bytes) -> None:
    data = DataDirectory.open(tmp_path)
    (tmp_path / "session-key").write_bytes(_another_key() if content == b"RSA" else content)
    with pytest.raises(BadInput, match="session-key holds no Ed25519") as raised:
        data.session_signing_key()
    assert raised.value.code == "data_directory_unknown"
    assert "backup" in str(raised.value.hint)


def _another_key() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used") as raised:
        DataDirectory.open(tmp_path / "file" / "data")
    assert "--data" in str(raised.value.hint)


def test_the_socket_fits_whatever_the_length_of_the_path(tmp_path: Path) -> None:
    short = DataDirectory(Path("/srv/airside"))
    assert short.gateway_socket == Path("/srv/airside/run/gateway.sock")
    long = DataDirectory(tmp_path / ("x" * 120))
    assert len(str(long.gateway_socket)) < 100
    assert long.gateway_socket != DataDirectory(tmp_path / ("y" * 120)).gateway_socket


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, b"one")
    write_private(file, b"two", replace=False)
    assert file.read_bytes() == b"one"
    write_private(file, b"three")
    assert file.read_bytes() == b"three"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_session_has_folders_of_its_own(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    one, two = data.session(SessionId("sesn_1")), data.session(SessionId("sesn_2"))
    assert len({one.workspace, one.home, one.run, two.workspace, two.home, two.run}) == 6

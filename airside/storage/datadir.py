"""The data directory: everything one installation keeps on disk, and the version of its layout.

VERSION            layout version, one integer
control.db         the control plane's tables (SQLite)
engine.db          durable execution; can be rebuilt from control.db
admin-token        how people and the CLI on this machine get in
gateway-token      how a gateway joins the control plane
session-key        Ed25519 private key that signs session tokens
gateway/           the gateway's own: spool, last good snapshot, socket
sessions/ID/       workspace, home and sockets of one session
artifacts/         patches and snapshots, by SHA-256
harnesses/         installed harness programs
logs/              one file per process
running.json       where the control plane answers, while it runs
lock               held by `airside up`
control.lock       held by the control plane
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airside.errors import BadInput, Unavailable
from airside.ids import SessionId

LAYOUT_VERSION = 1
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class SessionFolders:
    """Where one session's files are."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def run(self) -> Path:
        return self.root / "run"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths and secrets of one installation. Opening it twice gives the same secrets."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> DataDirectory:
        """Make what is missing and check what is there.

        Raises `BadInput` if the layout is newer than this program or unreadable, `Unavailable` if the place cannot be
        written. Only the owner can read what it makes.
        """
        root = root.absolute()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_version(root)
            for folder in ("gateway", "run", "sessions", "artifacts", "harnesses", "logs"):
                (root / folder).mkdir(mode=0o700, exist_ok=True)
            _make_secrets(root)
        except OSError as error:
            raise Unavailable(
                f"the data directory {root} cannot be used: {error.strerror or error}",
                code="data_directory_unusable",
                hint="Give another with --data DIR or AIRSIDE_DATA, or mend its permissions or space.",
            ) from error
        return cls(root)

    @property
    def control_database(self) -> Path:
        return self.root / "control.db"

    @property
    def engine_database(self) -> Path:
        return self.root / "engine.db"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def gateway_socket(self) -> Path:
        """Where the gateway listens for sandboxes, in a folder of its own.

        A socket's path has at most 107 bytes; below a very long data directory it lies in the temporary folder instead.
        """
        inside = self.root / "run" / "gateway.sock"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"airside-{os.getuid()}-{digest}" / "gateway.sock"

    @property
    def gateway_token_file(self) -> Path:
        return self.root / "gateway-token"

    @property
    def harnesses(self) -> Path:
        return self.root / "harnesses"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def running_file(self) -> Path:
        """Where the control plane tells others on this machine how to reach it."""
        return self.root / "running.json"

    @property
    def up_lock(self) -> Path:
        """Held by the one `airside up` that may run here."""
        return self.root / "lock"

    @property
    def control_lock(self) -> Path:
        """Held by the one control plane that may run here."""
        return self.root / "control.lock"

    def session(self, session_id: SessionId) -> SessionFolders:
        """The folders of one session; they need not exist yet."""
        return SessionFolders(self.root / "sessions" / session_id)

    def admin_token(self) -> str:
        return (self.root / "admin-token").read_text().strip()

    def gateway_token(self) -> str:
        return self.gateway_token_file.read_text().strip()

    def session_signing_key(self) -> Ed25519PrivateKey:
        """The key that signs session tokens. Raises `BadInput` if the file holds something else."""
        file = self.root / "session-key"
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_key(file) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key(file)
        return key


def _no_key(file: Path) -> BadInput:
    return BadInput(
        f"{file} holds no Ed25519 private key in PEM",
        code="data_directory_unknown",
        hint="Restore it from a backup, or move it aside: a new key is made, and sessions that run lose their tokens.",
    )


def _check_version(root: Path) -> None:
    file = root / "VERSION"
    if not file.exists():
        if (root / "control.db").exists():
            raise BadInput(
                f"{root} holds a database but no VERSION file, so its layout is unknown",
                code="data_directory_unknown",
                hint="Restore the whole directory from a backup, or start with an empty one.",
            )
        write_private(file, f"{LAYOUT_VERSION}\n".encode())
        return
    text = file.read_text().strip()
    if not text.isdigit():
        raise BadInput(
            f"{file} says {text[:40]!r}, which is no version number",
            code="data_directory_unknown",
            hint="Restore the file from a backup, or start with an empty directory.",
        )
    if int(text) > LAYOUT_VERSION:
        raise BadInput(
            f"the data directory {root} has layout version {text}; this program knows up to {LAYOUT_VERSION}",
            code="data_directory_newer",
            hint="Install the newer Airside that wrote it, or use another directory. Nothing was changed.",
        )


def _make_secrets(root: Path) -> None:
    for name, prefix in (("admin-token", "air_admin_"), ("gateway-token", "air_gateway_")):
        if not (root / name).exists():
            write_private(root / name, f"{prefix}{secrets.token_urlsafe(32)}\n".encode(), replace=False)
    if not (root / "session-key").exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(root / "session-key", pem, replace=False)


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put a file in place whole or not at all, readable by its owner only.

    With `replace=False` the first of several processes that start together wins and the others keep its file.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            partial.rename(path)
        else:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)

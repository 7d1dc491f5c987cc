"""Session tokens: what a sandbox holds instead of a key. Minted per session, signed, short-lived.

    airs_<base64url(claims as JSON)>.<base64url(Ed25519 signature of the first part's characters)>

The gateway checks them with the public half from its snapshot, so starting a session changes no snapshot. What the
claims mean is said in `airside.dataplanes.snapshot.SessionClaims`.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from airside.errors import Unauthenticated

TOKEN_PREFIX = "airs_"  # noqa: S105 - a prefix, no secret


def encode_base64url(data: bytes) -> str:
    """Without padding, as tokens and the snapshot spell it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """The inverse of `encode_base64url`. Raises `ValueError`."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class SessionTokenSigner:
    """Signs and checks session tokens with this installation's key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key

    @property
    def public_key(self) -> bytes:
        """The raw 32 bytes that the gateway checks with."""
        return self._private_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def key_id(self) -> str:
        """A name for the key pair: the start of the public key's SHA-256."""
        return hashlib.sha256(self.public_key).hexdigest()[:16]

    def sign(self, claims: bytes) -> str:
        """A token that carries these claims, given as JSON."""
        body = encode_base64url(claims)
        return f"{TOKEN_PREFIX}{body}.{encode_base64url(self._private_key.sign(body.encode()))}"

    def verified(self, token: str) -> bytes:
        """The claims of a token that we signed, as JSON. Raises `Unauthenticated`; expiry is the caller's to judge."""
        body, _, signature = token.removeprefix(TOKEN_PREFIX).partition(".")
        public = Ed25519PublicKey.from_public_bytes(self.public_key)
        if not token.startswith(TOKEN_PREFIX):
            raise Unauthenticated("this is no session token", code="unknown_token")
        try:
            public.verify(decode_base64url(signature), body.encode())
            return decode_base64url(body)
        except (InvalidSignature, ValueError) as error:
            raise Unauthenticated("this is no session token of ours", code="unknown_token") from error

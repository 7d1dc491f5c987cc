"""Session tokens are ours or they are nothing."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airside.access.tokens import SessionTokenSigner, decode_base64url, encode_base64url
from airside.errors import Unauthenticated


@pytest.fixture
def signer() -> SessionTokenSigner:
    return SessionTokenSigner(Ed25519PrivateKey.generate())


def test_a_token_gives_back_its_claims(signer: SessionTokenSigner) -> None:
    assert signer.verified(signer.sign(b'{"session_id":"sesn_1"}')) == b'{"session_id":"sesn_1"}'


def test_a_changed_token_is_refused(signer: SessionTokenSigner) -> None:
    token = signer.sign(b'{"session_id":"sesn_1"}')
    body, _, signature = token.partition(".")
    forged = f"{body[:-2]}AA.{signature}"
    for wrong in (forged, f"{body}.", body, "", "airs_.", token[5:], f"{token}A", token.replace("airs_", "airx_")):
        with pytest.raises(Unauthenticated):
            signer.verified(wrong)


def test_a_token_of_another_installation_is_refused(signer: SessionTokenSigner) -> None:
    other = SessionTokenSigner(Ed25519PrivateKey.generate())
    with pytest.raises(Unauthenticated):
        signer.verified(other.sign(b"{}"))


def test_base64url_is_without_padding_and_strict() -> None:
    assert decode_base64url(encode_base64url(b"\xff\xfe\xfd\xfc")) == b"\xff\xfe\xfd\xfc"
    assert "=" not in encode_base64url(b"a")
    with pytest.raises(ValueError, match="base64"):
        decode_base64url("a!b")

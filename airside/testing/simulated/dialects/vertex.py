"""Claude and Gemini on Google Cloud, and the identity service that gives out tokens for it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from airside.events import JsonObject
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.anthropic import AnthropicMessages, require_fields
from airside.testing.simulated.dialects.bedrock import cache_marks
from airside.testing.simulated.dialects.contract import (
    UNADDRESSED,
    Account,
    Addressed,
    Asked,
    Issued,
    Operation,
    VendorError,
    bearer,
)
from airside.testing.simulated.dialects.gemini import Gemini, error_fields
from airside.testing.simulated.json_reading import as_object, as_text

_NOT_KNOWN = frozenset({"mcp_servers", "container", "speed", "output_format"})
_LIFE = timedelta(hours=1)
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def admit_token(asked: Asked, account: Account) -> None:
    """Raise `VendorError` unless a token was shown that the identity service gave out and that still holds."""
    ends = account.tokens.get(bearer(asked.headers))
    if ends is None or ends <= account.now:
        message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
        raise VendorError(401, message)


class VertexClaude(AnthropicMessages):
    """The dialect of `publishers/anthropic/models/{model}:rawPredict` and `:streamRawPredict`."""

    def admit(self, asked: Asked, account: Account) -> None:
        admit_token(asked, account)

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        del addressed
        if operation is Operation.ANSWER:
            if body.get("anthropic_version") != "vertex-2023-10-16":
                raise VendorError(400, "anthropic_version: Field required")
            if "model" in body:
                raise VendorError(400, "model: Extra inputs are not permitted")
            require_fields(operation, body, but="model")
        else:
            require_fields(operation, body)
        unknown = sorted(_NOT_KNOWN & body.keys())
        if unknown:
            raise VendorError(400, f"{unknown[0]}: Extra inputs are not permitted")
        if any("scope" in mark for mark in cache_marks(body)):
            raise VendorError(400, "cache_control.ephemeral.scope: Extra inputs are not permitted")

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        model = as_text(body.get("model")) or addressed.model
        return super().read({**body, "model": model, "stream": addressed.streams}, addressed)

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        # Google's own front refuses before Claude is asked.
        if error.status in {401, 403, 404, 429}:
            return {"error": error_fields(error)}
        return super().error_body(error, request_id)


class VertexGemini(Gemini):
    """The dialect of `publishers/google/models/{model}:generateContent`."""

    def admit(self, asked: Asked, account: Account) -> None:
        admit_token(asked, account)


class GoogleIdentity(Gemini):
    """The token endpoint: a signed statement of a service account for an access token (RFC 7523)."""

    def admit(self, asked: Asked, account: Account) -> None:
        del asked, account

    def issue(self, asked: Asked, account: Account, stem: str) -> Issued:
        """A new token. Raises `VendorError` unless the statement is signed by the account's key and holds now."""
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if form.get("grant_type") != _JWT:
            raise VendorError(400, "unsupported_grant_type")
        claims = _claims(form.get("assertion", ""), account)
        if not claims.get("iat", 0) <= account.now.timestamp() + 60 <= claims.get("exp", 0) + 60:
            raise VendorError(400, "Invalid JWT: it must be a short-lived token in a reasonable timeframe.")
        token = f"ya29.{stem}"
        body: JsonObject = {"access_token": token, "expires_in": int(_LIFE.total_seconds()), "token_type": "Bearer"}
        return Issued(token, account.now + _LIFE, body)


def _claims(assertion: str, account: Account) -> Mapping[str, int]:
    head, _, rest = assertion.partition(".")
    payload, _, signature = rest.partition(".")
    key = load_pem_public_key((account.key or "").encode())
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(_decoded(signature), f"{head}.{payload}".encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise VendorError(400, "Invalid JWT Signature.") from None
    claims = as_object(json.loads(_decoded(payload)))
    return {name: value for name, value in claims.items() if isinstance(value, int)}


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

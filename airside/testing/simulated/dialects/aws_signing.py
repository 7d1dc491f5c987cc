"""Checking AWS's signature, version 4, as a service of AWS does.

Independent of the gateway that makes it: written from the IAM user guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from airside.testing.simulated.dialects.contract import Account, Asked, VendorError

# The keys of the simulated account, unless it demands others as `id:secret`.
ACCESS_KEY_ID = "AKIASIMULATED"
SECRET_ACCESS_KEY = "simulated/secret+access=key"  # noqa: S105

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<scope>[^,]+), "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_MOST_SKEW = timedelta(minutes=5)


def check_signature(asked: Asked, account: Account, service: str) -> None:
    """Raise `VendorError` unless this account signed exactly this request, a short while ago, for this service."""
    given = _AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
    if given is None:
        raise VendorError(403, "Missing Authentication Token", kind="MissingAuthenticationTokenException")
    key_id, _, secret = (account.key or f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}").partition(":")
    if given["id"] != key_id:
        message = "The security token included in the request is invalid."
        raise VendorError(403, message, kind="UnrecognizedClientException")
    at = asked.headers.get("x-amz-date", "")
    day, region, named, _ = given["scope"].split("/")
    if named != service or not at.startswith(day):
        raise VendorError(403, "Credential should be scoped to correct service.", kind="InvalidSignatureException")
    signed_at = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(account.now - signed_at) > _MOST_SKEW:
        raise VendorError(403, "Signature expired", kind="InvalidSignatureException")
    request = _canonical_request(asked, given["headers"])
    text = f"AWS4-HMAC-SHA256\n{at}\n{given['scope']}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    if not hmac.compare_digest(_hmac(key, text).hex(), given["signature"]):
        message = "The request signature we calculated does not match the signature you provided."
        raise VendorError(403, message, kind="InvalidSignatureException")


def _canonical_request(asked: Asked, names: str) -> str:
    # The path is escaped once more than it was sent.
    path = "/".join(quote(segment, safe="-_.~") for segment in asked.raw_path.split("/"))
    query = "&".join(sorted(asked.query.split("&")))
    headers = "".join(f"{name}:{' '.join(asked.headers.get(name, '').split())}\n" for name in names.split(";"))
    return "\n".join((asked.method, path, query, headers, names, hashlib.sha256(asked.body).hexdigest()))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

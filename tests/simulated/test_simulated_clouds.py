"""The clouds that sell models: who is let in, what they insist on, how they pack their streams."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airside.clock import SystemClock
from airside.testing.simulated import SimulatedModels

CLAUDE = "/bedrock/model/us.anthropic.claude-x-v1%3A0"
NOVA = "/bedrock/model/amazon.nova-v1%3A0"
BEARER = {"authorization": "Bearer bedrock-key"}
ASK = "Say.\n```script\n- say: hello\n```\n"
INVOKE: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": ASK}],
}
CONVERSE: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": ASK}]}]}
VERTEX = "/google/v1/projects/p/locations/global/publishers/anthropic/models/claude-x:rawPredict"


def frames(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """The headers and payloads of an AWS event stream, with both checksums checked."""
    while data:
        total, head_length, check = struct.unpack("!III", data[:12])
        assert zlib.crc32(data[:8]) == check
        assert zlib.crc32(data[: total - 4]) == struct.unpack("!I", data[total - 4 : total])[0]
        head, headers = data[12 : 12 + head_length], {}
        while head:
            name_end = 1 + head[0]
            value_end = name_end + 3 + struct.unpack("!H", head[name_end + 1 : name_end + 3])[0]
            headers[head[1:name_end].decode()] = head[name_end + 3 : value_end].decode()
            head = head[value_end:]
        yield headers, data[12 + head_length : total - 4]
        data = data[total:]


async def post(
    models: SimulatedModels, http: httpx2.AsyncClient, path: str, body: object, headers: dict[str, str]
) -> httpx2.Response:
    return await http.post(models.url + path, json=body, headers=headers)


async def test_bedrock_lets_in_who_signs_or_has_a_key(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    unsigned = await post(models, http, f"{CLAUDE}/invoke", INVOKE, {})
    assert unsigned.status_code == 403
    assert unsigned.headers["x-amzn-errortype"].startswith("MissingAuthenticationTokenException")
    forged = {
        "x-amz-date": "20261126T000000Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIASIMULATED/20261126/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
    }
    refused = await post(models, http, f"{CLAUDE}/invoke", INVOKE, forged)
    assert refused.headers["x-amzn-errortype"].startswith("InvalidSignatureException")
    answer = await post(models, http, f"{CLAUDE}/invoke", INVOKE, BEARER)
    assert answer.json()["content"] == [{"type": "text", "text": "hello"}]
    assert models.requests("bedrock")[-1].model == "us.anthropic.claude-x-v1:0"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": "m"}, "model: Extra inputs"),
        ({"anthropic_version": "2023-06-01"}, "bedrock-2023-05-31"),
        ({"system": [{"type": "text", "text": "s", "cache_control": {"scope": "global"}}]}, "scope"),
        ({"anthropic_beta": ["one,two"]}, "invalid beta flag"),
        ({"speed": "fast"}, "speed: Extra inputs"),
        ({"tools": [{"name": "t", "eager_input_streaming": True}]}, "eager_input_streaming: Extra inputs"),
    ],
)
async def test_bedrock_takes_no_more_than_it_knows(
    models: SimulatedModels, http: httpx2.AsyncClient, change: dict[str, object], complaint: str
) -> None:
    refused = await post(models, http, f"{CLAUDE}/invoke", {**INVOKE, **change}, BEARER)
    assert refused.status_code == 400
    assert complaint in refused.json()["message"]


async def test_claudes_events_are_packed_into_frames(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    answer = await post(models, http, f"{CLAUDE}/invoke-with-response-stream", INVOKE, BEARER)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    packed = [json.loads(b64decode(json.loads(payload)["bytes"])) for _, payload in frames(answer.content)]
    assert packed[0]["type"] == "message_start"
    assert packed[-1]["type"] == "message_stop"
    said = [event["delta"]["text"] for event in packed if event["type"] == "content_block_delta"]
    assert "".join(said) == "hello"


async def test_converse_says_why_it_stopped_and_then_what_it_cost(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    whole = (await post(models, http, f"{NOVA}/converse", CONVERSE, BEARER)).json()
    assert whole["output"]["message"]["content"] == [{"text": "hello"}]
    streamed = await post(models, http, f"{NOVA}/converse-stream", CONVERSE, BEARER)
    kinds = [headers[":event-type"] for headers, _ in frames(streamed.content)]
    assert kinds[0] == "messageStart"
    assert kinds[-2:] == ["messageStop", "metadata"]
    twice = {"messages": CONVERSE["messages"] * 2}
    assert "alternate" in (await post(models, http, f"{NOVA}/converse", twice, BEARER)).json()["message"]


async def test_an_exception_ends_a_stream(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    models.fault("bedrock", in_stream_error={"status": 429, "message": "Too many"}, times=1)
    answer = await post(models, http, f"{NOVA}/converse-stream", CONVERSE, BEARER)
    *_, (headers, payload) = frames(answer.content)
    assert (headers[":message-type"], headers[":exception-type"]) == ("exception", "throttlingException")
    assert json.loads(payload) == {"message": "Too many"}


def signed(key: RSAPrivateKey, claims: dict[str, int | str]) -> str:
    def encoded(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    text = f"{encoded(b'{}')}.{encoded(json.dumps(claims).encode())}"
    return f"{text}.{encoded(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


async def test_google_cloud_wants_a_token_of_its_identity_service(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    key, other = (generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    models.demand_key(public.decode(), "google")
    now = int(SystemClock().now().timestamp())
    claims: dict[str, int | str] = {"iss": "a@b", "iat": now, "exp": now + 600}

    async def token(by: RSAPrivateKey) -> httpx2.Response:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed(by, claims)}
        return await http.post(f"{models.url}/google/oauth2/token", data=form)

    assert (await token(other)).status_code == 400
    given = (await token(key)).json()
    body = {**INVOKE, "anthropic_version": "vertex-2023-10-16"}
    without = await post(models, http, VERTEX, body, {"authorization": "Bearer other"})
    assert (without.status_code, without.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    shown = {"authorization": f"Bearer {given['access_token']}"}
    assert (await post(models, http, VERTEX, body, shown)).json()["model"] == "claude-x"
    named = await post(models, http, VERTEX, {**body, "model": "m"}, shown)
    assert "Extra inputs" in named.json()["error"]["message"]


async def test_azure_wants_a_version_beside_a_deployment(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": ASK}]}
    path = "/azure/openai/deployments/my%20gpt/chat/completions"
    assert (await post(models, http, path, body, {"api-key": "k"})).status_code == 404
    versioned = f"{path}?api-version=2025-04-01-preview"
    answer = (await post(models, http, versioned, {**body, "model": "x"}, {"api-key": "k"})).json()
    assert answer["model"] == "my gpt"
    assert (await post(models, http, versioned, {**body, "model": "x"}, {})).status_code == 401

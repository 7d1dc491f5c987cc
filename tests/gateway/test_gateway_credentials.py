"""Where a gateway finds credentials by itself, and how it spreads calls over several."""

from __future__ import annotations

import hashlib
import json
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from gateway_control_plane import price
from gateway_processes import Answer, GatewayProcess, LoopbackServer, until

from airside.clock import SystemClock
from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.dialects.aws_signing import ACCESS_KEY_ID, SECRET_ACCESS_KEY, check_signature
from airside.testing.simulated.dialects.contract import Account, Asked

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]
LATER = "2999-01-01T00:00:00Z"
AWS_KEYS = {"AccessKeyId": ACCESS_KEY_ID, "SecretAccessKey": SECRET_ACCESS_KEY, "Token": "session", "Expiration": LATER}
STS = (
    f"<R><Credentials><AccessKeyId>{ACCESS_KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET_ACCESS_KEY}</SecretAccessKey>"
    f"<SessionToken>session</SessionToken><Expiration>{LATER}</Expiration></Credentials></R>"
)
SIGN_ON = {"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY, "sessionToken": "session"}
TOKEN = json.dumps({"access_token": "token-of-the-machine", "expires_in": 3600})

# What each path of the metadata services answers, and the header it demands.
SERVED: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("GET", "/container"): ("authorization", "container-token", json.dumps(AWS_KEYS)),
    ("PUT", "/latest/api/token"): ("x-aws-ec2-metadata-token-ttl-seconds", "21600", "imds"),
    ("GET", "/latest/meta-data/iam/security-credentials/"): ("x-aws-ec2-metadata-token", "imds", "the-role\n"),
    ("GET", "/latest/meta-data/iam/security-credentials/the-role"): (
        "x-aws-ec2-metadata-token",
        "imds",
        json.dumps(AWS_KEYS),
    ),
    ("POST", "/"): ("content-type", "application/x-www-form-urlencoded", STS),
    ("GET", "/federation/credentials"): (
        "x-amz-sso_bearer_token",
        "login",
        json.dumps({"roleCredentials": {**SIGN_ON, "expiration": 32_472_144_000_000}}),
    ),
    ("GET", "/computeMetadata/v1/instance/service-accounts/default/token"): ("metadata-flavor", "Google", TOKEN),
    ("POST", "/google-token"): ("content-type", "application/x-www-form-urlencoded", TOKEN),
    ("POST", "/tenant/oauth2/v2.0/token"): ("content-type", "application/x-www-form-urlencoded", TOKEN),
    ("GET", "/metadata/identity/oauth2/token"): ("metadata", "true", TOKEN),
}


class _Metadata(BaseHTTPRequestHandler):
    """The metadata and token services of all clouds."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path, _, query = self.path.partition("?")
        found = SERVED.get((self.command, path))
        is_allowed = found is not None and self.headers.get(found[0]) == found[1]
        if path == "/federation/credentials":
            is_allowed &= parse_qs(query) == {"account_id": ["123"], "role_name": ["dev"]}
        asked = parse_qs(body.decode())
        if asked.get("Action") == ["AssumeRole"]:
            is_allowed &= asked["RoleArn"] == ["arn:aws:iam::1:role/r"] and asked["ExternalId"] == ["e x"]
            headers = {name.lower(): value for name, value in self.headers.items()}
            # Raises, and so breaks off, where the signature is wrong.
            check_signature(Asked("POST", path, query, headers, body), Account(SystemClock().now()), "sts")
        body = found[2].encode() if found and is_allowed else b""
        self.send_response(200 if is_allowed else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: what a test needs to know it asks."""


@pytest.fixture
def metadata() -> Iterator[str]:
    """The address of the metadata services."""
    server = LoopbackServer(("127.0.0.1", 0), _Metadata)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def models() -> AsyncIterator[SimulatedModels]:
    async with SimulatedModels() as models:
        yield models


def snapshot(provider: dict[str, Any], folder: Path) -> Path:
    """A snapshot with this provider behind model `m`."""
    to = [{"provider": "p", "model": "anthropic.m", "price": price()}]
    path = folder / "snapshot.json"
    content = {
        "format": 1,
        "version": 1,
        "compiled_at": "2026-11-26T00:00:00Z",
        "keys": [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}],
        "providers": [{"name": "p", **provider}],
        "models": [{"name": "m", "route": [{"to": to}]}],
    }
    path.write_text(json.dumps(content))
    return path


def ask(gateway: GatewayProcess) -> Answer:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    return gateway.request("POST", "/v1/messages", body, key=KEY["key"], headers={"anthropic-version": "2023-06-01"})


def key(kind: str, **more: object) -> dict[str, object]:
    return {"key_id": "k", "kind": kind, **more}


def bedrock(models: SimulatedModels, **source: str) -> dict[str, Any]:
    """A provider whose keys are found where AWS looks."""
    return {
        "protocol": "anthropic",
        "vendor": "bedrock",
        "region": "us-east-1",
        "base_url": f"{models.url}/aws",
        "credentials": [key("sigv4", source={"from": "aws", **source})],
    }


def aws_place(name: str, metadata: str, folder: Path) -> dict[str, str]:
    """An environment in which AWS's keys are in one place only."""
    (folder / "token").write_text("who-i-am\n")
    (folder / "program").write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps({**AWS_KEYS, 'Version': 1})}'\n")
    (folder / "program").chmod(0o700)
    (folder / "plain").write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    )
    role = "role_arn = arn:aws:iam::1:role/r\nexternal_id = e x\nregion = eu-west-1\nsource_profile = base\n"
    plain = (folder / "plain").read_text().replace("default", "base")
    (folder / "role").write_text(f"[profile dev]\n{role}{plain}")
    session = "sso_session = corp\nsso_account_id = 123\nsso_role_name = dev\n"
    corp = "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example\n"
    (folder / "login").write_text(f"[profile dev]\n{session}{corp}")
    (folder / "both").write_text(f"[profile dev]\n{role}[profile base]\n{session}{corp}")
    cache = folder / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    # SHA-1 of the session's name is what AWS's own program calls the file.
    login = hashlib.sha1(b"corp", usedforsecurity=False).hexdigest()
    (cache / f"{login}.json").write_text(json.dumps({"accessToken": "login", "expiresAt": LATER}))
    (folder / "process").write_text(f"[profile dev]\ncredential_process = '{folder / 'program'}' --for airside\n")
    off = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(folder)}
    return {
        "environment": {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY, **off},
        "shared files": {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "plain"), **off},
        "a profile's program": {"AWS_CONFIG_FILE": str(folder / "process"), "AWS_PROFILE": "dev", **off},
        "a profile's role": {
            "AWS_CONFIG_FILE": str(folder / "role"),
            "AWS_PROFILE": "dev",
            "AWS_ENDPOINT_URL_STS": metadata,
            **off,
        },
        "single sign-on": {
            "AWS_CONFIG_FILE": str(folder / "login"),
            "AWS_PROFILE": "dev",
            "AWS_ENDPOINT_URL_SSO": metadata,
            **off,
        },
        "a role over single sign-on": {
            "AWS_CONFIG_FILE": str(folder / "both"),
            "AWS_PROFILE": "dev",
            "AWS_ENDPOINT_URL_SSO": metadata,
            "AWS_ENDPOINT_URL_STS": metadata,
            **off,
        },
        "web identity": {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
            "AWS_ENDPOINT_URL_STS": metadata,
            **off,
        },
        "container": {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata}/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token",
            **off,
        },
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata, "HOME": str(folder)},
    }[name]


@pytest.mark.parametrize(
    "place",
    [
        "environment",
        "shared files",
        "a profile's program",
        "a profile's role",
        "single sign-on",
        "a role over single sign-on",
        "web identity",
        "container",
        "instance",
    ],
)
async def test_awss_keys_are_found_where_aws_looks(
    start: Callable[..., GatewayProcess], models: SimulatedModels, metadata: str, tmp_path: Path, place: str
) -> None:
    environment = aws_place(place, metadata, tmp_path)
    gateway = start("--snapshot", str(snapshot(bedrock(models), tmp_path)), environment=environment)
    answer = await to_thread(ask, gateway)
    assert answer.status == 200, answer.body
    (request,) = models.requests("aws")
    assert ("x-amz-security-token" in request.headers) == (place not in {"environment", "shared files"})
    assert SECRET_ACCESS_KEY not in gateway.log()


async def test_a_sign_on_that_is_over_names_the_command_that_renews_it(
    start: Callable[..., GatewayProcess], models: SimulatedModels, metadata: str, tmp_path: Path
) -> None:
    environment = aws_place("single sign-on", metadata, tmp_path)
    (login,) = (tmp_path / ".aws" / "sso" / "cache").iterdir()
    login.write_text(json.dumps({"accessToken": "login", "expiresAt": "2020-01-01T00:00:00Z"}))
    gateway = start("--snapshot", str(snapshot(bedrock(models), tmp_path)), environment=environment)
    answer = await to_thread(ask, gateway)
    assert answer.status >= 500, answer.body
    await to_thread(until, lambda: "run `aws sso login --profile dev`" in gateway.log(), "the log's advice")


@pytest.mark.parametrize("place", ["metadata server", "the user's login"])
async def test_googles_token_is_found_where_google_looks(
    start: Callable[..., GatewayProcess], models: SimulatedModels, metadata: str, tmp_path: Path, place: str
) -> None:
    models.provider("google").tokens["token-of-the-machine"] = SystemClock().now() + timedelta(hours=1)
    vertex = {
        "protocol": "anthropic",
        "vendor": "vertex",
        "project": "p",
        "base_url": f"{models.url}/google",
        "credentials": [key("bearer", source={"from": "gcp"})],
    }
    environment = {"HOME": str(tmp_path), "GCE_METADATA_HOST": metadata.removeprefix("http://")}
    if place == "the user's login":
        folder = tmp_path / ".config" / "gcloud"
        folder.mkdir(parents=True)
        login = {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": "s",
            "refresh_token": "r",
            "token_uri": f"{metadata}/google-token",
        }
        (folder / "application_default_credentials.json").write_text(json.dumps(login))
        environment = {"HOME": str(tmp_path)}
    gateway = start("--snapshot", str(snapshot(vertex, tmp_path)), environment=environment)
    answer = await to_thread(ask, gateway)
    assert answer.status == 200, answer.body
    assert "token-of-the-machine" not in gateway.log()


@pytest.mark.parametrize("place", ["a client's secret", "managed identity"])
async def test_entras_token_is_found_where_azure_looks(
    start: Callable[..., GatewayProcess], models: SimulatedModels, metadata: str, tmp_path: Path, place: str
) -> None:
    models.demand_key("token-of-the-machine", "foundry")
    foundry = {
        "protocol": "anthropic",
        "vendor": "azure",
        "base_url": f"{models.url}/foundry",
        "credentials": [key("bearer", source={"from": "azure"})],
    }
    client = {
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "c",
        "AZURE_CLIENT_SECRET": "s",
        "AZURE_AUTHORITY_HOST": metadata,
    }
    environment = client if place == "a client's secret" else {"AZURE_POD_IDENTITY_AUTHORITY_HOST": metadata}
    gateway = start("--snapshot", str(snapshot(foundry, tmp_path)), environment=environment)
    answer = await to_thread(ask, gateway)
    assert answer.status == 200, answer.body


async def test_no_credential_anywhere_is_said_with_the_place(
    start: Callable[..., GatewayProcess], models: SimulatedModels, tmp_path: Path
) -> None:
    of_nobody = bedrock(models, profile="nobody")
    gateway = start("--snapshot", str(snapshot(of_nobody, tmp_path)), environment={"HOME": str(tmp_path)})
    answer = await to_thread(ask, gateway)
    assert (answer.status, answer.json["error"]["code"]) == (503, "no_credential")
    await to_thread(until, lambda: "profile 'nobody'" in gateway.log(), "the reason in the log")
    assert models.requests("aws") == []


async def test_calls_are_spread_over_a_pool_and_the_record_says_by_which_key(
    start: Callable[..., GatewayProcess], models: SimulatedModels, tmp_path: Path
) -> None:
    pool = [
        {"key_id": "often", "kind": "x_api_key", "secret": "sk-often", "weight": 3},
        {"key_id": "seldom", "kind": "x_api_key", "secret": "sk-seldom"},
        {"key_id": "never", "kind": "x_api_key"},
    ]
    anthropic = {"protocol": "anthropic", "base_url": f"{models.url}/a", "credentials": pool}
    gateway = start("--snapshot", str(snapshot(anthropic, tmp_path)))
    # The dice are the gateway's own: so many calls that three to one is never even.
    for _ in range(200):
        assert (await to_thread(ask, gateway)).status == 200
    shown = [request.headers["x-api-key"] for request in models.requests("a")]
    assert set(shown) == {"sk-often", "sk-seldom"}
    assert shown.count("sk-often") > shown.count("sk-seldom")
    records = await to_thread(gateway.records, 200)
    assert len(records) == 200
    assert {record["attempts"][-1]["key_id"] for record in records} == {"often", "seldom"}
    assert datetime.fromisoformat(records[0]["at"]).tzinfo == UTC

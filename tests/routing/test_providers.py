"""What people write about a provider, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from airside.dataplanes.compiler import Sources, compile_snapshot, price_list_of
from airside.dataplanes.snapshot import AwsSource, CommandSource, CredentialKind, FileSource, GcpSource, Provider
from airside.routing.definitions import ModelDefinition, ProviderDefinition

AT = datetime(2026, 11, 26, tzinfo=UTC)


def defined(**fields: object) -> ProviderDefinition:
    return ProviderDefinition.model_validate(fields)


def compiled(environment: dict[str, str] | None = None, **fields: object) -> Provider:
    sources = Sources(
        providers={"p": defined(**fields)},
        models={},
        token_key_id="k",
        token_public_key=b"\0" * 32,
    )
    (provider,) = compile_snapshot(sources, 1, AT, environment or {}).providers
    return provider


@pytest.mark.parametrize(
    ("fields", "url", "prices"),
    [
        ({"protocol": "anthropic"}, "https://api.anthropic.com", "anthropic"),
        ({"protocol": "openai-responses"}, "https://api.openai.com/v1", "openai"),
        ({"protocol": "gemini"}, "https://generativelanguage.googleapis.com", "google"),
        ({"vendor": "openrouter"}, "https://openrouter.ai/api/v1", "openrouter"),
        ({"vendor": "openrouter", "protocol": "anthropic"}, "https://openrouter.ai/api", "openrouter"),
        ({"vendor": "bedrock", "region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com", "aws"),
        (
            {"vendor": "bedrock", "region": "cn-north-1"},
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "aws",
        ),
        ({"vendor": "vertex", "project": "p"}, "https://aiplatform.googleapis.com", "google"),
        ({"vendor": "vertex", "project": "p", "region": "eu"}, "https://aiplatform.eu.rep.googleapis.com", "google"),
        (
            {"vendor": "vertex", "project": "p", "region": "us-east5", "protocol": "anthropic"},
            "https://us-east5-aiplatform.googleapis.com",
            "google",
        ),
        (
            {"protocol": "openai-chat", "base_url": "https://r.openai.azure.com/openai/v1"},
            "https://r.openai.azure.com/openai/v1",
            "azure",
        ),
        ({"protocol": "openai-chat", "base_url": "http://127.0.0.1:8000/v1"}, "http://127.0.0.1:8000/v1", "openai"),
    ],
)
def test_a_vendor_is_reached_where_it_usually_is(fields: dict[str, Any], url: str, prices: str) -> None:
    provider = defined(**fields)
    assert (provider.url, price_list_of(provider)) == (url, prices)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"vendor": "bedrock"}, "needs `region`"),
        ({"vendor": "vertex"}, "needs `project`"),
        ({"vendor": "azure"}, "RESOURCE.openai.azure.com"),
        ({"vendor": "bedrock", "region": "us-east-1", "protocol": "gemini"}, "does not speak gemini"),
        ({"protocol": "bedrock"}, "write `vendor: bedrock`"),
        ({"protocol": "anthropic", "credential": "sk-ant-secret"}, "env:NAME"),
        ({"protocol": "anthropic", "credential": "env:A", "credentials": [{"credential": "env:B"}]}, "not both"),
        ({"protocol": "anthropic", "credentials": [{"credential": "env:A"}] * 2}, "the same"),
    ],
)
def test_what_is_missing_is_said_without_the_secret(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        defined(**fields)
    assert sentence in str(caught.value.errors(include_input=False)[0]["msg"])
    assert "sk-ant-secret" not in str(caught.value.errors(include_input=False))


@pytest.mark.parametrize(
    ("fields", "kind", "source"),
    [
        ({"protocol": "anthropic", "credential": "env:A"}, CredentialKind.X_API_KEY, None),
        ({"protocol": "gemini", "credential": "env:A"}, CredentialKind.X_GOOG_API_KEY, None),
        (
            {"protocol": "openai-chat", "credential": "file:/run/key"},
            CredentialKind.BEARER,
            FileSource(path="/run/key"),
        ),
        (
            {"protocol": "anthropic", "credential": "command:helper 'a b' c"},
            CredentialKind.X_API_KEY,
            CommandSource(argv=["helper", "a b", "c"]),
        ),
        ({"vendor": "bedrock", "region": "us-east-1"}, CredentialKind.SIGV4, AwsSource()),
        (
            {"vendor": "bedrock", "region": "us-east-1", "credential": "aws:dev"},
            CredentialKind.SIGV4,
            AwsSource(profile="dev"),
        ),
        ({"vendor": "bedrock", "region": "us-east-1", "credential": "env:A"}, CredentialKind.BEARER, None),
        ({"vendor": "vertex", "project": "p"}, CredentialKind.BEARER, GcpSource()),
        ({"vendor": "azure", "base_url": "https://r.test", "credential": "env:A"}, CredentialKind.API_KEY, None),
        (
            {"protocol": "anthropic", "base_url": "https://openrouter.ai/api", "credential": "env:A"},
            CredentialKind.BEARER,
            None,
        ),
    ],
)
def test_a_credential_is_shown_as_the_vendor_wants_it(
    fields: dict[str, Any], kind: CredentialKind, source: object
) -> None:
    (key,) = compiled(**fields).credentials
    assert (key.kind, key.source) == (kind, source)


def test_only_the_environment_of_the_control_plane_travels() -> None:
    (key,) = compiled({"A": "s3"}, protocol="anthropic", credential="env:A").credentials
    assert (key.key_id, key.secret) == ("env:A", "s3")
    assert compiled(protocol="openai-chat", base_url="http://127.0.0.1:1").credentials == []


def test_a_pool_keeps_its_names_and_weights() -> None:
    pool = [
        {"credential": "env:A", "weight": 3},
        {"credential": "env:B", "name": "second", "auth": "bearer"},
        {"credential": "command:helper --secret x"},
    ]
    first, second, third = compiled({"A": "a", "B": "b"}, protocol="anthropic", credentials=pool).credentials
    assert (first.key_id, first.weight, first.secret) == ("env:A", 3, "a")
    assert (second.key_id, second.kind) == ("second", CredentialKind.BEARER)
    assert third.key_id.startswith("command:")
    assert "secret" not in third.key_id


def test_bedrocks_prefixes_do_not_hide_the_price() -> None:
    provider = defined(vendor="bedrock", region="us-east-1")
    profile = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    sources = Sources(
        providers={"aws": provider},
        models={"m": ModelDefinition.model_validate([f"aws/{profile}", "aws/converse/amazon.nova-pro-v1:0"])},
        token_key_id="k",
        token_public_key=b"\0" * 32,
    )
    (model,) = compile_snapshot(sources, 1, AT, {}).models
    assert all(target.price for target in model.route[0].to)

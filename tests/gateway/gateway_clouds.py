"""Every cloud as a deployment names it, on simulated ones: providers with credentials from where each keeps them."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from airside.dataplanes.compiler import Sources, compile_snapshot
from airside.routing.definitions import ModelDefinition, ProviderDefinition
from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.dialects.aws_signing import ACCESS_KEY_ID, SECRET_ACCESS_KEY

AWS_KEYS = {"AccessKeyId": ACCESS_KEY_ID, "SecretAccessKey": SECRET_ACCESS_KEY, "Version": 1}
PRICES = {"input": "1.00", "output": "2.00", "cache_read": "0.10"}
#: What the environment of a deployment says, which `defined` refers to.
ENVIRONMENT = {"AWS": f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}", "AZURE": "k", "GEMINI": "k", "ROUTER": "k"}

CLAUDES = {
    "bedrock": "us.anthropic.claude-x-20250929-v1:0",
    "bedrock-by-program": "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
    "converse": "openai.gpt-oss-120b-1:0",
    "vertex-claude": "claude-x-20250929",
    "foundry": "claude-x",
}


def provider(protocol: str | None, url: str, model: str, **fields: object) -> ProviderDefinition:
    named = {"protocol": protocol} if protocol else {}
    # Converse is told of schemas only where somebody says that the model follows them.
    able = {"capabilities": {"structured_output": True}} if model == CLAUDES["converse"] else {}
    models = {model: {"prices": PRICES, **able}}
    return ProviderDefinition.model_validate({"base_url": url, "models": models, **named, **fields})


def defined(models: SimulatedModels, folder: Path) -> dict[str, tuple[ProviderDefinition, str]]:
    """Each provider with the model it is asked for; every credential comes from where a deployment would keep it."""
    google_key, program = service_account(models, folder), keys_program(folder)
    aws = {"vendor": "bedrock", "region": "us-east-1"}
    google = {"vendor": "vertex", "project": "p", "region": "us-east5", "credential": f"gcp:{google_key}"}
    azure: dict[str, object] = {"vendor": "azure", "credential": "env:AZURE"}
    named = {
        "bedrock": ("anthropic", "aws", {**aws, "credential": "env:AWS", "auth": "sigv4"}, CLAUDES["bedrock"]),
        "bedrock-by-program": (
            None,
            "aws",
            {**aws, "credential": f"command:{program}", "auth": "sigv4"},
            CLAUDES["bedrock-by-program"],
        ),
        "converse": (None, "aws", {**aws, "credential": "env:AWS", "auth": "sigv4"}, CLAUDES["converse"]),
        "vertex-claude": ("anthropic", "google", google, CLAUDES["vertex-claude"]),
        "vertex-gemini": ("gemini", "google", google, "gemini-x"),
        "gemini": ("gemini", "gemini", {"credential": "env:GEMINI"}, "gemini-x"),
        "azure": ("openai-chat", "azure", {**azure, "api_version": "2025-04-01-preview"}, "my gpt"),
        "azure-v1": ("openai-responses", "azure/openai/v1", azure, "gpt-x"),
        "foundry": ("anthropic", "foundry", {**azure, "auth": "x-api-key"}, CLAUDES["foundry"]),
        "openrouter": (
            "openai-chat",
            "router/v1",
            {"vendor": "openrouter", "credential": "env:ROUTER"},
            "vendor/gpt-x",
        ),
    }
    return {
        name: (provider(protocol, f"{models.url}/{place}", model, **fields), model)
        for name, (protocol, place, fields, model) in named.items()
    }


def service_account(models: SimulatedModels, folder: Path) -> Path:
    """A key file, and an identity service that knows its public half."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    models.demand_key(public.decode(), "google")
    path = folder / "service-account.json"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    token_uri = f"{models.url}/google/oauth2/token"
    content = {"type": "service_account", "client_email": "a@b", "private_key": private, "token_uri": token_uri}
    path.write_text(json.dumps(content))
    return path


def keys_program(folder: Path) -> Path:
    """A `credential_process` of AWS's."""
    path = folder / "keys"
    path.write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps(AWS_KEYS)}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def snapshot_of(
    providers: Mapping[str, tuple[ProviderDefinition, str]], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The snapshot that the control plane would send: one model for each provider, named after it."""
    sources = Sources(
        providers={name: definition for name, (definition, _) in providers.items()},
        models={name: ModelDefinition.model_validate(f"{name}/{model}") for name, (_, model) in providers.items()},
        token_key_id="k",
        token_public_key=b"\0" * 32,
    )
    compiled = compile_snapshot(sources, 1, datetime(2026, 11, 26, tzinfo=UTC), environment)
    return compiled.model_dump(mode="json")

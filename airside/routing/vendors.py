"""Whose service a provider is, and what follows from that: dialects, addresses, credentials, price lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from airside.routing.protocols import ProviderProtocol


class Vendor(StrEnum):
    """Whose service it is: decides how calls are addressed, written and signed."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    AZURE = "azure"
    GEMINI = "gemini"
    VERTEX = "vertex"
    BEDROCK = "bedrock"
    OPENROUTER = "openrouter"
    COMPATIBLE = "compatible"


_OPENAI = (ProviderProtocol.OPENAI_RESPONSES, ProviderProtocol.OPENAI_CHAT)

# The dialects in which a vendor can be entered; the first one is its usual one.
PROTOCOLS: Mapping[Vendor, Sequence[ProviderProtocol]] = {
    Vendor.ANTHROPIC: (ProviderProtocol.ANTHROPIC,),
    Vendor.OPENAI: _OPENAI,
    Vendor.AZURE: (*_OPENAI, ProviderProtocol.ANTHROPIC),
    Vendor.GEMINI: (ProviderProtocol.GEMINI,),
    Vendor.VERTEX: (ProviderProtocol.GEMINI, ProviderProtocol.ANTHROPIC),
    Vendor.BEDROCK: (ProviderProtocol.ANTHROPIC,),
    Vendor.OPENROUTER: (
        ProviderProtocol.OPENAI_CHAT,
        ProviderProtocol.OPENAI_RESPONSES,
        ProviderProtocol.ANTHROPIC,
    ),
    Vendor.COMPATIBLE: tuple(ProviderProtocol),
}

# Whose published prices count.
PRICE_LISTS: Mapping[Vendor, str] = {
    Vendor.ANTHROPIC: "anthropic",
    Vendor.OPENAI: "openai",
    Vendor.AZURE: "azure",
    Vendor.GEMINI: "google",
    Vendor.VERTEX: "google",
    Vendor.BEDROCK: "aws",
    Vendor.OPENROUTER: "openrouter",
}
PRICE_LISTS_BY_PROTOCOL: Mapping[ProviderProtocol, str] = {
    ProviderProtocol.ANTHROPIC: "anthropic",
    ProviderProtocol.OPENAI_RESPONSES: "openai",
    ProviderProtocol.OPENAI_CHAT: "openai",
    ProviderProtocol.GEMINI: "google",
}

# Where a cloud's own programs look for its credentials.
CHAINS: Mapping[Vendor, str] = {Vendor.BEDROCK: "aws", Vendor.VERTEX: "gcp"}

_BY_HOST = {
    "api.anthropic.com": Vendor.ANTHROPIC,
    "api.openai.com": Vendor.OPENAI,
    "generativelanguage.googleapis.com": Vendor.GEMINI,
    "openrouter.ai": Vendor.OPENROUTER,
}
_BY_PROTOCOL = {
    ProviderProtocol.ANTHROPIC: Vendor.ANTHROPIC,
    ProviderProtocol.GEMINI: Vendor.GEMINI,
    ProviderProtocol.OPENAI_RESPONSES: Vendor.OPENAI,
    ProviderProtocol.OPENAI_CHAT: Vendor.OPENAI,
}
_ADDRESSES = {
    Vendor.ANTHROPIC: "https://api.anthropic.com",
    Vendor.OPENAI: "https://api.openai.com/v1",
    Vendor.GEMINI: "https://generativelanguage.googleapis.com",
}


def implied_vendor(protocol: ProviderProtocol, base_url: str | None) -> Vendor:
    """The vendor of a provider that does not name it: by its host, else by its protocol, else unknown."""
    if base_url is None:
        return _BY_PROTOCOL[protocol]
    host = urlsplit(base_url).hostname or ""
    if host.endswith((".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")):
        return Vendor.AZURE
    return _BY_HOST.get(host, Vendor.COMPATIBLE)


def usual_address(vendor: Vendor, protocol: ProviderProtocol, region: str | None) -> str | None:
    """Where the vendor is reached; None where everybody has an address of their own."""
    if vendor is Vendor.BEDROCK:
        domain = "amazonaws.com.cn" if region and region.startswith("cn-") else "amazonaws.com"
        return f"https://bedrock-runtime.{region}.{domain}"
    if vendor is Vendor.VERTEX:
        return _google_cloud(region or "global")
    if vendor is Vendor.OPENROUTER:
        return f"https://openrouter.ai/api{'' if protocol is ProviderProtocol.ANTHROPIC else '/v1'}"
    return _ADDRESSES.get(vendor)


def _google_cloud(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in {"us", "eu"}:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def own_auth(vendor: Vendor, protocol: ProviderProtocol, reference: str) -> str:
    """How the vendor wants to be shown a credential of this kind."""
    if vendor is Vendor.BEDROCK:
        return "sigv4" if reference.partition(":")[0] == "aws" else "bearer"
    if vendor in {Vendor.VERTEX, Vendor.OPENROUTER, Vendor.OPENAI}:
        return "bearer"
    if vendor is Vendor.AZURE:
        return "bearer" if reference == "azure" else "api-key"
    own = {ProviderProtocol.ANTHROPIC: "x-api-key", ProviderProtocol.GEMINI: "x-goog-api-key"}
    return own.get(protocol, "bearer")


def priced_name(vendor: Vendor, model: str) -> str:
    """The name under which a price list knows the model."""
    if vendor is not Vendor.BEDROCK:
        return model
    bare = model.removeprefix("invoke/").removeprefix("converse/")
    return bare.rsplit("/", 1)[-1] if bare.startswith("arn:") else bare

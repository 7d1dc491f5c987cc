"""The simulated models on a free port, and the vendors' own SDKs as clients of them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import anthropic
import httpx2
import openai
import pytest
from simulated_talks import TALKS, Talk

from airside.testing.simulated import SimulatedModels


@pytest.fixture
async def models() -> AsyncIterator[SimulatedModels]:
    async with SimulatedModels() as models:
        yield models


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """One context for every client: none of them uses it, and each would load the certificates anew."""
    return ssl.create_default_context()


@pytest.fixture
async def http(tls: ssl.SSLContext) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(verify=tls, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def claude(models: SimulatedModels, http: httpx2.AsyncClient) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=models.anthropic_url("claude"), api_key="sk-ant-test", max_retries=0, http_client=http
    )


@pytest.fixture
def gpt(models: SimulatedModels, http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=models.openai_url("gpt"), api_key="sk-test", max_retries=0, http_client=http)


@pytest.fixture(params=TALKS, ids=[talk.dialect.name.value for talk in TALKS])
def talk_in_each_dialect(request: pytest.FixtureRequest) -> type[Talk]:
    return request.param

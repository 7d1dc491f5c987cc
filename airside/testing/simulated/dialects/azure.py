"""Azure OpenAI: OpenAI's dialects behind a key of Azure's own, by deployment or below `/openai/v1`."""

from __future__ import annotations

from airside.events import JsonObject
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.contract import (
    UNADDRESSED,
    Account,
    Addressed,
    Asked,
    VendorError,
    admit_key,
    bearer,
)
from airside.testing.simulated.dialects.openai_chat import OpenAiChat
from airside.testing.simulated.dialects.openai_responses import OpenAiResponses
from airside.testing.simulated.query import query_value


def _admit(asked: Asked, account: Account) -> None:
    admit_key(asked.headers.get("api-key") or bearer(asked.headers), account)
    below_version = "/openai/v1/" in asked.raw_path
    if not below_version and not query_value(asked.query, "api-version"):
        raise VendorError(404, "Resource not found")


class AzureChat(OpenAiChat):
    """The dialect of `/openai/deployments/{deployment}/chat/completions` and `/openai/v1/chat/completions`."""

    def admit(self, asked: Asked, account: Account) -> None:
        _admit(asked, account)

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        return super().read({**body, "model": addressed.model or body.get("model")}, addressed)


class AzureResponses(OpenAiResponses):
    """The dialect of `/openai/responses` and `/openai/v1/responses`."""

    def admit(self, asked: Asked, account: Account) -> None:
        _admit(asked, account)

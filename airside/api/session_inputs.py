"""What a client may send to a session, and taking it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.api.services import Services
from airside.ids import SessionId
from airside.sessions.inputs import Input, UserInterrupt, UserMessage
from airside.sessions.log import Event


class TextBlock(BaseModel):
    """Text."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=1_000_000)]


def _says_something(blocks: Sequence[TextBlock]) -> Sequence[TextBlock]:
    if not any(block.text.strip() for block in blocks):
        raise ValueError("a message needs text that is more than white space")
    return blocks


class UserMessageEvent(BaseModel):
    """A message to the agent: one turn."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["user.message"]
    content: Annotated[Sequence[TextBlock], Field(min_length=1), AfterValidator(_says_something)]


class UserInterruptEvent(BaseModel):
    """Give the running turn up."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["user.interrupt"]


InputEvent = Annotated[UserMessageEvent | UserInterruptEvent, Field(discriminator="type")]


async def accept_inputs(
    connection: AsyncConnection,
    services: Services,
    session_id: SessionId,
    events: Sequence[UserMessageEvent | UserInterruptEvent],
    idempotency_key: str | None = None,
) -> Sequence[Event]:
    """Write inputs down. Whoever calls has the session driven once the transaction is committed."""
    return await services.inputs.accept(connection, session_id, [_input(event) for event in events], idempotency_key)


def _input(event: UserMessageEvent | UserInterruptEvent) -> Input:
    if isinstance(event, UserInterruptEvent):
        return UserInterrupt()
    return UserMessage("\n".join(block.text for block in event.content))

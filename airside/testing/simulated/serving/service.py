"""The simulated providers as an ASGI application: one request from its path to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from airside.testing.simulated.answer import Reply, usage_of
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.dialects.contract import (
    Account,
    Addressed,
    Asked,
    Embeds,
    Issues,
    Operation,
    VendorError,
)
from airside.testing.simulated.json_reading import as_text, parsed_object
from airside.testing.simulated.records import Outcome, ReceivedRequest
from airside.testing.simulated.serving.control import Control
from airside.testing.simulated.serving.delivery import Delivery
from airside.testing.simulated.serving.routes import Target, spoken_by, target_of
from airside.testing.simulated.serving.wire import BrokenOff, Wire
from airside.testing.simulated.simulation import MODELS, Provider, Simulation
from airside.testing.simulated.speaker import answer_to
from airside.testing.simulated.usage import prompt_tokens


class Service:
    """All simulated providers behind one port, and the control API under `/_control/`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._control = Control(simulation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/_control"):
            await self._control(scope, receive, send)
            return
        wire = Wire(scope["state"], receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        target = target_of(scope["method"], raw_path, query, headers)
        if isinstance(target, VendorError):
            await Delivery(wire, spoken_by(headers), self._simulation, None, self._simulation.new_stem()).error(target)
            return
        body = await _whole_body(receive)
        if body is None:
            return
        asked = Asked(scope["method"], raw_path, query, headers, body)
        request = self._received(target, scope["path"], asked)
        exchange = _Exchange(self._simulation, target, request, asked, wire)
        outcome = Outcome.BROKEN_OFF
        try:
            outcome = await _unless_closed(exchange.answer(), wire)
        finally:
            request.end(outcome, self._simulation.clock.now())

    def _received(self, target: Target, path: str, asked: Asked) -> ReceivedRequest:
        request = ReceivedRequest(
            id=f"req_{self._simulation.new_stem()}",
            provider=target.provider,
            operation=target.operation,
            dialect=target.dialect.name,
            method=asked.method,
            path=path + (f"?{asked.query}" if asked.query else ""),
            headers=asked.headers,
            body=asked.body,
            model=target.model or as_text(parsed_object(asked.body).get("model")),
            began_at=self._simulation.clock.now(),
        )
        self._simulation.log.add(request)
        return request


class _Exchange:
    """One request of a known kind and its answer."""

    def __init__(
        self, simulation: Simulation, target: Target, request: ReceivedRequest, asked: Asked, wire: Wire
    ) -> None:
        self._simulation = simulation
        self._addressed = Addressed(asked.headers, target.model, target.streams)
        self._asked = asked
        self._dialect = target.dialect
        self._provider: Provider = simulation.provider(target.provider)
        self._request = request
        self._body = request.json
        self._wire = wire
        wire.progressed = self._note_progress
        request.fault = self._provider.faults.take(target.operation, target.dialect.name, request.model)
        self._delivery = Delivery(wire, target.dialect, simulation, request.fault, request.id)

    async def answer(self) -> None:
        """Answer, noting on the record what was sent."""
        try:
            await self._answered()
        except VendorError as error:
            await self._delivery.error(error)

    def _note_progress(self) -> None:
        self._request.status, self._request.bytes_sent = self._wire.status, self._wire.bytes_sent
        if self._wire.complete or self._wire.broken_off:
            outcome = Outcome.COMPLETED if self._wire.complete else Outcome.BROKEN_OFF
            self._request.end(outcome, self._simulation.clock.now())

    async def _answered(self) -> None:
        await self._delivery.before_head()
        self._dialect.admit(self._asked, self._account())
        if self._request.operation is Operation.MODELS:
            created = int(self._simulation.clock.now().timestamp())
            await self._delivery.value(self._dialect.model_list(MODELS, created))
            return
        if self._request.operation is Operation.CREDENTIAL and isinstance(self._dialect, Issues):
            issued = self._dialect.issue(self._asked, self._account(), self._simulation.new_stem())
            self._provider.tokens[issued.token] = issued.ends
            await self._delivery.value(issued.body)
            return
        if not self._body:
            raise VendorError(400, "The request body is not a JSON object.")
        self._dialect.check(self._request.operation, self._addressed, self._body)
        if self._request.operation is Operation.EMBEDDINGS and isinstance(self._dialect, Embeds):
            await self._delivery.value(self._dialect.embeddings(self._request.model, self._body))
            return
        conversation = self._dialect.read(self._body, self._addressed)
        if self._request.operation is Operation.COUNT_TOKENS:
            await self._delivery.value(self._dialect.token_count(prompt_tokens(conversation.prompt)))
        elif conversation.streams:
            await self._delivery.stream(self._reply(conversation))
        else:
            await self._delivery.whole(self._reply(conversation))

    def _reply(self, conversation: Conversation) -> Reply:
        answer = answer_to(conversation, self._simulation.scripts_for(self._provider.name))
        if answer.demand_key is not None:
            self._dialect.admit(self._asked, replace(self._account(), key=answer.demand_key))
        self._request.step = answer.step
        prompt = self._dialect.count_prompt(self._provider.cache, conversation)
        return Reply(
            stem=self._simulation.new_stem(),
            created=int(self._request.began_at.timestamp()),
            request=self._body,
            conversation=conversation,
            answer=answer,
            usage=usage_of(answer, prompt),
        )

    def _account(self) -> Account:
        return Account(self._simulation.clock.now(), self._provider.key, self._provider.tokens)


async def _whole_body(receive: Receive) -> bytes | None:
    """The body; None if the client went away before its end."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _unless_closed(answering: Awaitable[None], wire: Wire) -> Outcome:
    """Answer, and stop at once when the client goes away."""

    async def until_broken_off() -> None:
        with suppress(BrokenOff):
            await answering

    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(until_broken_off())
        gone = tasks.create_task(wire.closed())
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if wire.broken_off:
            # Uvicorn takes a return before it knows of the end as an application's mistake.
            await gone
            return Outcome.BROKEN_OFF
        if answer.done():
            gone.cancel()
            return Outcome.COMPLETED if wire.complete else Outcome.CLIENT_CLOSED
        answer.cancel()
        return Outcome.CLIENT_CLOSED

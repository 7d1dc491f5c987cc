"""Takes the gateway's journal in: usage, ledger and event log, in one transaction and exactly once.

What a session used and what it cost is known from here and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.dataplanes.journal import JournalBatch, JournalReceipt, ModelCall
from airside.dataplanes.outcome import Outcome
from airside.errors import BadInput
from airside.events import JsonObject, JsonValue
from airside.ids import GatewayId, Ids, SessionId
from airside.sessions.log import EventLog
from airside.sessions.model_calls import newest_position
from airside.spending.ledger import Ledger, advance_journal, journal_through, live_gateways, note_gateway
from airside.storage.tables import model_calls, sessions

logger = structlog.get_logger()


class JournalIntake:
    """Stores journal batches. Needs a write transaction."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._log = EventLog(clock, ids)
        self._ledger = Ledger(clock)

    async def take(self, connection: AsyncConnection, batch: JournalBatch) -> JournalReceipt:
        """Store what is new of a batch. Records seen before are passed over.

        Raises `BadInput` if records are missing between what is stored and what is sent: the gateway must send them
        first, or its journal was lost.
        """
        gateway_id = GatewayId(batch.gateway_id)
        await note_gateway(connection, self._clock, gateway_id)
        through = await journal_through(connection, gateway_id)
        position = await newest_position(connection)
        for record in sorted(batch.records, key=lambda record: record.sequence):
            if record.sequence <= through:
                continue
            if record.sequence != through + 1:
                raise BadInput(
                    f"gateway {gateway_id} sent record {record.sequence}, but {through + 1} comes next",
                    code="journal_gap",
                )
            position += 1
            await self._store(connection, gateway_id, record, position)
            through = record.sequence
        await advance_journal(connection, gateway_id, through)
        return JournalReceipt(acknowledged=through, gateways=await live_gateways(connection, self._clock))

    async def _store(
        self, connection: AsyncConnection, gateway_id: GatewayId, record: ModelCall, position: int
    ) -> None:
        row = {**_row(gateway_id, record), "position": position}
        await connection.execute(insert(model_calls).values(**row))
        for charge in record.charges:
            await self._ledger.settle(connection, gateway_id, charge.scope, charge.window_start, charge.nanousd)
        if record.session_id is not None and await self._is_known(connection, record.session_id):
            await self._log_call(connection, SessionId(record.session_id), record)

    async def _is_known(self, connection: AsyncConnection, session_id: str) -> bool:
        query = select(sessions.c.id).where(sessions.c.id == session_id)
        return (await connection.execute(query)).first() is not None

    async def _log_call(self, connection: AsyncConnection, session_id: SessionId, record: ModelCall) -> None:
        start = await self._log.append(
            connection, session_id, "span.model_request_start", {"model": record.model}, at=record.at
        )
        await self._log.append(connection, session_id, "span.model_request_end", _end_payload(start.event_id, record))


def fell_back(record: ModelCall) -> bool:
    """True if a target was asked and failed, and another one answered."""
    failed = any(attempt.outcome == "failed" for attempt in record.attempts)
    return failed and record.outcome in {Outcome.COMPLETED, Outcome.CUT, Outcome.CANCELLED}


def _row(gateway_id: GatewayId, record: ModelCall) -> dict[str, object]:
    same = ("sequence", "call_id", "at", "project", "session_id", "agent_id", "agent_name", "model", "provider")
    more = ("provider_model", "front_door", "outcome", "cost_nanousd")
    return {
        "gateway_id": gateway_id,
        **{name: getattr(record, name) for name in (*same, *more)},
        **record.usage.model_dump(),
        "fell_back": fell_back(record),
        "record": record.model_dump(mode="json"),
    }


def _end_payload(start_id: str, record: ModelCall) -> JsonObject:
    usage = record.usage
    attempts: Sequence[JsonValue] = [attempt.model_dump(mode="json", exclude_none=True) for attempt in record.attempts]
    return {
        "model_request_start_id": start_id,
        "is_error": record.outcome is not Outcome.COMPLETED,
        "model_usage": {
            "input_tokens": usage.input_uncached,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "output_tokens": usage.output,
        },
        "call_id": record.call_id,
        "model": record.model,
        "provider": record.provider,
        "provider_model": record.provider_model,
        "outcome": record.outcome,
        "status": record.status,
        "cost_nanousd": record.cost_nanousd,
        "attempts": attempts,
        "translation": record.translation.model_dump(mode="json") if record.translation else None,
        "gateway_us": record.timings.gateway_us,
        "total_us": record.timings.total_us,
    }

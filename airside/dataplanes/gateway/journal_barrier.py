"""Waits until the control plane knows of every call the gateway has finished."""

from __future__ import annotations

import httpx2
import structlog

logger = structlog.get_logger()

_WAIT_S = 3.0


class GatewayJournal:
    """Asks one gateway to deliver its journal."""

    def __init__(self, client: httpx2.AsyncClient, gateway_url: str, join_token: str) -> None:
        self._client = client
        self._url = f"{gateway_url}/internal/v1/journal/flush"
        self._headers = {"authorization": f"Bearer {join_token}"}

    async def flush(self) -> bool:
        """True once everything so far is stored; False if that takes too long or the gateway is away.

        Nothing is lost then: the records come when they can, and the sums are right as soon as they have.
        """
        try:
            answer = await self._client.post(
                self._url, headers=self._headers, json={"timeout_ms": int(_WAIT_S * 1000)}, timeout=_WAIT_S + 1
            )
            return answer.is_success and bool(answer.json().get("flushed"))
        except (httpx2.HTTPError, ValueError) as error:
            logger.warning("gateway did not deliver its journal in time", error=str(error))
            return False

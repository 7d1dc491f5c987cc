"""Says what would become of a call, without making it: by a gateway that is up, else by the configuration alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog

from airside.clock import Clock
from airside.dataplanes.feed import SnapshotFeed
from airside.errors import BadInput, Unavailable

logger = structlog.get_logger()

_WAIT_S = 3.0


class GatewayRoutes:
    """Explains routes as the gateways follow them."""

    def __init__(self, client: httpx2.AsyncClient, feed: SnapshotFeed, clock: Clock, join_token: str) -> None:
        self._client = client
        self._feed = feed
        self._clock = clock
        self._headers = {"authorization": f"Bearer {join_token}"}

    async def explain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The explanation of an imagined call, with `source`: `gateway`, or `configuration` where none could be asked
        and so nothing is known of the health of providers.

        Raises `BadInput` when the request makes no sense.
        """
        for url in self._feed.gateways():
            explained = await self._asked(url, request)
            if explained is not None:
                return {**explained, "source": "gateway"}
        return {**self._by_configuration(request), "source": "configuration"}

    async def _asked(self, url: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            answer = await self._client.post(
                f"{url}/internal/v1/routes/explain", headers=self._headers, json=request, timeout=_WAIT_S
            )
            said = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            logger.warning("gateway did not explain a route", error=str(error))
            return None
        if answer.status_code == 400:
            raise BadInput(str(said["error"]["message"]), code="not_imaginable")
        return said if answer.is_success and isinstance(said, dict) else None

    def _by_configuration(self, request: Mapping[str, Any]) -> dict[str, Any]:
        # Imported here: only who explains without a gateway needs the gateway's code in this process.
        import airside_gateway

        snapshot = self._feed.current
        if snapshot is None:
            raise Unavailable("no snapshot has been compiled yet", code="no_snapshot")
        try:
            explained = airside_gateway.explain_route(
                snapshot.model_dump_json(), json.dumps(request), int(self._clock.now().timestamp())
            )
        except ValueError as error:
            raise BadInput(str(error), code="not_imaginable") from error
        said: dict[str, Any] = json.loads(explained)
        return said

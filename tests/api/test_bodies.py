"""Bodies of calls over HTTP: asked for in the file, shown while they are kept, gone when their time is over."""

from __future__ import annotations

import base64
import gzip
from datetime import timedelta

from conftest import CONFIG
from sqlalchemy import func, select, update
from test_api_resources import snapshot
from test_model_calls import project_of, record

from airside.storage.tables import call_bodies


async def deliver(control, call_id: str, request: bytes, answer: bytes, **fields: object) -> int:
    packed = {"request": base64.b64encode(gzip.compress(request)), "answer": base64.b64encode(gzip.compress(answer))}
    body = {
        "call_id": call_id,
        "project": await project_of(control),
        "retention_days": 7,
        "mode": "redacted",
        "request_bytes": 3,
        "answer_bytes": 4,
        "redactions": 1,
        **{f"{name}_gzip": text.decode() for name, text in packed.items()},
        **fields,
    }
    sent = await control.client.post(
        "/internal/v1/bodies",
        json={"gateway_id": "gw_1", "bodies": [body]},
        headers={"authorization": f"Bearer {control.services.gateway_token}"},
    )
    return sent.status_code


async def test_bodies_are_shown_apart_from_the_record(control) -> None:
    await record(control, 1, 2)
    assert await deliver(control, "call_gw_1_1", '{"a": "ä"}'.encode(), b"\xff") == 204
    assert await deliver(control, "call_gw_1_1", b"another", b"later") == 204, "the first stays"
    shown = (await control.client.get("/v1/model_calls/call_gw_1_1/bodies")).json()
    assert (shown["request"], shown["answer"]) == ('{"a": "ä"}', "�")
    assert (shown["mode"], shown["redactions"], shown["request_bytes"]) == ("redacted", 1, 3)
    assert "request" not in (await control.client.get("/v1/model_calls/call_gw_1_1")).json()
    missing = await control.client.get("/v1/model_calls/call_gw_1_2/bodies")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_bodies")


async def test_bodies_of_another_project_are_nobodys_business(control) -> None:
    await record(control, 1)
    assert await deliver(control, "call_gw_1_1", b"{}", b"{}", project="proj_other") == 204
    assert (await control.client.get("/v1/model_calls/call_gw_1_1/bodies")).status_code == 404


async def test_bodies_go_when_their_time_is_over(control) -> None:
    services = control.services
    await record(control, 1, 2)
    for call_id in ("call_gw_1_1", "call_gw_1_2"):
        await deliver(control, call_id, b"{}", b"{}")
    async with services.database.write() as connection:
        over = services.clock.now() - timedelta(seconds=1)
        first = update(call_bodies).where(call_bodies.c.call_id == "call_gw_1_1")
        await connection.execute(first.values(expires_at=over))
    assert (await control.client.get("/v1/model_calls/call_gw_1_1/bodies")).status_code == 404
    async with services.database.write() as connection:
        assert await services.bodies.sweep(connection) == 1
        left = (await connection.execute(select(func.count()).select_from(call_bodies))).scalar_one()
    assert left == 1
    assert (await control.client.get("/v1/model_calls/call_gw_1_2/bodies")).status_code == 200


async def test_what_the_file_says_of_recording_reaches_gateways_and_is_exported(control) -> None:
    (await control.apply(CONFIG)).raise_for_status()
    assert (await snapshot(control))["recordings"] == []
    wanted = "recording: {bodies: redacted, retention_days: 7, emails: true, patterns: ['ORD-[0-9]+']}\n"
    (await control.apply(CONFIG + wanted)).raise_for_status()
    (found,) = (await snapshot(control))["recordings"]
    assert (found["bodies"], found["retention_days"], found["patterns"]) == ("redacted", 7, ["ORD-[0-9]+"])
    exported = (await control.client.get("/v1/config")).json()["source"]
    assert "retention_days: 7" in exported
    bad = await control.apply(CONFIG + "recording: {bodies: redacted, patterns: ['(?=x)']}\n")
    assert bad.status_code == 400
    assert "look-around" in bad.text
    assert "recording" in bad.text

"""Routes over HTTP: listed as written, and explained without a call."""

from __future__ import annotations

from conftest import CONFIG

ROUTES = CONFIG.replace(
    "  coder: north/claude-sonnet-4-5\n",
    """\
  coder:
    route:
      - when: request.task == "background" && agent.name == "fixer"
        to: [north/claude-haiku-4-5]
      - to: [north/claude-sonnet-4-5, south/gpt-5.2]
        shadow: {target: south/gpt-5.2, percent: 5}
""",
)


async def test_routes_are_listed_as_they_were_written(control) -> None:
    (await control.apply(ROUTES)).raise_for_status()
    listed = (await control.client.get("/v1/routes")).json()["data"]
    assert [route["model"] for route in listed] == ["coder", "thinker"]
    route = (await control.client.get("/v1/routes/coder")).json()
    assert route["steps"][1]["to"] == ["north/claude-sonnet-4-5", "south/gpt-5.2"]
    assert route["steps"][1]["shadow"] == {"target": "south/gpt-5.2", "percent": 5.0}
    assert (await control.client.get("/v1/routes/nobody")).status_code == 404
    exported = (await control.client.get("/v1/config")).json()["source"]
    again = await control.client.post("/v1/config/plan", json={"source": exported, "filename": "airside.yaml"})
    assert again.json()["changes"] == []


async def test_a_call_is_explained_by_the_configuration_where_no_gateway_is_up(control) -> None:
    (await control.apply(ROUTES)).raise_for_status()
    asked = {"model": "coder", "task": "background", "agent": "fixer", "input_tokens": 2000}
    told = (await control.client.post("/v1/routes/explain", json=asked)).json()
    assert (told["step"], told["source"], told["health"]) == (0, "configuration", None)
    assert told["steps"][1]["holds"] is None
    body = {"model": "coder", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    told = (await control.client.post("/v1/routes/explain", json={"body": body})).json()
    assert (told["step"], told["steps"][0]["holds"]) == (1, False)
    first, second = told["candidates"]
    assert (first["model"], first["translated"], second["translated"]) == ("claude-sonnet-4-5", False, True)
    assert second["losses"] is not None
    assert 0 < first["expected_nanousd"] <= first["bound_nanousd"]


async def test_what_cannot_be_explained_is_said(control) -> None:
    (await control.apply(ROUTES)).raise_for_status()
    for asked, status, words in (
        ({"model": "nobody"}, 400, "no model 'nobody'"),
        ({"model": "coder", "task": "fun"}, 400, "known are main"),
        ({"model": "coder", "agent": "ghost"}, 404, "agents known here: fixer"),
        ({"model": "coder", "colour": 1}, 400, "colour"),
    ):
        answer = await control.client.post("/v1/routes/explain", json=asked)
        assert answer.status_code == status, answer.text
        assert words in answer.json()["error"]["message"]


async def test_a_plan_warns_of_calls_that_no_step_is_for(control) -> None:
    source = CONFIG.replace("coder: north/claude-sonnet-4-5", "coder: {route: [{when: request.stream, to: north/x}]}")
    planned = await control.client.post("/v1/config/plan", json={"source": source, "filename": "airside.yaml"})
    assert any("model 'coder': the last step of its route has a condition" in one for one in planned.json()["warnings"])

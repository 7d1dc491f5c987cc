"""`airside run`: start a session, show what it does, and say what came of it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from airside.cli.amounts import cents_in
from airside.cli.failures import FAILED, reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import dollars, show, show_json, usd
from airside.cli.target import Api, connected
from airside.cli.transcript import Follower
from airside.errors import BadInput, Unavailable

_BUDGET_HINT = "Write --budget-usd 2.50, for example."
_AT_A_BUDGET = """A budget is spent, and the session waits.
  hint: `airside budgets list` shows which; raise it with `airside budgets set SCOPE USD`, then go on with
        `airside sessions resume {session_id} --wait`. What --budget-usd gave stays: begin anew for more."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run."""

    agent: str
    prompt: str
    repository: str | None = None
    branch: str | None = None
    title: str | None = None
    budget_cents: int | None = None
    user: str | None = None
    team: str | None = None


def run(
    agent: Annotated[str, typer.Argument(help="Name or id of the agent.")],
    prompt: Annotated[str, typer.Argument(help="What it should do.")],
    repository: Annotated[
        str | None, typer.Option(help="Git repository to work on: a path or a URL. Its committed state is cloned.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Branch to begin from.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the session.")] = None,
    budget_usd: Annotated[str | None, typer.Option(help="Hard cap on what the session may spend, in dollars.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose budgets and rate limits its calls count against.")] = None,
    team: Annotated[str | None, typer.Option(help="The same for a team.")] = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run AGENT on PROMPT: stream the transcript, wait until it is idle, print the result."""
    with reported(as_json=as_json):
        refuse_emptiness(prompt)
        cap = cents_in(budget_usd, _BUDGET_HINT) if budget_usd else None
        request = RunRequest(agent, prompt, _absolute(repository), branch, title, cap, user, team)
        with connected(data) as api:
            result = run_session(api, request, quiet=as_json)
    if as_json:
        show_json_result(result)
    else:
        show_result(result)
    if result["stop_reason"] != "end_turn":
        raise SystemExit(FAILED)


def refuse_emptiness(prompt: str) -> None:
    """Raise `BadInput` for a prompt that says nothing."""
    if not prompt.strip():
        raise BadInput("the prompt is empty", hint="Say what the agent should do, such as 'Mend the failing test'.")


def run_session(api: Api, request: RunRequest, *, quiet: bool) -> dict[str, Any]:
    """Start a session, follow it to rest, and return what `airside run --json` prints."""
    began = time.monotonic()
    session = api.post("/v1/sessions", _body(request))
    return follow_to_rest(api, session["id"], began, quiet=quiet)


def _body(request: RunRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "agent": request.agent,
        "title": request.title or request.prompt.strip().splitlines()[0][:80],
        "initial_events": [{"type": "user.message", "content": [{"type": "text", "text": request.prompt}]}],
    }
    if request.repository:
        resource: dict[str, Any] = {"type": "git_repository", "url": request.repository}
        if request.branch:
            resource["checkout"] = {"type": "branch", "name": request.branch}
        body["resources"] = [resource]
    body |= {name: value for name, value in (("user", request.user), ("team", request.team)) if value}
    if request.budget_cents is not None:
        body["budget"] = {"max_list_cost": {"amount": str(request.budget_cents), "currency": "USD"}}
    return body


def follow_to_rest(api: Api, session_id: str, began: float, *, quiet: bool, after: int = 0) -> dict[str, Any]:
    """Follow a session until it rests, and return what came of it since `began`, on the monotonic clock.

    Raises `Unavailable`, with how to find the session again, if the server goes away meanwhile.
    """
    follower = Follower(api, session_id, quiet=quiet)
    try:
        follower.follow(after)
        return _summary(api, session_id, follower, round((time.monotonic() - began) * 1000))
    except Unavailable as away:
        raise Unavailable(
            f"session {session_id} is out of sight: {away.message}",
            code=away.code,
            hint=f"Once the server is up again: airside sessions events {session_id} --follow",
        ) from away


def _summary(api: Api, session_id: str, follower: Follower, duration_ms: int) -> dict[str, Any]:
    """What came of a session: its end, usage and patch."""
    session = api.get(f"/v1/sessions/{session_id}")
    usage = session["usage"]
    return {
        "session_id": session_id,
        "status": session["status"],
        "stop_reason": follower.stop_reason,
        "text": follower.text,
        "model_calls": usage["model_calls"],
        "tool_calls": follower.tool_calls,
        "cost_usd": usd(usage["cost_nanousd"]),
        "usage": {
            "input_tokens": usage["input_tokens"],
            "cache_read_input_tokens": usage["cache_read_input_tokens"],
            "cache_creation_input_tokens": sum(usage["cache_creation"].values()),
            "output_tokens": usage["output_tokens"],
            "fallbacks": usage["fallbacks"],
        },
        "duration_ms": duration_ms,
        "patch": patch_of(api, session_id),
    }


def patch_of(api: Api, session_id: str) -> str:
    """Everything a session has changed so far, as a patch; empty if nothing."""
    artifacts = api.get(f"/v1/sessions/{session_id}/artifacts")["data"]
    patches = [one for one in artifacts if one["kind"] == "patch"]
    if not patches:
        return ""
    content = api.download(f"/v1/sessions/{session_id}/artifacts/{patches[-1]['id']}/content")
    return content.decode(errors="replace")


def show_result(result: dict[str, Any]) -> None:
    """The summary for people."""
    usage = result["usage"]
    fallbacks = f", {usage['fallbacks']} fallback(s)" if usage["fallbacks"] else ""
    show("")
    show(
        f"{result['session_id']}: {result['stop_reason']} after {result['duration_ms'] / 1000:.1f} s; "
        f"{result['model_calls']} model call(s){fallbacks}, {result['tool_calls']} tool call(s), "
        f"{dollars(round(result['cost_usd'] * 1_000_000_000))}",
        "bold",
    )
    if result["patch"]:
        show(result["patch"].rstrip(), "green")
    if result["stop_reason"] == "budget_reached":
        show(_AT_A_BUDGET.format(session_id=result["session_id"]), "yellow")


def show_json_result(result: dict[str, Any]) -> None:
    """The result for programs, and on the standard error what next for who runs them."""
    show_json(result)
    if result["stop_reason"] == "budget_reached":
        print(_AT_A_BUDGET.format(session_id=result["session_id"]), file=sys.stderr)


def _absolute(repository: str | None) -> str | None:
    """A path as the server needs it; a URL as it is."""
    if repository is None or "://" in repository:
        return repository
    path = Path(repository).expanduser()
    if path.exists():
        _refuse_plain_folder(path.resolve())
        return str(path.resolve())
    if ":" in repository:  # user@host:path
        return repository
    raise BadInput(f"there is no repository at {repository}", hint="Give the path of a git repository, or a URL.")


def _refuse_plain_folder(path: Path) -> None:
    """Raise `BadInput` for a folder that git cannot clone."""
    is_bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if not path.is_dir() or (path / ".git").exists() or is_bare:
        return
    around = next((parent for parent in path.parents if (parent / ".git").exists()), None)
    hint = f"Its repository is {around}." if around else "Make it one with `git init` and a first commit."
    raise BadInput(f"{path} is no git repository", hint=f"{hint} Or give the path or the URL of another.")

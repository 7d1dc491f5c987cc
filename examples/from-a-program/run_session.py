"""Drives one session with the official `anthropic` SDK and prints what happens.

    airside up --simulated
    python examples/from-a-program/run_session.py --url http://127.0.0.1:7700 --token "$(cat ~/.airside/admin-token)"

Nothing here is of Airside's own making but `harness` in `extra_body`.
"""

from __future__ import annotations

import argparse

import anthropic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:7700", help="where the control plane listens")
    parser.add_argument("--token", required=True, help="a key of it; `airside up` prints one")
    parser.add_argument("--harness", default="scripted", help="claude-code, codex, opencode or scripted")
    parser.add_argument("--model", default="coder", help="an alias that the server knows")
    chosen = parser.parse_args()

    client = anthropic.Anthropic(base_url=chosen.url, api_key=chosen.token)
    agent = client.beta.agents.create(name="from-a-program", model=chosen.model, extra_body={"harness": chosen.harness})
    environment = client.beta.environments.create(name="from-a-program", config={"type": "cloud"})
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    client.beta.sessions.events.send(
        session.id,
        events=[
            {"type": "user.message", "content": [{"type": "text", "text": "Say in one sentence what you can do."}]}
        ],
    )
    for event in client.beta.sessions.events.stream(session.id):
        print(event.type)
        if event.type == "agent.message":
            print("   ", "".join(block.text for block in event.content if block.type == "text"))
        if event.type == "session.status_idle":
            break


if __name__ == "__main__":
    main()

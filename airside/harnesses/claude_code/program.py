"""Which Claude Code is run, and where it comes from."""

from __future__ import annotations

from airside.harnesses.installation.programs import NpmPackage, Pin, Program, PypiWheel

_PINNED = "2.1.330"

PROGRAM = Program(
    name="claude-code",
    pinned=_PINNED,
    # Before 2.1.163 a link between worktrees led out of the folder that Claude Code was confined to; before 2.1.295 a
    # hook could not be made to fail closed.
    floor="2.1.295",
    sources=(
        # The SDK's wheel carries the command line program; its own version is another one.
        PypiWheel(
            package="claude-agent-sdk",
            executable="claude_agent_sdk/_bundled/claude",
            pins={
                _PINNED: Pin(
                    version="0.2.187",
                    digests=(
                        "sha256:3f9f9de8676779af46a0ae49a9dafb9934ea8bd9526a0cd60cc86cde787eee41",
                        "sha256:40558f133cb57286989521d6b4e89afb1fb9a853268d009716d35d7a9580ae21",
                        "sha256:53e570a9b20849778cd5a8b8f53ca4881609e25e05a680da00bbc8eaf7e3ae55",
                        "sha256:693132296d1ffca857b5d393e449fd138a89bd08024d9a3e519615ba4040d9c3",
                        "sha256:83e3a0471f116e08f31dd2c60d5002ff3ea34943fb4cd72a0f57147d93cb97c2",
                        "sha256:dbae79ea1fc4d1ff83f7f5c9bd13ed4674b26ec60aa6ddb2bfc215887425a739",
                    ),
                )
            },
        ),
        NpmPackage(
            packages={
                "x86_64": "@anthropic-ai/claude-code-linux-x64",
                "aarch64": "@anthropic-ai/claude-code-linux-arm64",
            },
            executable="package/claude",
        ),
    ),
)

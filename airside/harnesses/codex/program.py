"""Which Codex is run, and where it comes from."""

from __future__ import annotations

from airside.harnesses.installation.programs import Pin, Program, PypiWheel

_PINNED = "0.163.0"

PROGRAM = Program(
    name="codex",
    pinned=_PINNED,
    # The oldest that was tried with these settings; before 0.23 a repository's `.env` could move CODEX_HOME.
    floor="0.163.0",
    sources=(
        PypiWheel(
            package="openai-codex-cli-bin",
            executable="codex_cli_bin/bin/codex",
            pins={
                _PINNED: Pin(
                    version=_PINNED,
                    digests=(
                        "sha256:0e2984865a16661eddf431ff26d5effd24fa00175b9e8b7a7e2c889276707cca",
                        "sha256:64c7d113e1bf6cefa87159c1d21115654a716e1b505295d8520aa91e399ad115",
                        "sha256:64eca5277cf5158e43f78a231e51d7650d42071d5555b86de29cfffc86b700e1",
                        "sha256:6b4a9e614e30442f9c2b804604b7fba12f218627f709fe5ba1960c01dac15ca1",
                        "sha256:76db41fb07fdf9ddacbe892b48d21dfde270031ec0f5666b5e558114355f006d",
                        "sha256:b759f212cc0deec6da9f297800797232c73d3f0d963842deaa02df965ee0b8b6",
                        "sha256:bb2b0d117eeb02608738cf2bcdf51f6a036343d0028272e11a94e72b0d23b141",
                        "sha256:dd0e6570930167f0e15ec94c5fb494a4a5a9dceb0a97113176c7b47c826cda05",
                    ),
                )
            },
        ),
    ),
)

"""Failures on the command line: a sentence with the next step, or one line of JSON, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airside.errors import AirsideError, BadInput

FAILED = 1
BAD_USAGE = 2


def exit_code_of(error: AirsideError) -> int:
    """2 for what the caller can mend in what they wrote, 1 for the rest."""
    return BAD_USAGE if isinstance(error, BadInput) else FAILED


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Report a planned failure of the block and exit with its code."""
    try:
        yield
    except AirsideError as error:
        report(error, as_json=as_json)
        raise SystemExit(exit_code_of(error)) from error


def report(error: AirsideError, *, as_json: bool) -> None:
    """Print an error: for people on the standard error, for programs as one line on the standard output."""
    if as_json:
        detail = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "bad_input": isinstance(error, BadInput),
        }
        print(json.dumps({"error": detail}))
    else:
        print(f"error: {error}", file=sys.stderr)

"""Every error this product raises on purpose, as one small tree.

    AirsideError
    |-- BadInput            the caller can mend it: 400, exit 2
    |   `-- BadConfig       a configuration file, with file and line
    |-- Unauthenticated     no key, or one nobody issued: 401
    |-- Refused             known, but not allowed: 403
    |-- NotFound            404
    |-- Conflict            the state forbids it now: 409
    |-- TooLarge            413
    `-- Unavailable         a part that is needed is away: 503, exit 1

Each carries a stable `code` for programs, a sentence with the values in it for people, and, where there is one, a
`hint` that names the next step. Mapping to HTTP happens in `airside.api.errors` only, to exit codes in
`airside.cli.failures` only.
"""

from __future__ import annotations


class AirsideError(Exception):
    """The root: a failure somebody planned for."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message}\n  hint: " + self.hint.replace("\n", "\n        ")


class BadInput(AirsideError):
    """What was asked for makes no sense as written."""

    code = "bad_input"


class BadConfig(BadInput):
    """A configuration file that cannot be used; one `ConfigProblem` a line, each with its place."""

    code = "bad_config"


class Unauthenticated(AirsideError):
    """Nobody we know: the key is missing, malformed, expired or revoked."""

    code = "unauthenticated"


class Refused(AirsideError):
    """Known, but this is not theirs to do."""

    code = "refused"


class NotFound(AirsideError):
    """No such thing, or none that the caller may see."""

    code = "not_found"


class Conflict(AirsideError):
    """The thing exists, in a state that forbids this."""

    code = "conflict"


class TooLarge(AirsideError):
    """More bytes than the limit allows."""

    code = "too_large"


class Unavailable(AirsideError):
    """A part that this needs is away, full or not yet ready; trying later can help."""

    code = "unavailable"

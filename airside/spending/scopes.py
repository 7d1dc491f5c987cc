"""Scopes: whose spending or calls a limit counts together, as people write them and as the planes spell them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

ANY = "*"


class ScopeKind(StrEnum):
    """What a limit is on."""

    PROJECT = "project"
    TEAM = "team"
    USER = "user"
    AGENT = "agent"
    DEPLOYMENT = "deployment"
    SESSION = "session"
    MODEL = "model"
    PROVIDER = "provider"


_ALONE = {ScopeKind.PROJECT, ScopeKind.SESSION}
_NAMED = "|".join(kind for kind in ScopeKind if kind not in _ALONE)
_PATTERN = rf"^(project|session|({_NAMED}):[^/\s]{{1,100}})$"


def _checked(scope: str) -> str:
    if not re.fullmatch(_PATTERN, scope):
        raise ValueError(f"{scope!r} is no scope: write project, session, or one of {_NAMED} with a name: agent:NAME")
    return scope


Scope = Annotated[
    str,
    AfterValidator(_checked),
    Field(
        # Said in the schemas; judged by `_checked`, in words for people.
        json_schema_extra={"pattern": _PATTERN},
        description="`project`, `session` (each by itself), or `team:NAME`, `user:NAME`, `agent:NAME`, "
        "`deployment:NAME`, `model:ALIAS`, `provider:NAME`; `user:*` and the like for each by itself.",
    ),
]


def split_scope(scope: str) -> tuple[ScopeKind, str | None]:
    """The kind of a scope and what it names; None for `project` and `session`."""
    kind, _, name = scope.partition(":")
    return ScopeKind(kind), name or None


def scope_in_ledger(kind: ScopeKind, scope_id: str, window: str) -> str:
    """As charges, leases and the ledger spell it: kind and id, and the window unless it is the total."""
    return f"{kind}:{scope_id}" if window == "total" else f"{kind}:{scope_id}/{window}"


def parse_ledger_scope(scope: str) -> tuple[ScopeKind, str, str] | None:
    """Kind, id and window of a scope as the ledger spells it; None for anything else."""
    found = re.fullmatch(r"([a-z]+):([^/]+)(?:/([a-z]+))?", scope)
    if found is None or found[1] not in set(ScopeKind):
        return None
    return ScopeKind(found[1]), found[2], found[3] or "total"

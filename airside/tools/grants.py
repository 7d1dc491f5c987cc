"""The capability matrix's words: which tool, and what an agent may do with it."""

from __future__ import annotations

from enum import StrEnum


class BuiltinTool(StrEnum):
    """The tools every coding harness has under some name of its own."""

    READ = "read"
    EDIT = "edit"
    BASH = "bash"
    WEB = "web"


class Permission(StrEnum):
    """One cell of the capability matrix."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


DEFAULT_BUILTIN = {
    BuiltinTool.READ: Permission.ALLOW,
    BuiltinTool.EDIT: Permission.ALLOW,
    BuiltinTool.BASH: Permission.ALLOW,
    BuiltinTool.WEB: Permission.DENY,
}

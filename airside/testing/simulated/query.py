"""One value of a query string."""

from __future__ import annotations

from urllib.parse import parse_qs


def query_value(query: str, name: str) -> str:
    """The first value a query gives a name; empty if none."""
    return parse_qs(query).get(name, [""])[0]

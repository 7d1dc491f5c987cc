"""Users and teams as requests name them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

#: Scopes are written `user:NAME` and `user:NAME/WINDOW`, and `user:*` is all of them.
_PATTERN = r"^[^/\s*]{1,100}$"


def _party(name: str) -> str:
    if not re.fullmatch(_PATTERN, name):
        raise ValueError("a name has 1 to 100 characters and no blank, `/` or `*`, such as `mara`")
    return name


PartyName = Annotated[str, AfterValidator(_party), WithJsonSchema({"type": "string", "pattern": _PATTERN})]

"""Users and teams as requests name them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: Scopes are written `user:NAME` and `user:NAME/WINDOW`, so a name has neither slash nor blank.
PartyName = Annotated[str, Field(pattern=r"^[^/\s*]{1,100}$")]

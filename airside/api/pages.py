"""Pages of lists: an opaque cursor that says behind what the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from airside.errors import BadInput

_Item = TypeVar("_Item")


def encode_cursor(position: str) -> str:
    """A cursor for a position in some list."""
    return base64.urlsafe_b64encode(position.encode()).rstrip(b"=").decode()


def decode_cursor(page: str | None) -> str | None:
    """The position a cursor stands for. Raises `BadInput` for one we did not make."""
    if page is None:
        return None
    try:
        return base64.b64decode(page + "=" * (-len(page) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadInput(f"page {page[:100]!r} is no cursor of this API") from error


def cut_page(
    items: Sequence[_Item], limit: int, position: Callable[[_Item], str]
) -> tuple[Sequence[_Item], str | None]:
    """The first `limit` of the items and, if there are more, the cursor behind them."""
    if len(items) <= limit:
        return items, None
    return items[:limit], encode_cursor(position(items[limit - 1]))

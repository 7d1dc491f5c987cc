"""Amounts of money as people write them on the command line."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from airside.errors import BadInput


def dollars_in(text: str, hint: str) -> Decimal:
    """The amount in dollars. Raises `BadInput` with this hint for what is no amount, or less than nothing."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is no amount in dollars", hint=hint) from error
    if not amount.is_finite():
        raise BadInput(f"{text!r} is no amount in dollars", hint=hint)
    if amount < 0:
        raise BadInput(f"{text!r} is less than nothing", hint=hint)
    return amount


def cents_in(text: str, hint: str) -> int:
    """The amount in cents. Raises `BadInput` also if they are not whole."""
    cents = dollars_in(text, hint) * 100
    if cents != cents.to_integral_value():
        raise BadInput(f"{text!r} is no amount in whole cents", hint=hint)
    return int(cents)

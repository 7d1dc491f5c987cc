"""Vectors for texts: the same for the same text, near to nothing else. Not for anything that has to mean something."""

from __future__ import annotations

import base64
import hashlib
import math
import struct

from airside.events import JsonValue

_BYTES_A_NUMBER = 4


def vector_of(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    drawn = hashlib.shake_128(text.encode()).digest(dimensions * _BYTES_A_NUMBER)
    numbers = [value / 2**31 - 1 for value in struct.unpack(f">{dimensions}I", drawn)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def as_json(vector: list[float]) -> list[JsonValue]:
    """The vector as a body carries it."""
    return [round(number, 8) for number in vector]


def packed(vector: list[float]) -> str:
    """The vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

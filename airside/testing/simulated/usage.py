"""Token counters that look like a vendor's: sizes from text, and a prompt cache that remembers what it has seen.

Deterministic: four bytes a token, and no expiry. Vendors also ask for a minimal length before they cache; leaving
that out lets a short test show every counter.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from airside.events import JsonObject, JsonValue, canonical_json

_BYTES_A_TOKEN = 4
_REMEMBERED_PREFIXES = 200_000
_FRAMING_TOKENS = 3  # what a vendor puts around a prompt; read anew every time, so no request is wholly cached

CacheMark = Literal["5m", "1h"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt that is cached as a whole: one tool, one block of one message."""

    digest: bytes
    tokens: int
    mark: CacheMark | None = None  # Anthropic: the prompt up to here is to be cached


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer consumed. The four input counters are disjoint; `reasoning` is part of `output`."""

    uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def input(self) -> int:
        """All input tokens, cached or not."""
        return self.uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h


def tokens_in(text: str) -> int:
    """How many tokens a text is taken to be: none for an empty one."""
    return -(-len(text.encode()) // _BYTES_A_TOKEN)


def first_tokens(text: str, limit: int) -> str:
    """The beginning of a text that fits into so many tokens."""
    return text.encode()[: max(limit, 0) * _BYTES_A_TOKEN].decode(errors="ignore")


def prompt_tokens(prompt: Sequence[Segment]) -> int:
    """How many tokens a prompt is taken to be, before any cache."""
    return _tokens(prompt) + _FRAMING_TOKENS


def segment(role: str, value: JsonValue, mark: CacheMark | None = None) -> Segment:
    """A piece of a prompt. `cache_control` is left out of its identity: marks move from request to request."""
    if isinstance(value, dict):
        value = {key: inner for key, inner in value.items() if key != "cache_control"}
    spelled = canonical_json(value)
    digest = hashlib.blake2b(role.encode() + b"\0" + spelled, digest_size=16).digest()
    return Segment(digest, -(-len(spelled) // _BYTES_A_TOKEN), mark)


def cache_mark(block: JsonObject) -> CacheMark | None:
    """What an Anthropic block's `cache_control` asks for."""
    control = block.get("cache_control")
    if not isinstance(control, dict):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"


class PromptCache:
    """What one provider has seen of prompts, by model."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def count_marked(self, model: str, prompt: Sequence[Segment]) -> Usage:
        """Input counters where only marked prefixes are cached (Anthropic); remembers the marked prefixes."""
        prefixes = _prefixes(model, prompt)
        last_mark = max((end for end, piece in enumerate(prompt, 1) if piece.mark), default=0)
        last_hour = max((end for end, piece in enumerate(prompt, 1) if piece.mark == "1h"), default=0)
        read = self._longest_seen(prefixes[:last_mark])
        self._remember(prefixes[:last_mark])
        return Usage(
            uncached=prompt_tokens(prompt[last_mark:]),
            cache_read=_tokens(prompt[:read]),
            cache_write_1h=_tokens(prompt[read:last_hour]),
            cache_write_5m=_tokens(prompt[max(read, last_hour) : last_mark]),
        )

    def count_all(self, model: str, prompt: Sequence[Segment]) -> Usage:
        """Input counters where every prefix is cached unasked (OpenAI); remembers them all."""
        prefixes = _prefixes(model, prompt)
        read = self._longest_seen(prefixes)
        self._remember(prefixes)
        return Usage(uncached=prompt_tokens(prompt[read:]), cache_read=_tokens(prompt[:read]))

    def _longest_seen(self, prefixes: Sequence[bytes]) -> int:
        return next((end for end in range(len(prefixes), 0, -1) if prefixes[end - 1] in self._seen), 0)

    def _remember(self, prefixes: Sequence[bytes]) -> None:
        for prefix in prefixes:
            self._seen[prefix] = None
            self._seen.move_to_end(prefix)
        while len(self._seen) > _REMEMBERED_PREFIXES:
            self._seen.popitem(last=False)


def _prefixes(model: str, prompt: Sequence[Segment]) -> list[bytes]:
    """One digest for each way to end the prompt early, shortest first."""
    running = hashlib.blake2b(model.encode(), digest_size=16)
    digests = []
    for piece in prompt:
        running.update(piece.digest)
        digests.append(running.copy().digest())
    return digests


def _tokens(prompt: Sequence[Segment]) -> int:
    return sum(piece.tokens for piece in prompt)

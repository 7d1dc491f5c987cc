"""Airside's own credentials never stand in what is written down; nothing else is touched."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airside.access.keys import new_key
from airside.access.redaction import REDACTED, redacted, redacted_text
from airside.access.tokens import SessionTokenSigner
from airside.events import JsonObject

TOKEN = SessionTokenSigner(Ed25519PrivateKey.generate()).sign(b'{"sid":"sess_1","agent":"fixer"}')


def test_a_token_is_taken_out_whole_cut_and_wherever_it_stands() -> None:
    payload: JsonObject = {
        "content": [{"type": "text", "text": f"TOK={TOKEN}\nrest"}],
        "input": {TOKEN: [TOKEN[:40], 1, None, True]},
    }
    assert redacted(payload) == {
        "content": [{"type": "text", "text": f"TOK={REDACTED}\nrest"}],
        "input": {REDACTED: [REDACTED, 1, None, True]},
    }


def test_a_key_is_taken_out() -> None:
    key = new_key("prod")
    assert redacted_text(f"Bearer {key}.") == f"Bearer {REDACTED}."


@pytest.mark.parametrize("text", ["airs_x", "fair_trade_x", "air_quality_index", "sk-ant-1234", "", "airside"])
def test_other_words_stay(text: str) -> None:
    assert redacted_text(text) == text

"""Records of every release load, and none of what they say is lost."""

from __future__ import annotations

import json
from pathlib import Path

from airside.dataplanes.journal import ModelCall

OLD = json.loads((Path(__file__).parent / "old_records.json").read_text())


def test_records_of_the_first_release_load_for_good() -> None:
    for one in OLD:
        loaded = ModelCall.model_validate(one["record"])
        said = loaded.model_dump(mode="json", exclude_unset=True)
        assert said == one["record"] | {"at": "2026-11-23T17:52:28.123456Z"}
        assert (loaded.task, loaded.shadow, loaded.translation, loaded.timings.queue_us) == (None, False, None, 0)
        assert (loaded.caller.harness, loaded.attempts[0].key_id, loaded.cache_break_nanousd) == (None, None, None)

"""Records of every release load, and none of what they say is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from airside.dataplanes.journal import ModelCall

OLD = json.loads((Path(__file__).parent / "old_records.json").read_text())


def test_records_of_the_first_release_load_for_good() -> None:
    for one in OLD:
        loaded = ModelCall.model_validate(one["record"])
        said = loaded.model_dump(mode="json", exclude_unset=True)
        assert said == one["record"] | {"at": "2026-11-23T17:52:28.123456Z"}
        assert (loaded.task, loaded.shadow, loaded.translation, loaded.timings.queue_us) == (None, False, None, 0)
        assert (loaded.caller.harness, loaded.attempts[0].key_id, loaded.cache_break_nanousd) == (None, None, None)


def field_paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every field of a record, as the documentation spells it."""
    for name, field in model.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        nested = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        is_list = getattr(field.annotation, "__origin__", None) is list
        if nested:
            yield from field_paths(nested[0], f"{above}{name}{'[]' if is_list else ''}.")
        else:
            yield f"{above}{name}"


def test_the_documentation_of_records_has_every_field_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs/records.md").read_text().partition("## Response headers")[0]
    written = re.findall(r"^\| `([a-z_\[\].0-9]+)` \|", text, flags=re.MULTILINE)
    assert sorted(written) == sorted(field_paths(ModelCall))

"""What is checked in under contracts/ is what the code says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("contracts")
    subprocess.run([sys.executable, ROOT / "tools/write-contracts", folder], check=True, capture_output=True, cwd=ROOT)
    return folder


def test_the_checked_in_contracts_are_current(written: Path) -> None:
    for file in sorted(written.iterdir()):
        checked_in = ROOT / "contracts" / file.name
        assert json.loads(checked_in.read_text()) == json.loads(file.read_text()), (
            f"contracts/{file.name} is not what the code says; run `make contracts`"
        )


def test_every_checked_in_schema_is_still_written(written: Path) -> None:
    names = {file.name for file in written.iterdir()}
    assert {file.name for file in (ROOT / "contracts").glob("*.json")} == names

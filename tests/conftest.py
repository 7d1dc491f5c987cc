"""What every test can ask for: a database of its own, a clock that stands still, ids that repeat."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from airside.config.stores import Stores
from airside.ids import Ids
from airside.storage.database import Database, prepare_database
from airside.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids(clock: ManualClock) -> Ids:
    counter = itertools.count(1)
    return Ids(clock, lambda _bits: next(counter))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "control.db"
    prepare_database(path)
    opened = Database(path)
    yield opened
    await opened.close()


@pytest.fixture
def stores(clock: ManualClock, ids: Ids) -> Stores:
    return Stores(clock, ids)

"""Brings an older database to the newest schema. Imported only when there is something to do."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from airside.errors import BadInput
from airside.storage.sqlite import configure_connection, revision_of

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(path: Path, revision: str = "head") -> None:
    """Run every migration that the file lacks up to this one, in one transaction.

    Raises `BadInput` for a schema nobody here knows.
    """
    current = revision_of(path)
    known = {revision.revision for revision in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if current is not None and current not in known:
        raise BadInput(
            f"the database {path} has schema {current}, which this program does not know",
            code="data_directory_newer",
            hint="Install the newer Airside that wrote it, or use another data directory. Nothing was changed.",
        )
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", configure_connection)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()

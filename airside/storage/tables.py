"""Every table of the control plane.

Times are stored in UTC. JSON columns hold what a noun's own package reads and writes whole. Money is in nano-dollars.
A change here needs a migration in `migrations/versions/`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A point in time: UTC with a zone in Python, UTC without one where the database keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _stamps() -> tuple[Column[datetime], Column[datetime]]:
    return Column("created_at", Moment, nullable=False), Column("updated_at", Moment, nullable=False)


def _origin() -> Column[str]:
    """`file` if `apply` made it, so that `apply` may take it away again; `api` otherwise."""
    return Column("origin", String(8), nullable=False)


projects = Table(
    "projects",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("stage", String(16), nullable=False),
    *_stamps(),
)

providers = Table(
    "providers",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("definition", JSON, nullable=False),
    _origin(),
    *_stamps(),
)

models = Table(
    "models",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("definition", JSON, nullable=False),
    _origin(),
    *_stamps(),
)

environments = Table(
    "environments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("archived_at", Moment),
    _origin(),
    *_stamps(),
    Index("ix_environments_project_name", "project_id", "name"),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("archived_at", Moment),
    _origin(),
    *_stamps(),
    Index("ix_agents_project_name", "project_id", "name"),
)

agent_versions = Table(
    "agent_versions",
    metadata,
    Column("agent_id", ForeignKey("agents.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("scope", String(300), nullable=False),
    Column("definition", JSON, nullable=False),
    _origin(),
    *_stamps(),
    UniqueConstraint("project_id", "scope", name="uq_budgets_project_scope"),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    Column("name", String(300), primary_key=True),
    Column("definition", JSON, nullable=False),
    _origin(),
    *_stamps(),
)

settings = Table(
    "settings",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("definition", JSON, nullable=False),
    _origin(),
    *_stamps(),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("agent_id", ForeignKey("agents.id"), nullable=False),
    Column("name", String(200)),
    Column("user", String(100)),
    Column("team", String(100)),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("hint", String(40), nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("created_at", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("agent_id", ForeignKey("agents.id"), nullable=False),
    Column("agent_version", Integer, nullable=False),
    Column("environment_id", ForeignKey("environments.id"), nullable=False),
    Column("title", Text),
    Column("metadata", JSON, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("budget_nanousd", BigInteger),
    Column("user", String(100)),
    Column("team", String(100)),
    Column("state", String(16), nullable=False),
    Column("stop_reason", JSON),
    Column("wanted", String(16)),  # pause, interrupt or stop, until the worker has done it
    Column("native_session_id", String(200)),
    Column("harness_version", String(100)),
    Column("base_commit", String(64)),
    Column("event_count", Integer, nullable=False),
    Column("head_sha256", String(64), nullable=False),
    Column("fencing_token", Integer, nullable=False),
    Column("lease_holder", String(40)),
    Column("lease_expires_at", Float),  # seconds since 1970, compared inside the database
    Column("tokens_expire_at", Moment),
    Column("active_seconds", Float, nullable=False),
    Column("archived_at", Moment),
    *_stamps(),
    Index("ix_sessions_project_created", "project_id", "created_at"),
    Index("ix_sessions_state", "state"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("input_event_id", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),  # harness processes started for it
    Column("sent_at", Moment),  # committed before the harness is given the text, so that it is never given twice
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("end_reason", String(32)),
    Column("detail", Text),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("session_id", "number", name="uq_turns_session_number"),
)

inputs = Table(
    "inputs",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("event_ids", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)

session_events = Table(
    "session_events",
    metadata,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("type", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("fencing_token", Integer, nullable=False),
    Column("previous_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("turn_id", ForeignKey("turns.id")),
    Column("kind", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_artifacts_session", "session_id"),
)

executors = Table(
    "executors",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("expires_at", Float, nullable=False),  # seconds since 1970
    Column("started_at", Moment, nullable=False),
)

gateways = Table(
    "gateways",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("journal_through", BigInteger, nullable=False),
    Column("snapshot_version", BigInteger, nullable=False),
    Column("lease_order", BigInteger, nullable=False, server_default="0"),  # of its newest lease request
)

model_calls = Table(
    "model_calls",
    metadata,
    Column("gateway_id", ForeignKey("gateways.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("call_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("project", String(100), nullable=False),
    Column("session_id", String(40)),
    Column("agent_id", String(40)),
    Column("agent_name", String(200)),
    Column("model", String(200)),
    Column("provider", String(100)),
    Column("provider_model", String(200)),
    Column("front_door", String(32), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("input_uncached", BigInteger, nullable=False),
    Column("cache_read", BigInteger, nullable=False),
    Column("cache_write_5m", BigInteger, nullable=False),
    Column("cache_write_1h", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("cost_nanousd", BigInteger, nullable=False),
    Column("fell_back", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),  # in the order of intake, over all gateways, without gaps
    Column("record", JSON, nullable=False),
    Index("ix_model_calls_session", "session_id", "at"),
    Index("ix_model_calls_agent", "agent_id", "at"),
    Index("ix_model_calls_at", "at"),
    Index("ix_model_calls_position", "position", unique=True),
    Index("ix_model_calls_call_id", "call_id"),
)

call_bodies = Table(
    "call_bodies",
    metadata,
    Column("call_id", String(64), primary_key=True),
    Column("project", String(100), nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("description", JSON, nullable=False),
    Column("request", LargeBinary, nullable=False),  # gzip
    Column("answer", LargeBinary, nullable=False),  # gzip
    Index("ix_call_bodies_expires_at", "expires_at"),
)

budget_ledger = Table(
    "budget_ledger",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("window_start", BigInteger, primary_key=True),
    Column("gateway_id", ForeignKey("gateways.id"), primary_key=True),
    Column("granted_nanousd", BigInteger, nullable=False),
    Column("settled_nanousd", BigInteger, nullable=False),
)

budget_warnings = Table(
    "budget_warnings",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("window_start", BigInteger, primary_key=True),
    Column("spent_nanousd", BigInteger, nullable=False),
    Column("warned_at", Moment, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("compiled_at", Moment, nullable=False),
)

"""Budgets by scope and window, rate limits, whose keys are, and the order of lease requests."""

import json

import sqlalchemy as sa
from alembic import op

from airside.storage import tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("keys", sa.Column("user", sa.String(length=100), nullable=True))
    op.add_column("keys", sa.Column("team", sa.String(length=100), nullable=True))
    op.add_column("gateways", sa.Column("lease_order", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "rate_limits",
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("created_at", tables.Moment(timezone=True), nullable=False),
        sa.Column("updated_at", tables.Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_rate_limits_project_id")),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_rate_limits")),
    )
    op.create_table(
        "budget_warnings",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("spent_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("warned_at", tables.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "window_start", name=op.f("pk_budget_warnings")),
    )
    _name_the_windows()


def _name_the_windows() -> None:
    """A budget used to be known by its scope alone, so it had one window; now the window is part of its name."""
    connection = op.get_bind()
    agents = {
        row.name: row.id for row in connection.execute(sa.text("SELECT id, name FROM agents ORDER BY created_at"))
    }
    for row in connection.execute(sa.text("SELECT id, scope, definition FROM budgets")).all():
        window = json.loads(row.definition).get("window", "total")
        if window == "total":
            continue
        connection.execute(
            sa.text("UPDATE budgets SET scope = :scope WHERE id = :id"),
            {"scope": f"{row.scope}/{window}", "id": row.id},
        )
        agent_id = agents.get(row.scope.removeprefix("agent:"))
        if agent_id is not None:
            connection.execute(
                sa.text("UPDATE budget_ledger SET scope = :now WHERE scope = :before"),
                {"now": f"agent:{agent_id}/{window}", "before": f"agent:{agent_id}"},
            )

"""The order in which records of calls came in, and their bodies."""

import sqlalchemy as sa
from alembic import op

from airside.storage import tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("model_calls", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE model_calls SET position = numbered.position FROM ("
        "SELECT gateway_id, sequence, ROW_NUMBER() OVER (ORDER BY at, gateway_id, sequence) AS position"
        " FROM model_calls) AS numbered"
        " WHERE model_calls.gateway_id = numbered.gateway_id AND model_calls.sequence = numbered.sequence"
    )
    op.create_index("ix_model_calls_position", "model_calls", ["position"], unique=True)
    op.create_index("ix_model_calls_call_id", "model_calls", ["call_id"])
    op.create_table(
        "call_bodies",
        sa.Column("call_id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=100), nullable=False),
        sa.Column("stored_at", tables.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", tables.Moment(timezone=True), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_bodies")),
    )
    op.create_index("ix_call_bodies_expires_at", "call_bodies", ["expires_at"])

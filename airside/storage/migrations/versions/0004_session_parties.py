"""For whom a session works: the user and the team whose budgets and rate limits its calls count against."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("user", sa.String(length=100), nullable=True))
    op.add_column("sessions", sa.Column("team", sa.String(length=100), nullable=True))

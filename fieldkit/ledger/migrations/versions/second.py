"""A tick for events, keys and signatures for heads, a vault for who complained.

The projections are not in here nor in any migration to come: they are made anew from the events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the facts of the first version into the form of the second."""
    tick = sa.Column("tick", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("event", tick)
    op.execute("UPDATE event SET tick = recorded_at")
    op.create_index("ix_event_recorded_at", "event", ["origin", "recorded_at", "sequence"])
    op.add_column("head", sa.Column("tick", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE head SET tick = (SELECT max(tick) FROM event WHERE event.origin = head.origin)")
    op.add_column("head", sa.Column("key", sa.LargeBinary(length=32)))
    op.add_column("head", sa.Column("signature", sa.LargeBinary(length=64)))
    # Sealed, and then thrown away, by whoever holds the keys: fieldkit.ledger.vault.seal_plain.
    op.rename_table("complainant", "complainant_plain")
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_complainant RENAME TO pk_complainant_plain")
    op.create_table(
        "vault",
        sa.Column("public", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("public", name="pk_vault"),
    )
    op.create_table(
        "vault_batch",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_batch"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("mark", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
    )
    op.create_index("ix_person_mark", "person", ["mark"])
    op.create_table(
        "person_key",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("batch_id", sa.String(length=12), nullable=False),
        sa.Column("locked", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person_key"),
    )
    op.create_index("ix_person_key_person_id", "person_key", ["person_id"])
    op.create_table(
        "complainant",
        sa.Column("complaint_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("key_id", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("complaint_id", name="pk_complainant"),
    )
    op.create_index("ix_complainant_person_id", "complainant", ["person_id"])
    op.drop_table("case")
    op.drop_table("complaint")

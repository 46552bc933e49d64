"""The tables of the ledger: the events, the heads of the devices' chains, the vault, and the projections.

Projections (complaint, case) can be thrown away and rebuilt from the events; the vault cannot, and is kept apart.
Times are microseconds since 1970 in UTC, places degrees of WGS-84.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

event = Table(
    "event",
    metadata,
    Column("origin", String(32), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", String(32), nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("actor", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("tick", BigInteger, nullable=False, server_default=text("0")),
    Column("payload", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Index("ix_event_recorded_at", "origin", "recorded_at"),
)

#: True of every event but receipts; the index below is used only where a statement says it in these words.
LATER = text("kind <> 'complaint_received'")
Index("ix_event_later", event.c.kind, event.c.subject, sqlite_where=LATER, postgresql_where=LATER)

# The last event of each device; data_* is the last one that changes what figures are made from, so that writing a
# record does not make the data look changed. The signature is the device's, by the key.
head = Table(
    "head",
    metadata,
    Column("origin", String(32), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("data_sequence", BigInteger, nullable=False),
    Column("data_digest", LargeBinary(32), nullable=False),
    Column("tick", BigInteger, nullable=False, server_default=text("0")),
    Column("key", LargeBinary(32)),
    Column("signature", LargeBinary(64)),
)

# The vault: who complained, sealed. Each person's data are locked with keys of that person's own, each such key with
# the key of the write that made it, and that one is sealed to the vault's public key. A person is forgotten by
# destroying the person's keys.
vault = Table("vault", metadata, Column("public", LargeBinary(32), primary_key=True))
vault_batch = Table(
    "vault_batch",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
person = Table(
    "person",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("mark", LargeBinary(16), index=True),
)
person_key = Table(
    "person_key",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("person_id", String(12), nullable=False, index=True),
    Column("batch_id", String(12), nullable=False),
    Column("locked", LargeBinary, nullable=False),
)
complainant = Table(
    "complainant",
    metadata,
    Column("complaint_id", String(12), primary_key=True),
    Column("person_id", String(12), nullable=False, index=True),
    Column("key_id", String(12), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
#: What is kept apart: all of it together says who complained, none of it without a key of the office.
VAULT = (vault, vault_batch, person, person_key, complainant)


def _complaint_columns() -> tuple[Column[Any], ...]:
    return (
        Column("case_id", String(12), nullable=False, index=True),
        Column("number", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("channel", String(40), nullable=False),
        Column("received_at", BigInteger, nullable=False, index=True),
        Column("precision", String(8), nullable=False),
        Column("occurred_at", BigInteger),
        Column("closed_at", BigInteger),
        Column("category", String(40)),
        Column("subcategory", String(60)),
        Column("categories", Text, nullable=False),
        Column("reported_type", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("translation", Text, nullable=False),
        Column("address", Text, nullable=False),
        Column("district", Text, nullable=False),
        Column("community", Text, nullable=False),
        Column("suspected_source", Text, nullable=False),
        Column("lon", Float(53)),
        Column("lat", Float(53)),
        Column("cell", String(15), nullable=False, index=True),
        Column("place_method", String(12)),
        Column("place_score", Float(53)),
        Column("needs_confirming", Boolean, nullable=False),
        Column("relation", String(12), nullable=False),
        Column("cause", String(32), nullable=False),
    )


def _case_columns() -> tuple[Column[Any], ...]:
    return (
        Column("number", Text, nullable=False, index=True),
        Column("state", String(20), nullable=False),
        Column("category", String(40)),
        Column("district", Text, nullable=False),
        Column("community", Text, nullable=False),
        Column("address", Text, nullable=False),
        Column("suspected_source", Text, nullable=False),
        Column("complaints", Integer, nullable=False),
        Column("first_at", BigInteger),
        Column("last_at", BigInteger, index=True),
        Column("lon", Float(53)),
        Column("lat", Float(53)),
    )


def _projection(name: str, columns: Callable[[], tuple[Column[Any], ...]]) -> tuple[Table, Table]:
    """A table of the present state, and one of every state before it with the time until which it was known."""
    now = Table(
        name,
        metadata,
        Column("id", String(12), primary_key=True),
        *columns(),
        Column("known_from", BigInteger, nullable=False, index=True),
    )
    before = Table(
        f"{name}_before",
        metadata,
        Column("id", String(12), primary_key=True),
        *columns(),
        Column("known_from", BigInteger, primary_key=True, autoincrement=False),
        Column("known_until", BigInteger, nullable=False, index=True),
    )
    return now, before


complaint, complaint_before = _projection("complaint", _complaint_columns)
case, case_before = _projection("case", _case_columns)
_BEFORE = {complaint: complaint_before, case: case_before}


def known(table: Table, as_of: int | None) -> FromClause:
    """The projection *table* as it stood at *as_of* (microseconds since 1970 in UTC), or as it stands now."""
    if as_of is None:
        return table
    before = _BEFORE[table]
    now = select(*table.columns).where(table.c.known_from <= as_of)
    then = select(*(before.c[column.name] for column in table.columns)).where(
        before.c.known_from <= as_of, before.c.known_until > as_of
    )
    return now.union_all(then).subquery(table.name)


# Which content a complaint was imported with: tells a row seen before from one whose content has changed since. Not a
# projection: it belongs to this store's own imports.
imported = Table(
    "imported",
    metadata,
    Column("complaint_id", String(12), primary_key=True),
    Column("content", LargeBinary(8), nullable=False),
    sqlite_with_rowid=False,
)

#: What rebuild makes anew from the events.
PROJECTIONS = (complaint, case, complaint_before, case_before)

"""The tables of the ledger: the events, the heads of the devices' chains, who complained, and the projections.

Projections (complaint, case) can be thrown away and rebuilt from the events; complainants cannot, and are kept apart.
Times are microseconds since 1970 in UTC, places degrees of WGS-84.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
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
    Column("payload", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
)

#: True of every event but receipts; the index below is used only where a statement says it in these words.
LATER = text("kind <> 'complaint_received'")
Index("ix_event_later", event.c.kind, event.c.subject, sqlite_where=LATER, postgresql_where=LATER)

# The last event of each device; data_* is the last one that is not about a record, so that writing a record does not
# make the data look changed.
head = Table(
    "head",
    metadata,
    Column("origin", String(32), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("data_sequence", BigInteger, nullable=False),
    Column("data_digest", LargeBinary(32), nullable=False),
)

complainant = Table(
    "complainant",
    metadata,
    Column("complaint_id", String(12), primary_key=True),
    Column("name", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("identity_number", Text, nullable=False),
)

complaint = Table(
    "complaint",
    metadata,
    Column("id", String(12), primary_key=True),
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

case = Table(
    "case",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("number", Text, nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("category", String(40)),
    Column("district", Text, nullable=False),
    Column("community", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("suspected_source", Text, nullable=False),
    Column("complaints", Integer, nullable=False),
    Column("first_at", BigInteger),
    Column("last_at", BigInteger),
    Column("lon", Float(53)),
    Column("lat", Float(53)),
)

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
PROJECTIONS = (complaint, case)

Index("ix_case_last_at", case.c.last_at)

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
    ColumnElement,
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
    union_all,
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
    # The sequence too: a whole import has one time of recording, and the last of them is what is looked for.
    Index("ix_event_recorded_at", "origin", "recorded_at", "sequence"),
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
        Column("number", Text, nullable=False),
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


def _projection(name: str, columns: Callable[[], tuple[Column[Any], ...]]) -> tuple[Table, Table]:
    """A table of the present state, and one of every state before it with the time until which it was known.

    The times of knowing have no index of their own: a read as of some moment goes by its filters, or through it all.
    """
    now = Table(
        name,
        metadata,
        Column("id", String(12), primary_key=True),
        *columns(),
        Column("known_from", BigInteger, nullable=False),
    )
    before = Table(
        f"{name}_before",
        metadata,
        Column("id", String(12), primary_key=True),
        *columns(),
        Column("known_from", BigInteger, primary_key=True, autoincrement=False),
        Column("known_until", BigInteger, nullable=False),
    )
    return now, before


complaint, complaint_before = _projection("complaint", _complaint_columns)
case, case_before = _projection("case", _case_columns)
# Not in case_before: a case keeps its number.
Index("ix_case_number", case.c.number)
# The order in which cases are listed; with the times of knowing they are counted without the table.
Index("ix_case_last_at", case.c.last_at, case.c.known_from)
Index("ix_case_before_last_at", case_before.c.last_at, case_before.c.known_from, case_before.c.known_until)
# Earlier states that were still known at a moment, where they are few; with what they are counted by.
Index(
    "ix_case_before_known_until", case_before.c.known_until, case_before.c.known_from, case_before.c.last_at
)
# Few have a complaint received later than it was known, by a wrong clock: see fieldkit.ledger.frames.cases_frame.
for _name, _table in (("ix_case_ahead", case), ("ix_case_before_ahead", case_before)):
    _ahead = _table.c.last_at > _table.c.known_from
    Index(_name, _table.c.last_at, sqlite_where=_ahead, postgresql_where=_ahead)
_BEFORE = {complaint: complaint_before, case: case_before}


def known(table: Table, as_of: int | None) -> FromClause:
    """The projection *table* as it stood at *as_of* (microseconds since 1970 in UTC), or as it stands now."""
    parts = known_parts(table, as_of)
    if len(parts) == 1:
        return table
    names = [column.name for column in table.columns]
    selected = [select(*(part.c[name] for name in names)).where(*during) for part, during in parts]
    return union_all(*selected).subquery(table.name)


def known_parts(table: Table, as_of: int | None) -> list[tuple[Table, tuple[ColumnElement[bool], ...]]]:
    """The tables that hold the projection *table* as it stood at *as_of*, each with what is true of its rows then.

    A key is in one of them at most; to join by it is to join both, for which an index serves, and to take either.
    """
    if as_of is None:
        return [(table, ())]
    before = _BEFORE[table]
    return [
        (table, (table.c.known_from <= as_of,)),
        (before, (before.c.known_from <= as_of, before.c.known_until > as_of)),
    ]


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

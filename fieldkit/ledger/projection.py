"""Turn events into the rows of the tables that people read, the same rows in the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import places
from fieldkit.cases import CaseComplaint, case_state, fold_complaint
from fieldkit.events import KINDS, Event, kept, microseconds
from fieldkit.ledger import store, tables

_T = TypeVar("_T")

# Below SQLite's 32,766 and PostgreSQL's 65,535 bound values a statement.
CHUNK = 5_000


def complaint_row(state: CaseComplaint) -> tuple[Any, ...]:
    """The row of the table *complaint* for a folded complaint, its columns in their order."""
    complaint = state.complaint
    place = complaint.place
    categories = complaint.categories
    return (
        state.id,
        state.case,
        kept(complaint.number),
        kept(complaint.source),
        complaint.channel,
        microseconds(complaint.received_at),
        complaint.precision,
        _optional(complaint.occurred_at),
        _optional(complaint.closed_at),
        complaint.category,
        categories[0] if categories else None,
        "|".join(categories),
        kept(complaint.reported_type),
        kept(complaint.text),
        kept(complaint.translation),
        kept(complaint.address),
        kept(complaint.district),
        kept(complaint.community),
        kept(complaint.suspected_source),
        # A database may keep -0.0 as 0.0; adding 0.0 makes it that everywhere.
        None if place is None else place.lon + 0.0,
        None if place is None else place.lat + 0.0,
        "" if place is None else places.cell_of(place.lon, place.lat),
        None if place is None else place.method,
        None if place is None else place.score,
        place is not None and place.needs_confirming,
        state.relation,
        state.cause,
    )


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def project(connection: Connection, appended: Sequence[Event]) -> None:
    """Bring the projections up to date with events just appended."""
    complaint_ids = {event.subject for event in appended if KINDS[event.kind] == "complaint"}
    if not complaint_ids:
        return
    case_ids = set(complaint_ids)
    for ids in chunks(sorted(complaint_ids), CHUNK):
        # The cases that the complaints leave, and those they come to: what was said before their receipt counts too.
        theirs = sa.select(tables.complaint.c.case_id).where(tables.complaint.c.id.in_(ids))
        case_ids.update(connection.scalars(theirs))
        histories = _histories(connection, tables.event.c.subject.in_(ids))
        connection.execute(sa.delete(tables.complaint).where(tables.complaint.c.id.in_(ids)))
        _insert_folded(connection, histories)
        case_ids.update(connection.scalars(theirs))
    project_cases(connection, sorted(case_ids))


def project_cases(connection: Connection, case_ids: Sequence[str]) -> None:
    """Make the rows of the table *case* anew for *case_ids* from their complaints."""
    for ids in chunks(case_ids, CHUNK):
        connection.execute(sa.delete(tables.case).where(tables.case.c.id.in_(ids)))
        _insert_cases(
            connection, founding=tables.complaint.c.id.in_(ids), mine=tables.complaint.c.case_id.in_(ids)
        )


def project_new_cases(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add the cases of complaints just received, at most :data:`CHUNK` of them; *rows* are those of *complaint*."""
    complaint = tables.complaint.c
    ids = [row[_ID] for row in rows]
    # Another device may have linked a complaint to a case before this one received what opened it.
    waiting = sa.select(complaint.case_id).where(
        complaint.case_id.in_(ids), complaint.id != complaint.case_id
    )
    others = set(connection.scalars(waiting))
    fresh = [_new_case(row) for row in rows if row[_ID] not in others]
    store.insert(connection, tables.case, fresh)
    project_cases(connection, sorted(others))


_COLUMN = {column.name: place for place, column in enumerate(tables.complaint.columns)}
_ID, _CLOSED = _COLUMN["id"], _COLUMN["closed_at"]
#: Where the time of receipt stands in a row of *complaint*.
RECEIVED_AT = _COLUMN["received_at"]
_SHARED = itemgetter(
    *(_COLUMN[n] for n in ("category", "district", "community", "address", "suspected_source"))
)
_NUMBER, _LON, _LAT = _COLUMN["number"], _COLUMN["lon"], _COLUMN["lat"]


def _new_case(row: tuple[Any, ...]) -> tuple[Any, ...]:
    state = case_state(1, row[_CLOSED] is not None)
    received_at = row[RECEIVED_AT]
    return (row[_ID], row[_NUMBER], state, *_SHARED(row), 1, received_at, received_at, row[_LON], row[_LAT])


def rebuild(connection: Connection) -> None:
    """Throw the projections away and make them anew from the events, in memory that does not grow with them."""
    for table in tables.PROJECTIONS:
        connection.execute(sa.delete(table))
    subjects = [kind for kind, sort in KINDS.items() if sort == "complaint"]
    _insert_folded(connection, _histories(connection, tables.event.c.kind.in_(subjects)))
    _insert_cases(connection, founding=sa.true(), mine=sa.true())


def _insert_folded(connection: Connection, histories: Iterable[list[Event]]) -> None:
    states = (state for history in histories if (state := fold_complaint(history)) is not None)
    for some in chunks(states, CHUNK):
        store.insert(connection, tables.complaint, [complaint_row(state) for state in some])


def _histories(connection: Connection, where: sa.ColumnElement[bool]) -> Iterator[list[Event]]:
    # Keyset paging instead of one long cursor: SQLite must not insert on a connection whose select is half read,
    # and a client-side cursor of PostgreSQL would hold every row in memory.
    last = ""
    while True:
        page = (
            sa.select(tables.event.c.subject)
            .where(where, tables.event.c.subject > last)
            .distinct()
            .order_by(tables.event.c.subject)
            .limit(CHUNK)
        )
        subjects = list(connection.scalars(page))
        if not subjects:
            return
        statement = sa.select(tables.event).where(tables.event.c.subject.in_(subjects), where)
        rows = (Event(*row) for row in connection.execute(statement.order_by(tables.event.c.subject)))
        for _, history in groupby(rows, key=lambda event: event.subject):
            yield list(history)
        last = subjects[-1]


def _surest(name: str) -> Any:
    # The same rule as fieldkit.cases.Case.place, in SQL; a test holds the two together.
    other = tables.complaint.alias()
    sureness = sa.case(
        {method: number for number, method in enumerate(places.METHODS)}, value=other.c.place_method
    )
    return (
        sa.select(other.c[name])
        .where(other.c.case_id == tables.complaint.c.id, other.c.lon.is_not(None))
        .order_by(sureness, other.c.received_at, other.c.id)
        .limit(1)
        .correlate(tables.complaint)
        .scalar_subquery()
    )


def _insert_cases(connection: Connection, founding: Any, mine: Any) -> None:
    complaint = tables.complaint
    counted = (
        sa.select(
            complaint.c.case_id,
            sa.func.count().label("n"),
            sa.func.min(complaint.c.received_at).label("first_at"),
            sa.func.max(complaint.c.received_at).label("last_at"),
            sa.func.count(complaint.c.closed_at).label("closed"),
        )
        .where(mine)
        .group_by(complaint.c.case_id)
        .subquery()
    )
    n = sa.func.coalesce(counted.c.n, 0)
    # The same rule as fieldkit.cases.case_state, in SQL; a test holds the two together.
    state = sa.case((n == 0, "MERGED"), (counted.c.closed == n, "CLOSED"), else_="REGISTERED")
    same = [
        complaint.c[name] for name in ("category", "district", "community", "address", "suspected_source")
    ]
    # Most cases hold but the complaint that opened them, and need no search; a merged one keeps its own place.
    own = (n == 0) | ((n == 1) & (complaint.c.case_id == complaint.c.id))
    rows = (
        sa.select(
            complaint.c.id,
            complaint.c.number,
            state,
            *same,
            n,
            counted.c.first_at,
            counted.c.last_at,
            sa.case((own, complaint.c.lon), else_=_surest("lon")),
            sa.case((own, complaint.c.lat), else_=_surest("lat")),
        )
        .select_from(complaint.outerjoin(counted, counted.c.case_id == complaint.c.id))
        .where(founding)
    )
    connection.execute(
        sa.insert(tables.case).from_select([column.name for column in tables.case.columns], rows)
    )


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Cut *items* into lists of at most *size*."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some

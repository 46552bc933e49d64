"""Turn events into the rows of the tables that people read, the same rows in the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import heappop, heappush
from itertools import groupby, pairwise, starmap
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import places
from fieldkit.cases import CaseComplaint, case_state, complaint_versions
from fieldkit.events import KINDS, Event, kept, microseconds
from fieldkit.ledger import statements, store, tables
from fieldkit.ledger.statements import Lookup, Row

# Below SQLite's 32,766 and PostgreSQL's 65,535 bound values a statement.
CHUNK = 5_000

_mixed_cases = sa.Table(
    "fieldkit_mixed",
    sa.MetaData(),
    sa.Column("id", sa.String(12), primary_key=True),
    prefixes=["TEMPORARY"],
)


def complaint_row(state: CaseComplaint, known_from: int) -> Row:
    """The row of the table *complaint* for a folded complaint, known so since *known_from*; columns in their order."""
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
        known_from,
    )


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def project(connection: Connection, appended: Sequence[Event]) -> None:
    """Bring the projections up to date with events just appended."""
    complaint_ids = {event.subject for event in appended if KINDS.get(event.kind) == "complaint"}
    if not complaint_ids:
        return
    case_ids = set(complaint_ids)
    for ids in store.chunks(sorted(complaint_ids), CHUNK):
        histories: dict[str, list[Event]] = {}
        for event in starmap(Event, _EVENTS.rows(connection, ids)):
            histories.setdefault(event.subject, []).append(event)
        states = [lookup.rows(connection, ids) for lookup in _COMPLAINT_ROWS]
        folded = _folded(histories.values())
        for table, was, rows in zip(_COMPLAINTS, states, folded, strict=True):
            statements.change(connection, table, was, rows)
        # The cases that the complaints leave, and those they come to: what was said before their receipt counts too.
        case_ids.update(row[_CASE_ID] for rows in (*states, *folded) for row in rows)
    project_cases(connection, sorted(case_ids))


def project_cases(connection: Connection, case_ids: Sequence[str]) -> None:
    """Bring the rows of *case* and *case_before* for *case_ids* up to date with their complaints."""
    for ids in store.chunks(case_ids, CHUNK):
        states = [lookup.rows(connection, ids) for lookup in _CASE_ROWS]
        for table, was, rows in zip(_CASES, states, _mixed_cases_of(connection, ids), strict=True):
            statements.change(connection, table, was, rows)


def project_new_cases(connection: Connection, rows: Sequence[Row]) -> None:
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
_SHARED_NAMES = ("category", "district", "community", "address", "suspected_source")
_SHARED = itemgetter(*(_COLUMN[name] for name in _SHARED_NAMES))
_NUMBER, _LON, _LAT = _COLUMN["number"], _COLUMN["lon"], _COLUMN["lat"]
_CASE_ID, _METHOD, _KNOWN_FROM = _COLUMN["case_id"], _COLUMN["place_method"], _COLUMN["known_from"]
_COMPLAINTS = (tables.complaint, tables.complaint_before)
_CASES = (tables.case, tables.case_before)


def _with(column: str, table: sa.Table, *others: str) -> Lookup:
    """The rows of *table* that have one of the keys in *column*, or in one of the *others*."""
    columns = [table.c[name] for name in (column, *others)]
    return Lookup(lambda keys: sa.select(table).where(sa.or_(*(one.in_(keys) for one in columns))))


_EVENTS = _with("subject", tables.event)
_COMPLAINT_ROWS = [_with("id", table) for table in _COMPLAINTS]
_CASE_ROWS = [_with("id", table) for table in _CASES]
_VERSIONS = [_with("case_id", table, "id") for table in _COMPLAINTS]


def _new_case(row: Row) -> Row:
    state = case_state(1, row[_CLOSED] is not None)
    received_at = row[RECEIVED_AT]
    where = (row[_LON], row[_LAT], row[_KNOWN_FROM])
    return (row[_ID], row[_NUMBER], state, *_SHARED(row), 1, received_at, received_at, *where)


def rebuild(connection: Connection) -> None:
    """Throw the projections away and make them anew from the events, in memory that does not grow with them."""
    for table in tables.PROJECTIONS:
        connection.execute(sa.delete(table))
    subjects = [kind for kind, sort in KINDS.items() if sort == "complaint"]
    _insert_folded(connection, _histories(connection, tables.event.c.kind.in_(subjects)))
    complaint, before = tables.complaint.c, tables.complaint_before.c
    moved = complaint.case_id != complaint.id
    # Kept in the database: there may be many.
    mixed = sa.union(
        sa.select(complaint.id).where(moved),
        sa.select(complaint.case_id).where(moved),
        sa.select(before.id),
        sa.select(before.case_id),
    )
    _mixed_cases.create(connection, checkfirst=False)
    try:
        connection.execute(sa.insert(_mixed_cases).from_select(["id"], mixed))
        _insert_lone_cases(connection, complaint.id.not_in(sa.select(_mixed_cases.c.id)))
        for ids in store.pages(connection, _mixed_cases.c.id, CHUNK):
            for table, rows in zip(_CASES, _mixed_cases_of(connection, ids), strict=True):
                store.insert(connection, table, rows)
    finally:
        _mixed_cases.drop(connection, checkfirst=False)


def _insert_folded(connection: Connection, histories: Iterable[list[Event]]) -> None:
    for some in store.chunks(histories, CHUNK):
        for table, rows in zip(_COMPLAINTS, _folded(some), strict=True):
            store.insert(connection, table, rows)


def _folded(histories: Iterable[Sequence[Event]]) -> tuple[list[Row], list[Row]]:
    """The rows of *complaint* and *complaint_before* that the events of some complaints give."""
    now: list[Row] = []
    before: list[Row] = []
    for history in histories:
        rows = [complaint_row(state, since) for since, state in complaint_versions(history)]
        now += rows[-1:]
        before += [(*row, after[_KNOWN_FROM]) for row, after in pairwise(rows)]
    return now, before


def _histories(connection: Connection, where: sa.ColumnElement[bool]) -> Iterator[list[Event]]:
    for subjects in store.pages(connection, tables.event.c.subject, CHUNK, where):
        statement = sa.select(tables.event).where(tables.event.c.subject.in_(subjects), where)
        rows = (Event(*row) for row in connection.execute(statement.order_by(tables.event.c.subject)))
        for _, history in groupby(rows, key=lambda event: event.subject):
            yield list(history)


def _insert_lone_cases(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """Add the cases that hold but the complaint that opened them, and always did: nearly all, so done in SQL."""
    complaint = tables.complaint.c
    # The same rule as fieldkit.cases.case_state, in SQL; a test holds the two together.
    state = sa.case((complaint.closed_at.is_not(None), "CLOSED"), else_="REGISTERED")
    rows = sa.select(
        complaint.id,
        complaint.number,
        state,
        *(complaint[name] for name in _SHARED_NAMES),
        sa.literal(1),
        complaint.received_at,
        complaint.received_at,
        complaint.lon,
        complaint.lat,
        complaint.known_from,
    ).where(which)
    connection.execute(
        sa.insert(tables.case).from_select([column.name for column in tables.case.columns], rows)
    )


def _mixed_cases_of(connection: Connection, case_ids: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """The rows of *case* and *case_before* for cases that several complaints, or states of one, may have made."""
    theirs: dict[str, list[_Version]] = {case_id: [] for case_id in case_ids}
    for table, lookup in zip(_COMPLAINTS, _VERSIONS, strict=True):
        for row in lookup.rows(connection, case_ids):
            until = row[-1] if table is tables.complaint_before else None
            # The complaint that opened a case counts for it wherever it belongs now.
            for case_id in {row[_ID], row[_CASE_ID]} & theirs.keys():
                theirs[case_id].append(_Version(row, until))
    now: list[Row] = []
    before: list[Row] = []
    for case_id, versions in theirs.items():
        rows = list(_case_rows(case_id, versions))
        now += rows[-1:]
        before += [(*row, after[-1]) for row, after in pairwise(rows)]
    return now, before


class _Version(NamedTuple):
    """A row of *complaint* or *complaint_before*, and until when it was known; None for the present one."""

    row: Row
    until: int | None


def _case_rows(case_id: str, versions: Sequence[_Version]) -> Iterator[Row]:
    """Every state that the case has been in, as rows of the table *case*, oldest first."""
    comes = sorted((version.row[_KNOWN_FROM], place) for place, version in enumerate(versions))
    goes = sorted((v.until, place) for place, v in enumerate(versions) if v.until is not None)
    comes.reverse()
    goes.reverse()
    members = _Members()
    founding: Row | None = None
    last: Row | None = None
    while comes or goes:
        moment = min(some[-1][0] for some in (comes, goes) if some)
        # What goes makes room for its successor, which comes at the same moment.
        while goes and goes[-1][0] == moment:
            row = versions[goes.pop()[1]].row
            founding = None if row is founding else founding
            members.remove(row)
        while comes and comes[-1][0] == moment:
            row = versions[comes.pop()[1]].row
            founding = row if row[_ID] == case_id else founding
            if row[_CASE_ID] == case_id:
                members.add(row)
        if founding is not None:
            row = (
                founding[_ID],
                founding[_NUMBER],
                members.state,
                *_SHARED(founding),
                *members.told(founding),
            )
            if row != last:
                last = row
                yield (*row, moment)


class _Members:
    """The complaints of a case at one moment of its history; to add or remove one costs the same in a large case."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._closed = 0
        # Heaps with what was removed still in them: it is passed over when it comes to the top. Of two states of one
        # complaint the number tells which came first, so that rows are never compared.
        self._number = 0
        self._first: list[tuple[Any, ...]] = []
        self._last: list[tuple[Any, ...]] = []
        self._surest: list[tuple[Any, ...]] = []

    def add(self, row: Row) -> None:
        """A complaint belongs to the case from now on."""
        self._rows[row[_ID]] = row
        self._closed += row[_CLOSED] is not None
        self._number += 1
        told = (row[_ID], self._number, row)
        heappush(self._first, (row[RECEIVED_AT], *told))
        heappush(self._last, (-row[RECEIVED_AT], *told))
        if row[_LON] is not None:
            # The same rule as fieldkit.cases.Case.place; a test holds the two together.
            heappush(self._surest, (places.METHODS.index(row[_METHOD]), row[RECEIVED_AT], *told))

    def remove(self, row: Row) -> None:
        """It is not known so any more, if it ever belonged to the case."""
        if self._rows.get(row[_ID]) is row:
            del self._rows[row[_ID]]
            self._closed -= row[_CLOSED] is not None

    @property
    def state(self) -> str:
        """The state that they give the case."""
        return case_state(len(self._rows), self._closed)

    def told(self, founding: Row) -> Row:
        """How many there are, the first and the last time of receipt, and the surest place."""
        first, last, surest = self._top(self._first), self._top(self._last), self._top(self._surest)
        where = surest if self._rows else founding
        place = (None, None) if where is None else (where[_LON], where[_LAT])
        received = [None if row is None else row[RECEIVED_AT] for row in (first, last)]
        return (len(self._rows), *received, *place)

    def _top(self, heap: list[tuple[Any, ...]]) -> Row | None:
        while heap and self._rows.get(heap[0][-3]) is not heap[0][-1]:
            heappop(heap)
        return heap[0][-1] if heap else None

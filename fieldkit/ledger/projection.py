"""Turn events into the rows of the tables that people read, the same rows in the same bytes every time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import heappop, heappush
from itertools import groupby, pairwise, starmap
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import places
from fieldkit.cases import CaseComplaint, case_state, changes_of, complaint_versions
from fieldkit.events import COMPLAINT_RECEIVED, KINDS, Event, kept, microseconds
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
        *_placed(complaint.place),
        state.relation,
        state.cause,
        known_from,
    )


def _placed(place: places.Place | None) -> Row:
    """What the table *complaint* has of a place, from *lon* on."""
    if place is None:
        return (None, None, "", None, None, False)
    # A database may keep -0.0 as 0.0; adding 0.0 makes it that everywhere.
    where = (place.lon + 0.0, place.lat + 0.0, places.cell_of(place.lon, place.lat))
    return (*where, place.method, place.score, place.needs_confirming)


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)


def advance(connection: Connection, appended: Sequence[Event]) -> None:
    """Bring the projections up to date with events of one moment that come after all others of the ledger."""
    events = [event for event in appended if KINDS.get(event.kind) == "complaint"]
    if events and not _advanced(connection, events):
        project(connection, events)


def _advanced(connection: Connection, events: Sequence[Event]) -> bool:
    """Do it from the present rows alone, where nothing of the history can change but that it goes on.

    False, with nothing done, where more must be asked: much is said at once; a complaint was not received yet; the
    clock stood still or went back, so that states known until now may never have been, or not in this order; or a
    complaint changes in what its row does not tell, such as how sure its place is.
    """
    at = events[0].recorded_at
    said: dict[str, dict[str, Any]] = {}
    for event in events:
        of_relation, of_complaint = changes_of(event)
        said.setdefault(event.subject, {}).update(of_relation, **of_complaint)
    keys = {*said, *(changes["case"] for changes in said.values() if "case" in changes)}
    if len(keys) > statements.FEW or any(event.kind == COMPLAINT_RECEIVED for event in events):
        return False
    rows = {row[_ID]: row for row in _PRESENT.rows(connection, list(keys))}
    if not all(subject in rows and rows[subject][_KNOWN_FROM] < at for subject in said):
        return False
    moved = {subject: _moved(rows[subject], changes, at) for subject, changes in said.items()}
    was = {subject: rows[subject] for subject in moved}
    if any(moved[subject][:-1] == row[:-1] for subject, row in was.items()):
        return False
    case_ids = {*moved, *(row[_CASE_ID] for row in (*was.values(), *moved.values()))}
    if left := case_ids - keys:
        rows.update((row[_ID], row) for row in _PRESENT.rows(connection, list(left)))
    known = {row[_ID]: row for row in _PRESENT_CASES.rows(connection, list(case_ids))}
    if any(row[-1] >= at for row in known.values()):
        return False
    rows.update(moved)
    members = {case_id: _Members() for case_id in case_ids}
    for row in rows.values():
        if row[_CASE_ID] in members:
            members[row[_CASE_ID]].add(row)
    cases = {
        case_id: (*_case_row(rows[case_id], theirs), at)
        for case_id, theirs in members.items()
        if case_id in rows  # or what opened it is not known here yet
    }
    _replace(connection, _COMPLAINTS, was, moved)
    _replace(connection, _CASES, known, cases)
    return True


def _moved(row: Row, changes: Mapping[str, Any], at: int) -> Row:
    """The row of *complaint* after *changes* of its fields, known *at* a moment."""
    new = list(row)
    for name, value in changes.items():
        if name == "place":
            new[_PLACED] = _placed(value)
        else:
            new[_COLUMN["case_id" if name == "case" else name]] = kept(value)
    new[_KNOWN_FROM] = at
    return tuple(new)


def _replace(
    connection: Connection,
    projection: tuple[sa.Table, sa.Table],
    known: Mapping[str, Row],
    wanted: Mapping[str, Row],
) -> None:
    """Put rows of a projection's present in the place of others, which then are those before; a moment ends each."""
    now, before = projection
    differ = [(known.get(key), row) for key, row in wanted.items()]
    pairs = [(was, row) for was, row in differ if was is not None and was[:-1] != row[:-1]]
    statements.alter(connection, now, pairs)
    store.insert(connection, before, [(*was, row[-1]) for was, row in pairs])
    store.insert(connection, now, [row for was, row in differ if was is None])


def project(connection: Connection, appended: Sequence[Event]) -> None:
    """Bring the projections up to date with events just appended, wherever they come in the history."""
    complaint_ids = {event.subject for event in appended if KINDS.get(event.kind) == "complaint"}
    for ids in store.chunks(sorted(complaint_ids), CHUNK):
        histories: dict[str, list[Event]] = {}
        for event in starmap(Event, _EVENTS.rows(connection, ids)):
            histories.setdefault(event.subject, []).append(event)
        folded = _folded(histories.values())
        # The cases that the complaints leave, and those they come to: what was said before their receipt counts too.
        case_ids = {*ids, *(row[_CASE_ID] for row in folded)}
        known = _versions(connection, case_ids)
        mine = [row for row in known if row[_ID] in histories]
        if left := {row[_CASE_ID] for row in mine} - case_ids:
            known = list({*known, *_versions(connection, left)})
            case_ids |= left
        _change(connection, _COMPLAINTS, mine, folded)
        others = [row for row in known if row[_ID] not in histories]
        _project_cases(connection, case_ids, [*others, *folded])


def _project_cases(connection: Connection, case_ids: Collection[str], versions: Iterable[Row]) -> None:
    """Bring the rows of these cases up to date with all *versions* of their complaints."""
    known = [row for ids in store.chunks(case_ids, CHUNK) for row in _CASE_ROWS.rows(connection, ids)]
    _change(connection, _CASES, known, _cases(case_ids, versions))


def _change(
    connection: Connection, projection: tuple[sa.Table, sa.Table], known: Iterable[Row], wanted: Iterable[Row]
) -> None:
    """Turn the rows of a projection's two tables into those that are wanted; each bears until when it was known."""
    for table, was, rows in zip(projection, _parted(known), _parted(wanted), strict=True):
        statements.change(connection, table, was, rows)


def _parted(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of the present, as their table has them, and the rows before them."""
    now: list[Row] = []
    before: list[Row] = []
    for row in rows:
        if row[-1] is None:
            now.append(row[:-1])
        else:
            before.append(row)
    return now, before


def _versions(connection: Connection, case_ids: Iterable[str]) -> list[Row]:
    """Every version of every complaint that is, or was, in one of these cases or opened it; each once."""
    parts = [_COMPLAINT_ROWS.rows(connection, ids) for ids in store.chunks(case_ids, CHUNK)]
    return parts[0] if len(parts) == 1 else list({row for part in parts for row in part})


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
    _project_cases(connection, others, _versions(connection, others))


_COLUMN = {column.name: place for place, column in enumerate(tables.complaint.columns)}
_ID, _CLOSED = _COLUMN["id"], _COLUMN["closed_at"]
#: Where the time of receipt stands in a row of *complaint*.
RECEIVED_AT = _COLUMN["received_at"]
_SHARED_NAMES = ("category", "district", "community", "address", "suspected_source")
_SHARED = itemgetter(*(_COLUMN[name] for name in _SHARED_NAMES))
_NUMBER, _LON, _LAT = _COLUMN["number"], _COLUMN["lon"], _COLUMN["lat"]
_CASE_ID, _METHOD, _KNOWN_FROM = _COLUMN["case_id"], _COLUMN["place_method"], _COLUMN["known_from"]
_PLACED = slice(_LON, _LON + len(_placed(None)))
_COMPLAINTS = (tables.complaint, tables.complaint_before)
_CASES = (tables.case, tables.case_before)


def _known_by(projection: tuple[sa.Table, sa.Table], *names: str) -> Lookup:
    """The rows of a projection that have one of the keys in a column with one of *names*, each with its known_until."""
    now, before = projection

    def select(table: sa.Table, until: sa.ColumnElement[Any], keys: Sequence[Any]) -> sa.Select[Any]:
        columns = [column for column in table.columns if column.name != "known_until"]
        return sa.select(*columns, until).where(sa.or_(*(table.c[name].in_(keys) for name in names)))

    return Lookup(
        lambda keys: sa.union_all(select(now, sa.null(), keys), select(before, before.c.known_until, keys))
    )


def _with(table: sa.Table, *names: str) -> Lookup:
    """The rows of *table* that have one of the keys in a column with one of *names*."""
    return Lookup(lambda keys: sa.select(table).where(sa.or_(*(table.c[name].in_(keys) for name in names))))


_EVENTS = _with(tables.event, "subject")
_PRESENT = _with(tables.complaint, "case_id", "id")
_PRESENT_CASES = _with(tables.case, "id")
_COMPLAINT_ROWS = _known_by(_COMPLAINTS, "case_id", "id")
_CASE_ROWS = _known_by(_CASES, "id")


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
            rows = _parted(_cases(ids, _versions(connection, ids)))
            for table, some in zip(_CASES, rows, strict=True):
                store.insert(connection, table, some)
    finally:
        _mixed_cases.drop(connection, checkfirst=False)


def _insert_folded(connection: Connection, histories: Iterable[list[Event]]) -> None:
    for some in store.chunks(histories, CHUNK):
        for table, rows in zip(_COMPLAINTS, _parted(_folded(some)), strict=True):
            store.insert(connection, table, rows)


def _folded(histories: Iterable[Sequence[Event]]) -> list[Row]:
    """Every version that the events of some complaints give, as rows with their known_until."""
    return [
        row
        for history in histories
        for row in _until_the_next(
            complaint_row(state, since) for since, state in complaint_versions(history)
        )
    ]


def _until_the_next(rows: Iterable[Row]) -> Iterator[Row]:
    """Each of *rows*, which end with the moment since when they were known, with that of the next or None."""
    known = list(rows)
    yield from ((*row, after[-1]) for row, after in pairwise(known))
    yield from ((*row, None) for row in known[-1:])


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


def _cases(case_ids: Iterable[str], versions: Iterable[Row]) -> list[Row]:
    """Every version of these cases, given all those of the complaints that are or were in one of them or opened it."""
    theirs: dict[str, list[Row]] = {case_id: [] for case_id in case_ids}
    for row in versions:
        # The complaint that opened a case counts for it wherever it belongs now.
        for case_id in {row[_ID], row[_CASE_ID]} & theirs.keys():
            theirs[case_id].append(row)
    return [row for case_id, own in theirs.items() for row in _until_the_next(_case_rows(case_id, own))]


def _case_rows(case_id: str, versions: Sequence[Row]) -> Iterator[Row]:
    """Every state that the case has been in, as rows of the table *case*, oldest first."""
    comes = sorted((row[_KNOWN_FROM], place) for place, row in enumerate(versions))
    goes = sorted((row[-1], place) for place, row in enumerate(versions) if row[-1] is not None)
    comes.reverse()
    goes.reverse()
    members = _Members()
    founding: Row | None = None
    last: Row | None = None
    while comes or goes:
        moment = min(some[-1][0] for some in (comes, goes) if some)
        # What goes makes room for its successor, which comes at the same moment.
        while goes and goes[-1][0] == moment:
            row = versions[goes.pop()[1]]
            founding = None if row is founding else founding
            members.remove(row)
        while comes and comes[-1][0] == moment:
            row = versions[comes.pop()[1]]
            founding = row if row[_ID] == case_id else founding
            if row[_CASE_ID] == case_id:
                members.add(row)
        if founding is not None:
            row = _case_row(founding, members)
            if row != last:
                last = row
                yield (*row, moment)


def _case_row(founding: Row, members: _Members) -> Row:
    """The row of the table *case* without since when it was known."""
    told = members.told(founding)
    return (founding[_ID], founding[_NUMBER], members.state, *_SHARED(founding), *told)


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

"""The ledger: facts that are only ever added, and what can be read from them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from fieldkit.cases import Case
from fieldkit.errors import UnknownCase
from fieldkit.events import (
    COMPLAINT_RECEIVED,
    EVIDENCE_ADDED,
    EVIDENCE_DERIVED,
    RECORD_WRITTEN,
    Event,
    Fact,
    canonical,
    check_name,
    kept,
    microseconds,
)
from fieldkit.ledger import store, tables
from fieldkit.ledger.appending import Writer
from fieldkit.ledger.receiving import Outcome, Receipt, Receiving
from fieldkit.ledger.verification import Problem

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from fieldkit.ledger.frames import Filters

__all__ = ["Ledger", "Outcome", "Problem", "Receipt", "Receiving"]

_PAGE = 10_000
# Engines of a process that forked this one: kept, so that nothing closes their connections.
_inherited: list[sa.Engine] = []


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """An append-only store of events with its projections, at a database address of SQLAlchemy.

    *origin* names this device in the events it writes, *actor* who is at it; *clock* gives the time of recording.
    Raises :class:`~fieldkit.errors.LedgerError` when the store cannot be opened or is newer than this kit.
    """

    def __init__(
        self, url: str, *, origin: str, actor: str = "", clock: Callable[[], datetime] = _now
    ) -> None:
        check_name(origin, "origin")
        self.url = url
        self._origin = origin
        self._actor = kept(actor)
        self._clock = clock
        self._opened: tuple[int, sa.Engine] | None = None

    def __repr__(self) -> str:
        return f"Ledger(origin={self._origin!r})"  # the address may hold a password

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens connections of its own.
        return {**self.__dict__, "_opened": None}

    @property
    def _engine(self) -> sa.Engine:
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            if self._opened is not None:
                # A connection may not be used, nor closed, beyond the fork of the process that opened it.
                _inherited.append(self._opened[1])
            self._opened = (process, store.open_store(self.url))
        return self._opened[1]

    def close(self) -> None:
        """Close every connection; the ledger opens them again when asked."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].dispose()
            self._opened = None

    def append(self, facts: Iterable[Fact]) -> list[Event]:
        """Write *facts* and bring the projections up to date, all or nothing; when it returns, they are on disk.

        Raises :class:`LedgerError` when the database refuses; then nothing was changed.
        """
        from fieldkit.ledger.projection import project

        # The payloads are written out before the lock is taken.
        rows = [(f.subject, f.kind, canonical(f.payload), microseconds(f.occurred_at)) for f in facts]
        with store.writing(self._engine) as connection:
            writer = Writer(connection, self._origin, self._actor, self._clock)
            appended = [Event(*row) for row in writer.write(rows)]
            project(connection, appended)
        return appended

    @contextlib.contextmanager
    def receiving(self) -> Iterator[Receiving]:
        """Take complaints in by the thousand; all are on disk when the block has ended well, none otherwise."""
        with store.writing(self._engine, bulk=True) as connection:
            receiving = Receiving(Writer(connection, self._origin, self._actor, self._clock))
            yield receiving
            receiving.close()

    def events(self, *, subject: str | None = None, kind: str | None = None) -> Iterator[Event]:
        """Yield events in the order of origin and sequence, all or those of one *subject* or *kind*.

        Nothing is locked between two events; one that is added meanwhile may or may not be among them.
        """
        event = tables.event.c
        statement = sa.select(tables.event).order_by(event.origin, event.sequence).limit(_PAGE)
        if subject is not None:
            statement = statement.where(event.subject == kept(subject))
        if kind is not None:
            statement = statement.where(event.kind == kind)
        if kind not in (None, COMPLAINT_RECEIVED):
            statement = statement.where(tables.LATER)
        page = statement
        while True:
            with store.reading(self._engine) as connection:
                found = [Event(*row) for row in connection.execute(page)]
            yield from found
            if len(found) < _PAGE:
                return
            page = statement.where(
                sa.tuple_(event.origin, event.sequence) > sa.tuple_(found[-1].origin, found[-1].sequence)
            )

    def find_case(self, name: str) -> str:
        """The id of the case with this id or number; raises :class:`UnknownCase` when there is none, or several."""
        case, name = tables.case, kept(name)
        with store.reading(self._engine) as connection:
            if connection.scalar(sa.select(case.c.id).where(case.c.id == name)) is not None:
                return name
            numbered = sa.select(case.c.id).where(case.c.number == name).order_by(case.c.id).limit(3)
            found = list(connection.scalars(numbered))
        if len(found) == 1:
            return str(found[0])
        if found:
            raise UnknownCase(
                f"More than one case has the number {name!r}. Give the id, one of: {', '.join(found)}."
            )
        raise UnknownCase(
            f"There is no case {name!r}. `fieldkit cases` lists the cases with their numbers and ids."
        )

    def case_of(self, complaint_id: str) -> str:
        """The id of the case that this complaint belongs to now; raises :class:`UnknownCase`."""
        complaint = tables.complaint.c
        with store.reading(self._engine) as connection:
            found = connection.scalar(sa.select(complaint.case_id).where(complaint.id == complaint_id))
        if found is None:
            raise UnknownCase(f"There is no complaint {complaint_id!r}.")
        return str(found)

    def cases_of(self, complaint_ids: Iterable[str]) -> dict[str, str]:
        """The id of the case that each of these complaints belongs to now; one that is not there is left out."""
        complaint, wanted = tables.complaint.c, sorted(set(complaint_ids))
        found: dict[str, str] = {}
        with store.reading(self._engine) as connection:
            for start in range(0, len(wanted), _PAGE):
                some = complaint.id.in_(wanted[start : start + _PAGE])
                rows = connection.execute(sa.select(complaint.id, complaint.case_id).where(some))
                found.update((str(one), str(case)) for one, case in rows)
        return found

    def case(self, name: str) -> Case:
        """The case with this id or number, folded from its events; raises :class:`UnknownCase`."""
        case_id = self.find_case(name)
        event, complaint = tables.event, tables.complaint
        with store.reading(self._engine) as connection:
            mine = sa.select(complaint.c.id).where(complaint.c.case_id == case_id)
            subjects = sa.union(mine, sa.select(sa.literal(case_id)))
            statement = sa.select(event).where(event.c.subject.in_(subjects))
            return Case.fold(case_id, [Event(*row) for row in connection.execute(statement)])

    def complaints(
        self, filters: Filters, *, columns: Iterable[str] | None = None, zone: ZoneInfo
    ) -> gpd.GeoDataFrame:
        """Complaints as a frame, see :func:`fieldkit.ledger.frames.complaints_frame`."""
        from fieldkit.ledger.frames import complaints_frame

        with store.reading(self._engine) as connection:
            frame = complaints_frame(connection, filters, columns, zone)
            frame.attrs = {"data_version": _data_version(connection), "time_zone": zone.key}
        return frame

    def cases(self, filters: Filters, *, zone: ZoneInfo) -> pd.DataFrame:
        """Cases as a frame, see :func:`fieldkit.ledger.frames.cases_frame`."""
        from fieldkit.ledger.frames import cases_frame

        with store.reading(self._engine) as connection:
            return cases_frame(connection, filters, zone)

    def records(self, case_id: str | None = None) -> dict[str, dict[str, Any]]:
        """The last manifest of every case that has a record, by the case's id; of one case when *case_id* is given."""
        last: dict[str, tuple[tuple[int, str, int], dict[str, Any]]] = {}
        for event in self.events(subject=case_id, kind=RECORD_WRITTEN):
            if event.subject not in last or last[event.subject][0] < event.order:
                last[event.subject] = (event.order, event.data)
        return {subject: data for subject, (_, data) in last.items()}

    def evidence(self, case_id: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """Every piece of evidence by the id of the case it was added to, each once, in order; or of one case."""
        found: dict[str, list[Event]] = {}
        for kind in (EVIDENCE_ADDED, EVIDENCE_DERIVED):
            for event in self.events(subject=case_id, kind=kind):
                found.setdefault(event.subject, []).append(event)
        result = {}
        for subject, added in found.items():
            # Two devices may have added the same file to the same case; the first counts.
            first: dict[str, dict[str, Any]] = {}
            for event in sorted(added, key=lambda event: event.order):
                first.setdefault(event.data["sha256"], event.data)
            result[subject] = list(first.values())
        return result

    def count(self) -> dict[str, int]:
        """How many events, complaints and cases there are, and how many complaints have a place."""
        complaint = tables.complaint
        with store.reading(self._engine) as connection:
            return {
                "events": _count(connection, tables.event),
                "complaints": _count(connection, complaint),
                "cases": _count(connection, tables.case, tables.case.c.state != "MERGED"),
                "with_place": _count(connection, complaint, complaint.c.lon.is_not(None)),
                "needs_confirming": _count(connection, complaint, complaint.c.needs_confirming),
            }

    def rebuild(self) -> str:
        """Throw the projections away, make them anew from the events, and return their hash."""
        from fieldkit.ledger.projection import rebuild

        with store.writing(self._engine, bulk=True) as connection:
            rebuild(connection)
        return self.state_hash()

    def state_hash(self) -> str:
        """A SHA-256 (hex) over the projections: two ledgers with the same events have the same."""
        from fieldkit.ledger.verification import state_hash

        with store.reading(self._engine) as connection:
            return state_hash(connection)

    def verify(self) -> list[Problem]:
        """Recompute every chain; returns what is wrong, an empty list when nothing is."""
        from fieldkit.ledger.verification import check_chains

        with store.reading(self._engine) as connection:
            return list(check_chains(connection))

    @property
    def data_version(self) -> str:
        """Twelve hex digits that change whenever an event is added that is not about a record."""
        with store.reading(self._engine) as connection:
            return _data_version(connection)


def _data_version(connection: sa.Connection) -> str:
    head = tables.head.c
    rows = connection.execute(sa.select(head.origin, head.data_sequence, head.data_digest))
    # Sorted here: databases differ in the order of letters, and equal data must have one version.
    text = "\n".join(
        sorted(f"{origin} {sequence} {bytes(digest).hex()}" for origin, sequence, digest in rows)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _count(connection: sa.Connection, table: sa.Table, *where: Any) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0

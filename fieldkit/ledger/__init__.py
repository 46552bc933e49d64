"""The ledger: facts that are only ever added, and what can be read from them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from fieldkit import roles
from fieldkit.cases import Case
from fieldkit.errors import LedgerError, NotAllowed, UnknownCase
from fieldkit.events import (
    COMPLAINANT_OPENED,
    COMPLAINT_RECEIVED,
    OFFICE,
    PERSON_FORGOTTEN,
    RECORD_WRITTEN,
    ROLE_GRANTED,
    ROLE_REVOKED,
    Event,
    Fact,
    canonical,
    check_name,
    kept,
    microseconds,
)
from fieldkit.ledger import store, tables, vault
from fieldkit.ledger.appending import Writer, data_version
from fieldkit.ledger.heads import Head
from fieldkit.ledger.migration import migrate
from fieldkit.ledger.receiving import Outcome, Receipt, Receiving
from fieldkit.ledger.verification import Problem

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from fieldkit.complaints import Person
    from fieldkit.keys import Keys
    from fieldkit.ledger.frames import Filters

__all__ = ["Head", "Ledger", "Outcome", "Problem", "Receipt", "Receiving"]

_PAGE = 10_000
# Engines of a process that forked this one: kept, so that nothing closes their connections.
_inherited: list[sa.Engine] = []


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """An append-only store of events with its projections, at a database address of SQLAlchemy.

    *origin* names this device in the events it writes, *actor* who is at it; *clock* gives the time of recording.
    *keys* sign what is written and seal who complained; without them the chain is unsigned, and nobody can be kept.
    What takes *as_of*, a zone-aware time, then answers as from the events that had been recorded until that moment.
    Raises :class:`~fieldkit.errors.LedgerError` when the store cannot be opened or is newer than this kit.
    """

    def __init__(
        self,
        url: str,
        *,
        origin: str,
        actor: str = "",
        clock: Callable[[], datetime] = _now,
        keys: Keys | None = None,
    ) -> None:
        check_name(origin, "origin")
        self.url = url
        self._origin = origin
        self._actor = kept(actor)
        self._clock = clock
        self._keys = keys
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
            self._opened = (process, store.open_store(self.url, self._prepare))
        return self._opened[1]

    def _prepare(self, engine: sa.Engine) -> None:
        migrate(engine, self._writer)

    def _writer(self, connection: sa.Connection) -> Writer:
        return Writer(connection, self._origin, self._actor, self._clock, self._keys)

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
            appended = [Event(*row) for row in self._writer(connection).write(rows)]
            project(connection, appended)
        return appended

    @contextlib.contextmanager
    def receiving(self) -> Iterator[Receiving]:
        """Take complaints in by the thousand; all are on disk when the block has ended well, none otherwise."""
        with store.writing(self._engine, bulk=True) as connection:
            receiving = Receiving(self._writer(connection))
            yield receiving
            receiving.close()

    def events(
        self, *, subject: str | None = None, kind: str | None = None, as_of: datetime | None = None
    ) -> Iterator[Event]:
        """Yield events in the order of origin and sequence, all or those of one *subject* or *kind*.

        Nothing is locked between two events; one that is added meanwhile may or may not be among them.
        """
        event = tables.event.c
        statement = sa.select(tables.event).order_by(event.origin, event.sequence).limit(_PAGE)
        if subject is not None:
            statement = statement.where(event.subject == kept(subject))
        if as_of is not None:
            statement = statement.where(event.recorded_at <= _moment(as_of))
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

    def find_case(self, name: str, *, as_of: datetime | None = None) -> str:
        """The id of the case with this id or number; raises :class:`UnknownCase` when there is none, or several."""
        case, name = tables.known(tables.case, _moment(as_of)), kept(name)
        with store.reading(self._engine) as connection:
            if connection.scalar(sa.select(case.c.id).where(case.c.id == name)) is not None:
                return name
            numbered = sa.select(tables.case.c.id).where(tables.case.c.number == name)
            known = sa.select(case.c.id).where(case.c.id.in_(numbered)).order_by(case.c.id).limit(3)
            found = list(connection.scalars(known))
        if len(found) == 1:
            return str(found[0])
        if found:
            raise UnknownCase(
                f"More than one case has the number {name!r}. Give the id, one of: {', '.join(found)}."
            )
        raise UnknownCase(
            f"There is no case {name!r}. `fieldkit cases` lists the cases with their numbers and ids."
        )

    def case_of(self, complaint_id: str, *, as_of: datetime | None = None) -> str:
        """The id of the case that this complaint belongs to; raises :class:`UnknownCase`."""
        complaint = tables.known(tables.complaint, _moment(as_of)).c
        with store.reading(self._engine) as connection:
            found = connection.scalar(sa.select(complaint.case_id).where(complaint.id == complaint_id))
        if found is None:
            raise UnknownCase(f"There is no complaint {complaint_id!r}.")
        return str(found)

    def case(self, name: str, *, as_of: datetime | None = None) -> Case:
        """The case with this id or number, folded from its events; raises :class:`UnknownCase`."""
        case_id = self.find_case(name, as_of=as_of)
        event, complaint = tables.event, tables.known(tables.complaint, _moment(as_of))
        with store.reading(self._engine) as connection:
            mine = sa.select(complaint.c.id).where(complaint.c.case_id == case_id)
            subjects = sa.union(mine, sa.select(sa.literal(case_id)))
            statement = sa.select(event).where(event.c.subject.in_(subjects))
            if as_of is not None:
                statement = statement.where(event.c.recorded_at <= _moment(as_of))
            return Case.fold(case_id, [Event(*row) for row in connection.execute(statement)])

    def complaints(
        self,
        filters: Filters,
        *,
        columns: Iterable[str] | None = None,
        zone: ZoneInfo,
        as_of: datetime | None = None,
    ) -> gpd.GeoDataFrame:
        """Complaints as a frame, see :func:`fieldkit.ledger.frames.complaints_frame`."""
        from fieldkit.ledger.frames import complaints_frame

        moment = _moment(as_of)
        with store.reading(self._engine) as connection:
            frame = complaints_frame(connection, filters, columns, zone, moment)
            frame.attrs = {"data_version": data_version(connection, moment), "time_zone": zone.key}
        return frame

    def cases(
        self,
        filters: Filters,
        *,
        zone: ZoneInfo,
        as_of: datetime | None = None,
        only_open: bool = False,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Cases as a frame, see :func:`fieldkit.ledger.frames.cases_frame`."""
        from fieldkit.ledger.frames import cases_frame

        with store.reading(self._engine) as connection:
            return cases_frame(connection, filters, zone, _moment(as_of), only_open=only_open, limit=limit)

    def records(
        self, case_id: str | None = None, *, as_of: datetime | None = None
    ) -> dict[str, dict[str, Any]]:
        """The last manifest of every case that has a record, by the case's id; of one case when *case_id* is given."""
        last: dict[str, tuple[tuple[int, str, int], dict[str, Any]]] = {}
        for event in self.events(subject=case_id, kind=RECORD_WRITTEN, as_of=as_of):
            if event.subject not in last or last[event.subject][0] < event.order:
                last[event.subject] = (event.order, event.data)
        return {subject: data for subject, (_, data) in last.items()}

    def count(self, *, as_of: datetime | None = None) -> dict[str, int]:
        """How many events, complaints and cases there are, and how many complaints have a place."""
        moment = _moment(as_of)
        number = sa.func.count()
        events = sa.select(number).select_from(tables.event)
        if moment is not None:
            events = events.where(tables.event.c.recorded_at <= moment)
        complaints, with_place, needs_confirming, cases = 0, 0, 0, 0
        with store.reading(self._engine) as connection:
            for table, known in tables.known_parts(tables.complaint, moment):
                # All that is counted of them in one pass.
                confirming = number.filter(table.c.needs_confirming)
                counts = sa.select(number, sa.func.count(table.c.lon), confirming).where(*known)
                row = connection.execute(counts.select_from(table)).one()
                complaints += row[0]
                with_place += row[1]
                needs_confirming += row[2]
            for table, known in tables.known_parts(tables.case, moment):
                # A merged case has no complaint, and so no last one.
                some = sa.select(number).select_from(table).where(table.c.last_at.is_not(None), *known)
                cases += connection.scalar(some) or 0
            return {
                "events": connection.scalar(events) or 0,
                "complaints": complaints,
                "cases": cases,
                "with_place": with_place,
                "needs_confirming": needs_confirming,
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

    def heads(self) -> list[Head]:
        """Where the chain of each device ends, signed by it: kept elsewhere, they show a tail that was cut off."""
        head = tables.head.c
        statement = sa.select(head.origin, head.sequence, head.digest, head.key, head.signature)
        with store.reading(self._engine) as connection:
            rows = connection.execute(statement.order_by(head.origin)).all()
        return [Head(o, s, bytes(d), bytes(k or b""), bytes(sign or b"")) for o, s, d, k, sign in rows]

    def verify(
        self, *, heads: Iterable[Head] = (), trusted: Mapping[str, bytes] | None = None
    ) -> list[Problem]:
        """Recompute every chain; returns what is wrong, an empty list when nothing is.

        *heads* are those that were kept elsewhere: an event that one of them names must still be there. *trusted*
        are the public keys that devices are known by, by origin.
        """
        from fieldkit.ledger.verification import check_chains

        with store.reading(self._engine) as connection:
            return list(check_chains(connection, heads, trusted or {}))

    def data_version(self, *, as_of: datetime | None = None) -> str:
        """Twelve hex digits that change whenever an event is added that figures, maps and records are made from."""
        with store.reading(self._engine) as connection:
            return data_version(connection, _moment(as_of))

    def roles(self) -> dict[str, frozenset[str]]:
        """Who has which roles of the office."""
        with store.reading(self._engine) as connection:
            return vault.holders(connection)

    def grant(self, actor: str, role: str) -> None:
        """Give *actor* a role (:data:`fieldkit.roles.ROLES`); raises :class:`~fieldkit.errors.NotAllowed`."""
        self._change_role(ROLE_GRANTED, actor, role)

    def revoke(self, actor: str, role: str) -> None:
        """Take a role back from *actor*; raises :class:`~fieldkit.errors.NotAllowed`."""
        self._change_role(ROLE_REVOKED, actor, role)

    def _change_role(self, kind: str, actor: str, role: str) -> None:
        if role not in roles.ROLES:
            raise NotAllowed(f"There is no role {role!r}. Roles are: {', '.join(roles.ROLES)}.")
        with store.writing(self._engine) as connection:
            writer = self._writer(connection)
            held = vault.holders(connection)
            roles.check_allowed(self._actor, _KEEPERS, held)
            roles.check_change(kind, actor, role, held)
            payload = canonical({"actor": kept(actor), "role": role})
            writer.write([(OFFICE, kind, payload, writer.recorded_at)])

    def complainant(self, complaint_id: str, *, reason: str) -> Person | None:
        """Who sent the complaint, after it is on disk that *actor* looked, and why; None where nobody is known.

        Raises :class:`~fieldkit.errors.NotAllowed` without a role or a reason and
        :class:`~fieldkit.errors.KeyFileError` where this device does not hold the vault's key.
        """
        reason = kept(_given(reason))
        with store.writing(self._engine) as connection:
            roles.check_allowed(self._actor, _OPENERS, vault.holders(connection))
            # Read first, so that nothing is noted where there is nothing to see, and given out after the commit.
            person = vault.opened(connection, self._keys, complaint_id)
            if person is not None:
                writer = self._writer(connection)
                payload = canonical({"reason": reason})
                writer.write([(complaint_id, COMPLAINANT_OPENED, payload, writer.recorded_at)])
        return person

    def forget(self, complaint_id: str, *, reason: str) -> int:
        """Destroy the keys of whoever sent the complaint, for good; returns how many complaints the person had sent.

        Raises :class:`~fieldkit.errors.NotAllowed` without the keeper's role or a reason, or where nobody is known.
        """
        reason = kept(_given(reason))
        with store.writing(self._engine) as connection:
            roles.check_allowed(self._actor, _KEEPERS, vault.holders(connection))
            person_id = vault.person_of(connection, complaint_id)
            if person_id is None:
                raise NotAllowed(
                    f"Nobody is known to have sent complaint {complaint_id!r}; nothing to forget."
                )
            writer = self._writer(connection)
            payload = canonical({"reason": reason})
            writer.write([(person_id, PERSON_FORGOTTEN, payload, writer.recorded_at)])
            with store.overwriting(connection):
                forgotten = vault.destroy(connection, person_id)
        store.settle(self._engine)
        return forgotten


_KEEPERS = frozenset({roles.KEEPER})
_OPENERS = frozenset({roles.OPENER, roles.KEEPER})


def _given(reason: str) -> str:
    if not reason.strip():
        raise NotAllowed("No reason was given. Say in a few words why this has to be seen or forgotten.")
    return reason.strip()


def _moment(as_of: datetime | None) -> int | None:
    if as_of is None:
        return None
    if as_of.utcoffset() is None:
        raise LedgerError(f"As of {as_of} has no time zone. Give a zone-aware time.")
    return microseconds(as_of)

"""The ledger: facts that are only ever added, and what can be read from them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from fieldkit import roles
from fieldkit.cases import Case
from fieldkit.errors import LedgerError, NotAllowed, UnknownCase
from fieldkit.events import (
    COMPLAINANT_OPENED,
    COMPLAINT_RECEIVED,
    EVIDENCE_ADDED,
    EVIDENCE_DERIVED,
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
    moment_of,
)
from fieldkit.ledger import encryption, store, tables, vault
from fieldkit.ledger.appending import Writer, data_version
from fieldkit.ledger.encryption import check_possible
from fieldkit.ledger.heads import Head
from fieldkit.ledger.migration import migrate
from fieldkit.ledger.projection import advance
from fieldkit.ledger.receiving import Outcome, Receipt, Receiving
from fieldkit.ledger.verification import Problem

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from fieldkit.complaints import Person
    from fieldkit.keys import Keys, RecoveryKey, StoreLock
    from fieldkit.ledger.absorbing import Absorbed
    from fieldkit.ledger.frames import Filters

__all__ = ["Head", "Ledger", "Outcome", "Problem", "Receipt", "Receiving", "check_possible"]

_PAGE = 10_000
# Engines of a process that forked this one: kept, so that nothing closes their connections.
_inherited: list[sa.Engine] = []


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """An append-only store of events with its projections, at a database address of SQLAlchemy.

    *origin* names this device in the events it writes, *actor* who is at it; *clock* gives the time of recording.
    *keys* sign what is written and seal who complained; without them the chain is unsigned, and nobody can be kept.
    *lock* opens an SQLite file that is encrypted.
    What takes *as_of*, a zone-aware time, then answers as from the events that had been recorded until that moment. A
    ledger that is itself opened *as_of* answers all of these so, knows of nothing later, and refuses to be written.
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
        lock: StoreLock | None = None,
        as_of: datetime | None = None,
    ) -> None:
        check_name(origin, "origin")
        self.url = url
        self.as_of = as_of
        self._origin = origin
        self._actor = kept(actor)
        self._clock = clock
        self._keys = keys
        self._lock = lock
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
            self._opened = (process, store.open_store(self.url, self._prepare, self._lock))
            if self._lock is not None and self._lock.exists:
                encryption.tidy(self._opened[1], self._lock)
        return self._opened[1]

    def _prepare(self, engine: sa.Engine) -> None:
        migrate(engine, self._writer)

    def _writer(self, connection: sa.Connection) -> Writer:
        return Writer(connection, self._origin, self._actor, self._clock, self._keys)

    def _moment(self, as_of: datetime | None) -> int | None:
        """*as_of* in microseconds since 1970 in UTC; where the ledger was opened as of a moment, none after that."""
        moments = [_microseconds(moment) for moment in (as_of, self.as_of) if moment is not None]
        return min(moments, default=None)

    def check_writable(self) -> None:
        """Raise :class:`LedgerError` where the ledger was opened as of a moment: nothing is written into the past."""
        if self.as_of is not None:
            raise LedgerError(
                f"The ledger was opened as of {self.as_of.isoformat()}, and nothing is written into the past. "
                "Open it as of now: without as_of, --as-of or FIELDKIT_AS_OF."
            )

    def _writing(self, *, bulk: bool = False) -> contextlib.AbstractContextManager[sa.Connection]:
        self.check_writable()
        return store.writing(self._engine, bulk=bulk)

    def open(self) -> None:
        """Open the store now rather than when it is first asked, so that what is wrong with it is said at once."""
        assert self._engine

    def check_encryption(self) -> None:
        """Raise :class:`LedgerError`, in a sentence that says what to do, where the ledger cannot be encrypted."""
        encryption.check_plain(self.url, self._lock)

    def check_decryption(self) -> None:
        """Raise :class:`LedgerError`, in a sentence, where the ledger is not encrypted or SQLCipher is missing."""
        encryption.check_encrypted(self.url, self._lock)

    def encrypt(self, passphrase: str, recovery: RecoveryKey) -> None:
        """Encrypt the SQLite file, to be opened with *passphrase* or *recovery*.

        A kill at any moment leaves the plain file or the encrypted one, whole. Raises
        :class:`~fieldkit.errors.LedgerError` where that cannot be, with nothing changed.
        """
        self._convert(lambda lock: encryption.encrypt(self.url, lock, passphrase, recovery))

    def decrypt(self, passphrase: str) -> None:
        """Make a plain SQLite file of the encrypted one; as :meth:`encrypt`."""
        if self._lock is not None and self._lock.exists:
            self._lock.open(passphrase)
        self._convert(lambda lock: encryption.decrypt(self.url, lock, passphrase))

    def _convert(self, convert: Callable[[StoreLock], None]) -> None:
        if self._lock is None:
            raise LedgerError("This ledger was opened without a folder for its key. Open it as a workspace.")
        self.check_writable()
        check_possible(self.url)
        self.open()  # it is a ledger, with the tables of today, and what an earlier try left is put in order
        self.close()
        convert(self._lock)

    def close(self) -> None:
        """Close every connection; the ledger opens them again when asked."""
        if self._opened is not None and self._opened[0] == os.getpid():
            store.close_store(self._opened[1])
            self._opened = None

    def append(self, facts: Iterable[Fact]) -> list[Event]:
        """Write *facts* and bring the projections up to date, all or nothing; when it returns, they are on disk.

        Raises :class:`LedgerError` when the database refuses; then nothing was changed.
        """
        # The payloads are written out before the lock is taken.
        rows = [(f.subject, f.kind, canonical(f.payload), microseconds(f.occurred_at)) for f in facts]
        with self._writing() as connection:
            appended = [Event(*row) for row in self._writer(connection).write(rows)]
            advance(connection, appended)
        return appended

    @contextlib.contextmanager
    def receiving(self) -> Iterator[Receiving]:
        """Take complaints in by the thousand; all are on disk when the block has ended well, none otherwise."""
        with self._writing(bulk=True) as connection:
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
        if (moment := self._moment(as_of)) is not None:
            statement = statement.where(event.recorded_at <= moment)
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
        case, name = tables.known(tables.case, self._moment(as_of)), kept(name)
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
        complaint = tables.known(tables.complaint, self._moment(as_of)).c
        with store.reading(self._engine) as connection:
            found = connection.scalar(sa.select(complaint.case_id).where(complaint.id == complaint_id))
        if found is None:
            raise UnknownCase(f"There is no complaint {complaint_id!r}.")
        return str(found)

    def cases_of(self, complaint_ids: Iterable[str], *, as_of: datetime | None = None) -> dict[str, str]:
        """The id of the case that each of these complaints belongs to; one that is not there is left out."""
        complaint, wanted = tables.known(tables.complaint, self._moment(as_of)).c, sorted(set(complaint_ids))
        found: dict[str, str] = {}
        with store.reading(self._engine) as connection:
            for some in store.chunks(wanted, _PAGE):
                rows = connection.execute(
                    sa.select(complaint.id, complaint.case_id).where(complaint.id.in_(some))
                )
                found.update((str(one), str(case)) for one, case in rows)
        return found

    def case(self, name: str, *, as_of: datetime | None = None) -> Case:
        """The case with this id or number, folded from its events; raises :class:`UnknownCase`."""
        case_id = self.find_case(name, as_of=as_of)
        moment = self._moment(as_of)
        event, complaint = tables.event, tables.known(tables.complaint, moment)
        with store.reading(self._engine) as connection:
            mine = sa.select(complaint.c.id).where(complaint.c.case_id == case_id)
            subjects = sa.union(mine, sa.select(sa.literal(case_id)))
            statement = sa.select(event).where(event.c.subject.in_(subjects))
            if moment is not None:
                statement = statement.where(event.c.recorded_at <= moment)
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

        moment = self._moment(as_of)
        with store.reading(self._engine) as connection:
            frame = complaints_frame(connection, filters, columns, zone, moment)
            frame.attrs = {"data_version": data_version(connection, moment), "time_zone": zone.key}
        if moment is not None:
            frame.attrs["as_of"] = moment_of(moment).astimezone(zone).isoformat()
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
            return cases_frame(
                connection, filters, zone, self._moment(as_of), only_open=only_open, limit=limit
            )

    def records(
        self, case_id: str | None = None, *, as_of: datetime | None = None
    ) -> dict[str, dict[str, Any]]:
        """The last manifest of every case that has a record, by the case's id; of one case when *case_id* is given."""
        last: dict[str, tuple[tuple[int, str, int], dict[str, Any]]] = {}
        for event in self.events(subject=case_id, kind=RECORD_WRITTEN, as_of=as_of):
            if event.subject not in last or last[event.subject][0] < event.order:
                last[event.subject] = (event.order, event.data)
        return {subject: data for subject, (_, data) in last.items()}

    def evidence(
        self, case_id: str | None = None, *, as_of: datetime | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Every piece of evidence by the id of the case it was added to, each once, in order; or of one case."""
        found: dict[str, list[Event]] = {}
        for kind in (EVIDENCE_ADDED, EVIDENCE_DERIVED):
            for event in self.events(subject=case_id, kind=kind, as_of=as_of):
                found.setdefault(event.subject, []).append(event)
        result = {}
        for subject, added in found.items():
            # Two devices may have added the same file to the same case; the first counts.
            first: dict[str, dict[str, Any]] = {}
            for event in sorted(added, key=lambda event: event.order):
                first.setdefault(event.data["sha256"], event.data)
            result[subject] = list(first.values())
        return result

    def count(self, *, as_of: datetime | None = None) -> dict[str, int]:
        """How many events, complaints and cases there are, and how many complaints have a place."""
        moment = self._moment(as_of)
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

        with self._writing(bulk=True) as connection:
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

    def absorb(
        self,
        events: Iterable[Event],
        heads: Iterable[Head] = (),
        *,
        trusted: Mapping[str, bytes] | None = None,
        sealed: Mapping[str, Sequence[tuple[Any, ...]]] | None = None,
        expected: str | None = None,
    ) -> Absorbed:
        """Take the chains of other devices in, all or nothing; the same again, or another order, changes nothing.

        *events* have each device's in order, *heads* say where the chains end, signed. *trusted* vouches for the key of
        a device, by its origin, where it was changed; *sealed* are rows of the vault. Where *expected* is given and
        the ledger was empty before, its :meth:`state_hash` must be that afterwards. Raises :class:`LedgerError` naming
        the origin and the sequence where a chain has a gap, was forked or changed, or is not signed.
        """
        from fieldkit.ledger.absorbing import absorb
        from fieldkit.ledger.verification import state_hash

        with self._writing(bulk=True) as connection:
            was_empty = connection.scalar(sa.select(tables.head.c.origin).limit(1)) is None
            absorbed = absorb(connection, events, heads, trusted=trusted or {}, sealed=sealed or {})
            if expected is not None and was_empty and state_hash(connection) != expected:
                raise LedgerError(
                    "The events give another state than the one that was exported, so nothing was taken in. "
                    "Update the kit, or use another copy."
                )
        if absorbed.forgotten:
            store.settle(self._engine)
        return absorbed

    def beside(self, path: Path) -> Ledger:
        """The ledger in the SQLite file *path*, opened as this one is: same device, same keys, same encryption."""
        return Ledger(
            f"sqlite:///{path.as_posix()}",
            origin=self._origin,
            actor=self._actor,
            clock=self._clock,
            keys=self._keys,
            lock=self._lock,
        )

    def copy_to(self, path: Path) -> None:
        """Write all of this ledger as of now, the vault too, to the new SQLite file *path*; others may go on writing.

        The file is not yet on disk for good when this returns. Raises :class:`LedgerError`.
        """
        from fieldkit.ledger.copying import vacuum_into

        if self._engine.dialect.name == "sqlite":
            vacuum_into(self._engine, path)
            return
        copy = self.beside(path)
        try:
            copy.fill_from(self)
        finally:
            copy.close()

    def fill_from(self, other: Ledger) -> None:
        """Copy every row of *other* into this ledger, which must be empty; all or nothing, whatever the databases."""
        from fieldkit.ledger.copying import copy_rows

        with store.reading(other._engine) as source, self._writing(bulk=True) as target:
            copy_rows(source, target)

    def damage(self) -> list[str]:
        """What SQLite finds damaged in the file, an empty list when nothing is."""
        from fieldkit.ledger.copying import damage

        with store.reading(self._engine) as connection:
            return damage(connection)

    def sealed(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows of the vault, sealed as they are, and what was imported, each with its table's name."""
        from fieldkit.ledger.copying import rows_of

        for table in (*tables.VAULT, tables.imported):
            names = [column.name for column in table.columns]
            with store.reading(self._engine) as connection:
                for rows in rows_of(connection, table):
                    yield from ((table.name, dict(zip(names, row, strict=True))) for row in rows)

    def data_version(self, *, as_of: datetime | None = None) -> str:
        """Twelve hex digits that change whenever an event is added that figures, maps and records are made from."""
        with store.reading(self._engine) as connection:
            return data_version(connection, self._moment(as_of))

    def roles(self, *, as_of: datetime | None = None) -> dict[str, frozenset[str]]:
        """Who has which roles of the office."""
        return roles.holders(self.events(subject=OFFICE, as_of=as_of))

    def grant(self, actor: str, role: str) -> None:
        """Give *actor* a role (:data:`fieldkit.roles.ROLES`); raises :class:`~fieldkit.errors.NotAllowed`."""
        self._change_role(ROLE_GRANTED, actor, role)

    def revoke(self, actor: str, role: str) -> None:
        """Take a role back from *actor*; raises :class:`~fieldkit.errors.NotAllowed`."""
        self._change_role(ROLE_REVOKED, actor, role)

    def _change_role(self, kind: str, actor: str, role: str) -> None:
        if role not in roles.ROLES:
            raise NotAllowed(f"There is no role {role!r}. Roles are: {', '.join(roles.ROLES)}.")
        with self._writing() as connection:
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
        with self._writing() as connection:
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
        with self._writing() as connection:
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


def _microseconds(as_of: datetime) -> int:
    if as_of.utcoffset() is None:
        raise LedgerError(f"As of {as_of} has no time zone. Give a zone-aware time.")
    return microseconds(as_of)

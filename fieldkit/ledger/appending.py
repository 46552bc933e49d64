"""Append events to this device's chain, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import GENESIS, RECORD_WRITTEN, digest_of, microseconds
from fieldkit.ledger import store, tables

#: Subject, kind, canonical payload, and when it occurred in microseconds.
FactRow = tuple[str, str, str, int]
#: The fields of :class:`fieldkit.events.Event`, which are the columns of the table *event*, in their order.
EventRow = tuple[str, int, str, str, str, int, int, str, bytes, bytes]


class Writer:
    """The end of one device's chain, held for the length of a transaction that writes."""

    def __init__(
        self, connection: Connection, origin: str, actor: str, clock: Callable[[], datetime]
    ) -> None:
        self.connection = connection
        self._origin = origin
        self._actor = actor
        self._clock = clock
        statement = sa.select(tables.head).where(tables.head.c.origin == origin).with_for_update()
        row = connection.execute(statement).first()
        self._new = row is None
        self._sequence: int = 0 if row is None else row.sequence
        self._digest: bytes = GENESIS if row is None else row.digest
        self._data_sequence: int = 0 if row is None else row.data_sequence
        self._data_digest: bytes = GENESIS if row is None else row.data_digest

    def write(self, facts: Iterable[FactRow]) -> list[EventRow]:
        """Write *facts* as the chain's next events; returns the rows of the table *event*."""
        origin, actor = self._origin, self._actor
        recorded_at = microseconds(self._clock())
        rows: list[EventRow] = []
        for subject, kind, payload, occurred_at in facts:
            self._sequence += 1
            previous = self._digest
            said = (origin, self._sequence, subject, kind, actor, occurred_at, recorded_at, payload, previous)
            self._digest = digest_of(*said)
            rows.append((*said, self._digest))
            if kind != RECORD_WRITTEN:
                self._data_sequence, self._data_digest = self._sequence, self._digest
        if rows:
            store.insert(self.connection, tables.event, rows)
            self._move_head()
        return rows

    def _move_head(self) -> None:
        values = {
            "sequence": self._sequence,
            "digest": self._digest,
            "data_sequence": self._data_sequence,
            "data_digest": self._data_digest,
        }
        if self._new:
            self.connection.execute(sa.insert(tables.head).values(origin=self._origin, **values))
            self._new = False
        else:
            self.connection.execute(
                sa.update(tables.head).where(tables.head.c.origin == self._origin).values(**values)
            )

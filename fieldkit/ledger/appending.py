"""Append events to this device's chain, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import GENESIS, RECORD_WRITTEN, Event, digest_of, microseconds
from fieldkit.ledger import tables


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
        if row is None:
            self._sequence, self._digest = 0, GENESIS
            self._data_sequence, self._data_digest = 0, GENESIS
            self._new = True
        else:
            self._sequence, self._digest = row.sequence, bytes(row.digest)
            self._data_sequence, self._data_digest = row.data_sequence, bytes(row.data_digest)
            self._new = False

    def write(self, facts: Sequence[tuple[str, str, str, int]]) -> list[Event]:
        """Write *facts* (subject, kind, canonical payload, occurred_at in microseconds) as the chain's next events."""
        recorded_at = microseconds(self._clock())
        events = []
        for subject, kind, payload, occurred_at in facts:
            self._sequence += 1
            previous = self._digest
            self._digest = digest_of(
                self._origin,
                self._sequence,
                subject,
                kind,
                self._actor,
                occurred_at,
                recorded_at,
                payload,
                previous,
            )
            events.append(
                Event(
                    self._origin,
                    self._sequence,
                    subject,
                    kind,
                    self._actor,
                    occurred_at,
                    recorded_at,
                    payload,
                    previous,
                    self._digest,
                )
            )
            if kind != RECORD_WRITTEN:
                self._data_sequence, self._data_digest = self._sequence, self._digest
        if events:
            self.connection.execute(sa.insert(tables.event), [_row(event) for event in events])
            self._move_head()
        return events

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


def _row(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in _COLUMNS}


_COLUMNS = tuple(column.name for column in tables.event.columns)

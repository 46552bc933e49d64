"""Read every event again and recompute the chains: what was changed, removed, inserted or swapped is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import GENESIS, Event, digest_of
from fieldkit.ledger import tables


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written: which event (origin and sequence), and what is wrong, in a sentence."""

    origin: str
    sequence: int
    message: str


def check_chains(connection: Connection) -> Iterator[Problem]:
    """Yield every problem of every chain, in order of origin and sequence; an untouched ledger yields none."""
    heads = {row.origin: row for row in connection.execute(sa.select(tables.head))}
    statement = sa.select(tables.event).order_by(tables.event.c.origin, tables.event.c.sequence)
    rows = connection.execution_options(stream_results=True, yield_per=10_000).execute(statement)
    origin, sequence, digest = "", 0, GENESIS
    for row in rows:
        event = Event(*row)
        if event.origin != origin:
            yield from _check_end(heads.pop(origin, None), origin, sequence, digest)
            origin, sequence, digest = event.origin, 0, GENESIS
        if event.sequence != sequence + 1:
            missing = f"{sequence + 1} to {event.sequence - 1}"
            yield Problem(origin, sequence + 1, f"Events {missing} of {origin} are missing.")
        elif bytes(event.previous) != digest:
            yield Problem(
                origin,
                event.sequence,
                f"Event {event.sequence} of {origin} does not follow the one before it.",
            )
        sequence, digest = event.sequence, bytes(event.digest)
        if recomputed(event) != digest:
            yield Problem(
                origin,
                event.sequence,
                f"Event {event.sequence} of {origin} was changed after it was written.",
            )
    yield from _check_end(heads.pop(origin, None), origin, sequence, digest)
    for left in heads.values():
        yield Problem(left.origin, 1, f"All {left.sequence} events of {left.origin} are missing.")


def _check_end(
    head: sa.Row[tuple[object, ...]] | None, origin: str, sequence: int, digest: bytes
) -> Iterator[Problem]:
    if not origin:
        return
    if head is None:
        yield Problem(origin, sequence, f"The chain of {origin} has events but no head.")
    elif head.sequence != sequence or bytes(head.digest) != digest:
        yield Problem(
            origin,
            sequence,
            f"The chain of {origin} ends at event {sequence}, but its head names {head.sequence}.",
        )


def recomputed(event: Event) -> bytes:
    """The digest that the event's own fields give."""
    return digest_of(
        event.origin,
        event.sequence,
        event.subject,
        event.kind,
        event.actor,
        event.occurred_at,
        event.recorded_at,
        event.payload,
        bytes(event.previous),
    )


def check_projections(connection: Connection) -> str:
    """The SHA-256 (hex) over every row of the projections in order of id: equal states have equal hashes.

    The text of a row is the same on SQLite and PostgreSQL, so the hash is too.
    """
    running = hashlib.sha256()
    for table in tables.PROJECTIONS:
        # Ordered by bytes, not by a database's collation.
        order = sa.collate(table.c.id, "C") if connection.dialect.name == "postgresql" else table.c.id
        statement = sa.select(table).order_by(order)
        for row in connection.execution_options(stream_results=True, yield_per=10_000).execute(statement):
            values = [float(v) if isinstance(v, float) else v for v in row]
            running.update(repr(values).encode("utf-8", "surrogatepass"))
    return running.hexdigest()

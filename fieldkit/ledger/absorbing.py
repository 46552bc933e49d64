"""Take the chains of other devices into this store: the union of both, in any order, as often as one likes.

What is here already must be the same; what is new must go on where this store ends. Every digest is computed again,
and nothing is changed unless all of it is sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.errors import FieldkitError, LedgerError
from fieldkit.events import (
    DEVICE_ENROLLED,
    GENESIS,
    KINDS,
    NOT_DATA,
    PERSON_FORGOTTEN,
    Event,
    check_name,
    digest_of,
    moment_of,
)
from fieldkit.jsonlines import JsonRefused, strict_json
from fieldkit.ledger import store, tables, vault
from fieldkit.ledger.heads import Head
from fieldkit.ledger.payloads import check_payload
from fieldkit.ledger.projection import project, rebuild

_CHUNK = 5_000
# From this many new subjects on it is quicker to make the projections anew than to mend them.
_MANY = 50_000


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What came of taking chains in: how many events were new, how many were here already, whose the new ones are.

    *forgotten* is how many persons were forgotten because another device had.
    """

    added: int
    known: int
    origins: tuple[str, ...]
    forgotten: int = 0


@dataclass(slots=True)
class _Chain:
    """The chain of one device: where it ends here, and where what is given has got to."""

    origin: str
    sequence: int = 0
    digest: bytes = GENESIS
    data_sequence: int = 0
    data_digest: bytes = GENESIS
    tick: int = 0
    key: bytes | None = None
    signature: bytes | None = None
    is_new: bool = True
    added: int = 0
    at: int = 0
    keys: set[bytes] = field(default_factory=set)


def absorb(
    connection: Connection,
    events: Iterable[Event],
    heads: Iterable[Head],
    *,
    trusted: Mapping[str, bytes],
    sealed: Mapping[str, Sequence[tuple[Any, ...]]],
) -> Absorbed:
    """Take *events* (each device's in order) with the *heads* of their chains in; the caller's transaction ends it.

    *trusted* are public keys that devices are known by, by origin: needed where a device changed its key. *sealed* are
    rows of the vault's tables and of *imported*, by the table's name. Raises :class:`LedgerError` naming the origin
    and the sequence where a chain has a gap, was forked, was changed or is not signed.
    """
    work = _Absorbing(connection, trusted)
    known = 0
    for some in store.chunks(events, _CHUNK):
        known += work.take(some)
    work.end(list(heads))
    _merge_sealed(connection, sealed)
    forgotten = _forget(connection)
    work.project()
    chains = sorted(work.chains.values(), key=lambda chain: chain.origin)
    return Absorbed(
        sum(c.added for c in chains), known, tuple(c.origin for c in chains if c.added), forgotten
    )


class _Absorbing:
    """One set of chains being taken in."""

    def __init__(self, connection: Connection, trusted: Mapping[str, bytes]) -> None:
        self._connection = connection
        self._trusted = trusted
        self.chains: dict[str, _Chain] = {}
        # One new event of each subject and kind: the projections ask for no more.
        self._subjects: dict[tuple[str, str], Event] = {}

    def take(self, events: Sequence[Event]) -> int:
        """Check and insert some events; returns how many of them were here already."""
        new: list[Event] = []
        old: list[Event] = []
        for event in events:
            check_event(event)
            chain = self._chain(event.origin)
            if chain.at and event.sequence != chain.at + 1:
                raise LedgerError(
                    f"{_named(event)} does not follow event {chain.at}: what is given has a gap there."
                )
            if not chain.at and event.sequence > chain.sequence + 1:
                raise LedgerError(
                    f"Events {chain.sequence + 1} to {event.sequence - 1} of {event.origin} are neither here nor in "
                    "what is given. Take those in first."
                )
            chain.at = event.sequence
            if event.sequence <= chain.sequence:
                old.append(event)
            else:
                self._append(chain, event)
                new.append(event)
        self._compare(old)
        store.insert(self._connection, tables.event, [_row(event) for event in new])
        return len(old)

    def _chain(self, origin: str) -> _Chain:
        if origin not in self.chains:
            head = tables.head
            row = self._connection.execute(sa.select(head).where(head.c.origin == origin)).mappings().first()
            self.chains[origin] = _Chain(origin) if row is None else _Chain(**row, is_new=False)
        return self.chains[origin]

    def _append(self, chain: _Chain, event: Event) -> None:
        if event.previous != chain.digest:
            raise LedgerError(
                f"{_named(event)} does not follow event {event.sequence - 1} as it is known here: the chain was "
                "forked, two devices write under one origin. Give one of them an origin of its own."
            )
        chain.sequence, chain.digest, chain.tick = event.sequence, event.digest, event.tick
        if event.kind not in NOT_DATA:
            chain.data_sequence, chain.data_digest = event.sequence, event.digest
        if event.kind == DEVICE_ENROLLED:
            self._enrol(chain, event)
        chain.added += 1
        chain.signature = None
        self._subjects.setdefault((event.subject, event.kind), event)

    def _enrol(self, chain: _Chain, event: Event) -> None:
        key = bytes.fromhex(event.data["key"])
        known = self._trusted.get(chain.origin)
        # Whoever copied a chain could go on with it under a key of their own.
        if chain.key not in (None, key) and known != key:
            raise LedgerError(
                f"{_named(event)} changes the key of the device from {bytes(chain.key or b'').hex()[:12]}… to "
                f"{key.hex()[:12]}…, which nobody vouches for. Ask whose it is, and say that it is trusted."
            )
        chain.key = key

    def _compare(self, old: Sequence[Event]) -> None:
        """Whether events that are here already are the same; the digest covers all that they say."""
        event = tables.event.c
        for origin in {one.origin for one in old}:
            given = {one.sequence: one for one in old if one.origin == origin}
            span = event.sequence.between(min(given), max(given))
            statement = sa.select(event.sequence, event.digest).where(event.origin == origin, span)
            here = {sequence: bytes(digest) for sequence, digest in self._connection.execute(statement)}
            for sequence, one in sorted(given.items()):
                if here.get(sequence) != one.digest:
                    raise LedgerError(
                        f"{_named(one)} is another here than in what is given: the chain was forked, two devices "
                        "write under one origin. Give one of them an origin of its own."
                    )

    def end(self, heads: Sequence[Head]) -> None:
        """Check the heads against the chains, and write where those that grew end now."""
        seen: set[str] = set()
        for head in heads:
            if head.origin in seen:
                raise LedgerError(f"The chain of {head.origin} is given two ends. Give one.")
            seen.add(head.origin)
            self._check_head(head)
        for chain in self.chains.values():
            if not chain.added:
                continue
            if chain.key is not None and chain.signature is None:
                raise LedgerError(
                    f"The end of the chain of {chain.origin}, event {chain.sequence}, is not signed by that device. "
                    "Give its heads too."
                )
            if self._trusted.get(chain.origin, chain.key) != chain.key:
                raise LedgerError(
                    f"The chain of {chain.origin} is signed with another key than it is known by."
                )
            self._move_head(chain)

    def _check_head(self, head: Head) -> None:
        check_name(head.origin, "origin")
        if not 0 < head.sequence <= _BIGGEST:
            raise LedgerError(f"The head of {head.origin} names the impossible event {head.sequence}.")
        chain = self._chain(head.origin)
        event = tables.event.c
        at = (event.origin == head.origin) & (event.sequence == head.sequence)
        digest = self._connection.scalar(sa.select(event.digest).where(at))
        if digest is None or bytes(digest) != head.digest:
            raise LedgerError(
                f"The head of {head.origin} names an event {head.sequence} that is not the one in what is given: a "
                "part is missing, or the chain was forked."
            )
        if chain.key is None and not head.key and not head.signature:
            return  # a device without keys
        if not head.is_genuine or head.key != self._key_at(head, chain):
            raise LedgerError(
                f"The head of {head.origin} at event {head.sequence} is not signed with that device's key."
            )
        if head.sequence == chain.sequence:
            chain.signature = head.signature

    def _key_at(self, head: Head, chain: _Chain) -> bytes | None:
        if head.sequence == chain.sequence:
            return chain.key
        # An older head than what is here may bear an older key.
        event = tables.event.c
        statement = (
            sa.select(event.payload)
            .where(
                event.origin == head.origin, event.kind == DEVICE_ENROLLED, event.sequence <= head.sequence
            )
            .order_by(event.sequence.desc())
            .limit(1)
        )
        payload = self._connection.scalar(statement)
        return None if payload is None else bytes.fromhex(strict_json(payload)["key"])

    def _move_head(self, chain: _Chain) -> None:
        values = {
            column.name: getattr(chain, column.name)
            for column in tables.head.columns
            if column.name != "origin"
        }
        if chain.is_new:
            self._connection.execute(sa.insert(tables.head).values(origin=chain.origin, **values))
        else:
            where = tables.head.c.origin == chain.origin
            self._connection.execute(sa.update(tables.head).where(where).values(**values))

    def project(self) -> None:
        """Bring the projections up to date with all that was taken in."""
        try:
            if len(self._subjects) > _MANY:
                rebuild(self._connection)
            else:
                project(self._connection, list(self._subjects.values()))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # What check_payload did not think of is a refusal all the same.
            raise LedgerError(f"What is given says something that cannot be understood: {error}.") from error


_BIGGEST = (1 << 63) - 1
# A clock that is set beyond this would leave no room for the ticks of others.
_LAST_TICK = 1 << 62


def check_event(event: Event) -> None:
    """Raise :class:`LedgerError` unless *event* is one that the kit can have written, and its digest is right."""
    if event.sequence < 1 or event.sequence > _BIGGEST:
        raise LedgerError(f"An event of {event.origin[:40]!r} has the impossible sequence {event.sequence}.")
    try:
        check_name(event.origin, "origin")
        check_name(event.subject, "subject")
        if digest_of(*_row(event)[:10]) != event.digest:
            raise LedgerError("it was changed after it was written")
        if event.kind not in KINDS:
            raise LedgerError(f"its kind {event.kind[:40]!r} is not known here; a newer fieldkit may know it")
        moment_of(event.occurred_at)
        moment_of(event.recorded_at)
        if not 0 <= abs(event.tick) < _LAST_TICK:
            raise LedgerError("its tick is beyond any clock")
        if "\x00" in event.actor or "\x00" in event.payload:
            raise LedgerError("it holds a character that no database keeps")
        check_payload(event.kind, event.subject, event.origin, strict_json(event.payload))
    except JsonRefused as error:
        raise LedgerError(f"{_named(event)} cannot be taken in: its payload: {error}.") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise LedgerError(
            f"{_named(event)} cannot be taken in: a time or a text in it is impossible."
        ) from error
    except FieldkitError as error:
        raise LedgerError(f"{_named(event)} cannot be taken in: {str(error).rstrip('.')}.") from error


def _named(event: Event) -> str:
    # An origin that is none may hold anything.
    return f"Event {event.sequence} of {repr(event.origin[:40])[1:-1]}"


def _row(event: Event) -> tuple[Any, ...]:
    return (
        event.origin,
        event.sequence,
        event.subject,
        event.kind,
        event.actor,
        event.occurred_at,
        event.recorded_at,
        event.tick,
        event.payload,
        event.previous,
        event.digest,
    )


def _merge_sealed(connection: Connection, sealed: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
    """Add those rows of the vault, and of *imported*, whose key is not here yet; what is here stays as it is."""
    for table in (*tables.VAULT, tables.imported):
        rows = sealed.get(table.name, ())
        if table is tables.vault and len(rows) > 1:
            raise LedgerError("What is sealed names two vaults, and a ledger has one. Use another copy.")
        if table is tables.vault and vault.public_key(connection) is not None:
            # Each office seals to its own vault; what was sealed to another's is kept for whoever holds that key.
            continue
        key = table.primary_key.columns[0]
        for some in store.chunks(rows, _CHUNK):
            given = {row[0]: row for row in some}
            here = set(connection.scalars(sa.select(key).where(key.in_(list(given)))))
            store.insert(connection, table, [row for name, row in given.items() if name not in here])


def _forget(connection: Connection) -> int:
    """Forget whoever was forgotten on any of the devices: an older copy of the vault must not bring a person back."""
    event, person_key = tables.event.c, tables.person_key.c
    forgotten = sa.select(event.subject).where(event.kind == PERSON_FORGOTTEN, tables.LATER)
    again = list(
        connection.scalars(
            sa.select(person_key.person_id).where(person_key.person_id.in_(forgotten)).distinct()
        )
    )
    if again:
        with store.overwriting(connection):
            for person_id in again:
                vault.destroy(connection, person_id)
    return len(again)

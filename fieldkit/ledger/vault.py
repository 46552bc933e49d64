"""The vault: who complained, sealed under keys of each person's own, apart from everything else.

Sealing needs only the vault's public key, so every device can take complaints in; opening needs the private one, which
lies in ``keys/vault.key`` of the devices that the office chose, and a role. Nothing here is ever part of a frame.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import roles
from fieldkit.complaints import Person
from fieldkit.errors import KeyFileError, LedgerError
from fieldkit.events import OFFICE, ROLE_GRANTED, Event, canonical, identifier, kept
from fieldkit.keys import VaultKey, lock, new_key, seal, unlock
from fieldkit.ledger import store, tables

if TYPE_CHECKING:
    from fieldkit.keys import Keys
    from fieldkit.ledger.appending import Writer

_CHUNK = 5_000
# Of so many persons the keys are kept at hand; one who comes again later gets a further key, which is as good.
_MOST_MET = 50_000
_FIELDS = tuple(field.name for field in fields(Person))


class Sealing:
    """Seals persons within one transaction; one key of a person serves many of that person's complaints in it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._batch: tuple[str, bytes] | None = None
        self._vault: VaultKey | None = None
        # Persons met lately, by mark, with the id and a key of this transaction's.
        self._met: dict[bytes, tuple[str, str, bytes]] = {}

    def add(self, persons: Sequence[tuple[str, Person]]) -> None:
        """Seal who sent which complaint, given as pairs of the complaint's id and the person.

        Raises :class:`LedgerError` where there is neither a vault nor the means to make one.
        """
        if not persons:
            return
        if len(self._met) > _MOST_MET:
            self._met.clear()
        batch_id, batch_key = self._opened_batch()
        marks = [None if self._vault is None else _mark(self._vault, person) for _, person in persons]
        known = self._known({mark for mark in marks if mark is not None} - self._met.keys())
        new_persons: list[tuple[str, bytes | None]] = []
        new_keys: list[tuple[str, str, str, bytes]] = []
        sealed: list[tuple[str, str, str, bytes]] = []
        for (complaint_id, person), mark in zip(persons, marks, strict=True):
            met = None if mark is None else self._met.get(mark)
            if met is None:
                person_id = None if mark is None else known.get(mark)
                if person_id is None:
                    person_id = _new_id()
                    new_persons.append((person_id, mark))
                met = (person_id, _new_id(), new_key())
                new_keys.append((met[1], person_id, batch_id, lock(batch_key, met[2], met[1].encode())))
                if mark is not None:
                    self._met[mark] = met
            person_id, key_id, key = met
            sealed.append((complaint_id, person_id, key_id, lock(key, _plain(person), complaint_id.encode())))
        store.insert(self._connection, tables.person, new_persons)
        store.insert(self._connection, tables.person_key, new_keys)
        store.insert(self._connection, tables.complainant, sealed)

    def _opened_batch(self) -> tuple[str, bytes]:
        if self._batch is None:
            keys = self._writer.keys
            public = public_key(self._connection) or _make_vault(self._writer)
            mine = None if keys is None else keys.vault()
            self._vault = mine if mine is not None and mine.public == public else None
            self._batch = (_new_id(), new_key())
            batch_id, key = self._batch
            store.insert(self._connection, tables.vault_batch, [(batch_id, seal(public, key))])
        return self._batch

    def _known(self, marks: Iterable[bytes]) -> dict[bytes, str]:
        person = tables.person.c
        found: dict[bytes, str] = {}
        for some in store.chunks(sorted(marks), _CHUNK):
            rows = self._connection.execute(sa.select(person.mark, person.id).where(person.mark.in_(some)))
            found.update((bytes(mark), person_id) for mark, person_id in rows)
        return found


def public_key(connection: Connection) -> bytes | None:
    """The key to which this ledger's vault is sealed, or None where nobody was ever kept in it."""
    found = connection.scalar(sa.select(tables.vault.c.public))
    return None if found is None else bytes(found)


def _make_vault(writer: Writer) -> bytes:
    if writer.keys is None:
        raise LedgerError(
            "Who complained cannot be kept: this ledger has no vault, and was opened without keys to make one. "
            "Open it as a workspace."
        )
    public = writer.keys.make_vault().public
    store.insert(writer.connection, tables.vault, [(public,)])
    payload = canonical({"actor": writer.actor, "role": roles.KEEPER})
    writer.write([(OFFICE, ROLE_GRANTED, payload, writer.recorded_at)])
    return public


def holders(connection: Connection) -> dict[str, frozenset[str]]:
    """Who has which roles."""
    rows = connection.execute(sa.select(tables.event).where(tables.event.c.subject == OFFICE))
    return roles.holders(Event(*row) for row in rows)


def person_of(connection: Connection, complaint_id: str) -> str | None:
    """The vault's id of whoever sent the complaint, or None where nobody is known to have."""
    complainant = tables.complainant.c
    return connection.scalar(sa.select(complainant.person_id).where(complainant.complaint_id == complaint_id))


def opened(connection: Connection, keys: Keys | None, complaint_id: str) -> Person | None:
    """Who sent the complaint; None where nobody is known to have, or the person was forgotten.

    Raises :class:`~fieldkit.errors.KeyFileError` where this device does not hold the vault's key.
    """
    vault = None if keys is None else keys.vault()
    if vault is None:
        raise KeyFileError(
            "This device does not hold the office's vault.key, so it cannot show who complained. "
            "Ask on a device that holds it."
        )
    person_key, batch, complainant = tables.person_key, tables.vault_batch, tables.complainant
    statement = (
        sa.select(complainant.c.sealed, person_key.c.id, person_key.c.locked, batch.c.sealed)
        .join_from(complainant, person_key, person_key.c.id == complainant.c.key_id)
        .join(batch, batch.c.id == person_key.c.batch_id)
        .where(complainant.c.complaint_id == complaint_id)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    sealed, key_id, locked, batch_sealed = row
    key = unlock(vault.open(bytes(batch_sealed)), bytes(locked), key_id.encode())
    return Person(**json.loads(unlock(key, bytes(sealed), complaint_id.encode())))


def seal_plain(connection: Connection, writer: Callable[[Connection], Writer]) -> None:
    """Seal what a store of the first tables had in plain text, and drop that."""
    plain = sa.Table("complainant_plain", sa.MetaData(), autoload_with=connection)
    sealing = None
    for ids in store.pages(connection, plain.c.complaint_id, _CHUNK):
        sealing = sealing or Sealing(writer(connection))
        rows = connection.execute(sa.select(plain).where(plain.c.complaint_id.in_(ids))).mappings()
        sealing.add([(row["complaint_id"], Person(*(row[name] for name in _FIELDS))) for row in rows])
    plain.drop(connection)


def destroy(connection: Connection, person_id: str) -> int:
    """Destroy the keys of a person, and what they had locked; returns how many complaints the person had sent.

    Which complaints were one person's stays known, so that figures of how many persons complained stay right.
    """
    complainant = tables.complainant
    mine = complainant.c.person_id == person_id
    connection.execute(sa.delete(tables.person_key).where(tables.person_key.c.person_id == person_id))
    connection.execute(sa.update(tables.person).where(tables.person.c.id == person_id).values(mark=None))
    return connection.execute(sa.update(complainant).where(mine).values(sealed=b"", key_id="")).rowcount


def _new_id() -> str:
    return identifier(secrets.token_hex(16))


def _plain(person: Person) -> bytes:
    return canonical({name: getattr(person, name) for name in _FIELDS}).encode()


def _mark(vault: VaultKey, person: Person) -> bytes | None:
    """What tells a person: the identity number, else the telephone, else the mail address, else name and address."""
    text = _telling(person)
    return vault.mark(text) if text else None


def _telling(person: Person) -> str:
    if number := "".join(kept(person.identity_number).upper().split()):
        return f"identity\n{number}"
    digits = person.phone if person.phone.isdecimal() else "".join(c for c in person.phone if c.isdecimal())
    # A mobile number with and without +86 is one; a shorter one is an extension, and says little.
    if len(digits) >= 7:
        return f"phone\n{digits[-11:]}"
    if email := person.email.strip().casefold():
        return f"email\n{email}"
    name, address = " ".join(person.name.split()), " ".join(person.address.split())
    return f"name\n{name}\n{address}" if name and address else ""

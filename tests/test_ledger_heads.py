"""Signed heads: a tail that was cut off, a chain written anew, an older copy put back."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_deeds import NOON, complaint, receive

from fieldkit.errors import LedgerError
from fieldkit.events import DEVICE_ENROLLED, RECORD_WRITTEN, Fact, digest_of
from fieldkit.keys import Keys
from fieldkit.ledger import Head, Ledger, tables
from fieldkit.ledger.heads import head_of, head_statement, heads_text, read_heads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path, keys: str = "keys", origin: str = "device") -> Ledger:
    return Ledger(f"sqlite:///{folder / 'ledger.sqlite'}", origin=origin, keys=Keys(folder / keys))


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    made = opened(folder)
    receive(made, complaint(1), complaint(2))
    yield made
    made.close()


def note(ledger: Ledger, n: int = 1) -> None:
    ledger.append([Fact(ledger.find_case("N1"), RECORD_WRITTEN, {"n": n}, NOON)])


def messages(ledger: Ledger, *heads: Head, trusted: dict[str, bytes] | None = None) -> list[str]:
    return [problem.message for problem in ledger.verify(heads=heads, trusted=trusted)]


def changed(ledger: Ledger, statement: str, *values: object) -> None:
    ledger.close()
    with contextlib.closing(sqlite3.connect(str(sa.make_url(ledger.url).database))) as connection:
        connection.execute(statement, values)
        connection.commit()


def test_the_first_event_of_a_device_names_its_key(ledger: Ledger, folder: Path) -> None:
    first = next(ledger.events())
    assert (first.kind, first.subject, first.sequence) == (DEVICE_ENROLLED, "device", 1)
    assert first.data == {"key": Keys(folder / "keys").public.hex()}


def test_every_write_is_signed(ledger: Ledger, folder: Path) -> None:
    for n in range(3):
        note(ledger, n)
        (head,) = ledger.heads()
        assert head.is_genuine
        assert head.key == Keys(folder / "keys").public
        last = list(ledger.events())[-1]
        assert (head.sequence, head.digest) == (last.sequence, last.digest)
    assert messages(ledger) == []


def test_a_key_that_was_lost_is_said_anew(ledger: Ledger, folder: Path) -> None:
    known = {"device": Keys(folder / "keys").public}
    other = opened(folder, keys="new-keys")
    note(other)
    assert [event.kind for event in other.events()].count(DEVICE_ENROLLED) == 2
    assert messages(other) == []
    (said,) = messages(other, trusted=known)
    assert said.startswith("The chain of device is signed with another key (")
    other.close()


def test_a_chain_written_anew_is_found(ledger: Ledger) -> None:
    """Whoever can write into the file can recompute every digest, but not sign."""
    ledger.close()
    with contextlib.closing(sqlite3.connect(str(sa.make_url(ledger.url).database))) as connection:
        rows = connection.execute(
            f"SELECT {', '.join(c.name for c in tables.event.columns)} FROM event ORDER BY sequence"  # noqa: S608
        ).fetchall()
        previous = bytes(32)
        for row in rows:
            said = [*row[:8], row[8].replace("N1", "N9"), previous]
            previous = digest_of(*said)
            connection.execute(
                "UPDATE event SET payload = ?, previous = ?, digest = ? WHERE sequence = ?",
                (said[8], said[9], previous, row[1]),
            )
        connection.execute("UPDATE head SET digest = ?, data_digest = ?", (previous, previous))
        connection.commit()
    assert messages(ledger) == [
        "The end of the chain of device is not signed with the key that the device named."
    ]


@pytest.mark.parametrize("column", ["key", "signature"])
@pytest.mark.parametrize("value", [None, b"", bytes(32), bytes(64)])
def test_a_changed_signature_is_found(ledger: Ledger, column: str, value: bytes | None) -> None:
    changed(ledger, f"UPDATE head SET {column} = ?", value)  # noqa: S608
    assert any("not signed" in message for message in messages(ledger))


def test_a_cut_tail_is_found_against_a_head(ledger: Ledger) -> None:
    (before,) = ledger.heads()
    note(ledger)
    note(ledger)
    (after,) = ledger.heads()
    changed(ledger, "DELETE FROM event WHERE sequence > ?", before.sequence)
    changed(
        ledger,
        "UPDATE head SET sequence = ?, digest = ?, tick = (SELECT max(tick) FROM event), signature = ?",
        before.sequence,
        before.digest,
        before.signature,
    )
    assert messages(ledger) == []  # it is a chain that once was
    assert messages(ledger, before) == []
    assert messages(ledger, after) == [
        f"Events {before.sequence + 1} to {after.sequence} of device are missing: a head kept elsewhere names them."
    ]


def test_an_older_copy_put_back_is_found_against_a_head(ledger: Ledger, folder: Path) -> None:
    ledger.close()
    shutil.copy(folder / "ledger.sqlite", folder / "older")
    note(ledger, 1)
    (kept,) = ledger.heads()
    ledger.close()
    shutil.copy(folder / "older", folder / "ledger.sqlite")
    assert "are missing" in messages(ledger, kept)[0]
    # Going on from the older copy makes another event of the same number.
    note(ledger, 2)
    assert messages(ledger) == []
    assert messages(ledger, kept) == [
        f"Event {kept.sequence} of device is not the one that a head kept elsewhere names."
    ]


def test_a_head_that_was_changed_is_not_believed(ledger: Ledger) -> None:
    (head,) = ledger.heads()
    forged = replace(head, sequence=1, digest=next(ledger.events()).digest)
    assert messages(ledger, forged) == ["The head kept elsewhere, of device at event 1, was changed since."]
    assert messages(ledger, head, trusted={"device": bytes(32)})[-1] == (
        "The head kept elsewhere, of device, is not signed with that device's key."
    )


def test_a_device_without_keys_has_an_unsigned_head(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/x.sqlite", origin="plain")
    receive(ledger, complaint(1))
    (head,) = ledger.heads()
    assert (head.key, head.signature) == (b"", b"")
    assert not head.is_genuine
    assert messages(ledger, head) == []
    ledger.close()


def test_heads_are_kept_as_text(ledger: Ledger, tmp_path: Path) -> None:
    heads = ledger.heads()
    path = tmp_path / "heads.jsonl"
    path.write_text(heads_text(heads), encoding="utf-8")
    assert read_heads(path) == heads
    assert all(head_of(head.plain()) == head for head in heads)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "null",
        "7",
        '"x"',
        "{",
        '{"origin":"a"}',
        "[" * 100_000,
        "\ud800".encode("utf-8", "replace").decode(),
    ],
)
def test_a_file_that_holds_no_heads_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "heads.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        LedgerError, match=r"heads\.jsonl cannot be read: it is not what `fieldkit heads` printed\. Give"
    ):
        read_heads(path)


def test_a_head_says_what_it_says() -> None:
    """Nobody can move a byte from one part of the statement to another."""
    assert head_statement("a", 11, b"\x01") != head_statement("a1", 1, b"\x01")
    assert head_statement("a", 1, b"\x11") != head_statement("a", 11, b"\x01")


def test_ten_thousand_flipped_bits_are_all_found_and_named(tmp_path: Path) -> None:
    """Each in another event of a large ledger; the number of an event is flipped in the small one, everywhere."""
    ledger = Ledger(
        f"sqlite:///{tmp_path / 'ledger.sqlite'}", origin="device", actor="李娜", keys=Keys(tmp_path / "keys")
    )
    receive(ledger, *(complaint(n, text=f"第{n}次反映") for n in range(20_000)))
    columns = [column.name for column in tables.event.columns if column.name not in ("origin", "sequence")]
    chance = random.Random(20171130)  # noqa: S311 - which bits are flipped
    chosen = set(chance.sample(range(2, 20_001), 10_000))
    ledger.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        rows = connection.execute(f"SELECT sequence, {', '.join(columns)} FROM event").fetchall()  # noqa: S608
        for sequence, *values in rows:
            if sequence in chosen:
                place = chance.randrange(len(columns))
                connection.execute(
                    f"UPDATE event SET {columns[place]} = ? WHERE sequence = ?",  # noqa: S608
                    (_flipped(values[place], chance), sequence),
                )
        connection.commit()
    assert chosen <= {problem.sequence for problem in ledger.verify()}
    ledger.close()


def _flipped(value: object, chance: random.Random) -> object:
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(62)
    data = bytearray(value.encode() if isinstance(value, str) else bytes(value))  # type: ignore[call-overload]
    data[chance.randrange(len(data) or 1)] ^= 1 << chance.randrange(8)
    if isinstance(value, str):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode()
    return bytes(data)

"""The ledger: facts only added, the same state from the same facts, and whatever is changed is found."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import hostile_texts
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_deeds import NOON, ZONE, complaint, deeds, do, emptied, frame, receive, rows_of

from fieldkit import events, places
from fieldkit.cases import case_state
from fieldkit.complaints import Person
from fieldkit.errors import LedgerError, PlaceError, UnknownCase
from fieldkit.events import COMPLAINT_LINKED, COMPLAINT_UNLINKED, PLACE_CONFIRMED, RECORD_WRITTEN, Fact
from fieldkit.keys import Keys, RecoveryKey, StoreLock
from fieldkit.ledger import Ledger, Receipt, store, tables
from fieldkit.ledger.frames import COLUMNS, Filters
from fieldkit.ledger.verification import check_chains
from fieldkit.places import Place
from fieldkit.testing import sample_complaints
from fieldkit.workspace import Workspace

HOSTILE = (
    *hostile_texts.HOSTILE,
    "'; DROP TABLE event; --",
    "\\u0000",
    "line\r\nbreak\ttab\x1f\x7f\x85\u2028",
    "%s %(x)s :x ?",
)

MakeLedger = Callable[[str], Ledger]


@pytest.fixture(params=["sqlite", "sqlcipher", pytest.param("postgres", marks=pytest.mark.postgres)])
def make_ledger(
    request: pytest.FixtureRequest, tmp_path: Path, cheap_passphrases: None
) -> Iterator[MakeLedger]:
    """Makes an empty ledger by a name, on either database, and in an encrypted file."""
    made: list[Ledger] = []
    if request.param == "postgres":
        make_database = request.getfixturevalue("postgres_database")

    lock = None
    if request.param == "sqlcipher":
        lock = StoreLock(tmp_path / "keys")
        lock.make("correct horse battery", RecoveryKey.new())
        lock.settle()
        lock.hold()  # for the processes that some tests start

    def make(name: str) -> Ledger:
        url = make_database() if request.param == "postgres" else f"sqlite:///{tmp_path / name}.sqlite"
        made.append(Ledger(url, origin=name, actor="officer", lock=lock))
        return made[-1]

    yield make
    for one in made:
        one.close()
        if lock is not None and (file := tmp_path / f"{one._origin}.sqlite").exists():
            assert not file.read_bytes().startswith(b"SQLite format 3")
    if lock is not None:
        lock.close()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger("one")


@pytest.fixture
def file_ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", origin="device", actor="officer")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def memory() -> Iterator[Ledger]:
    opened = Ledger("sqlite://", origin="device", clock=lambda: NOON)
    yield opened
    opened.close()


def id_of(ledger: Ledger, number: str) -> str:
    return ledger.find_case(number)


def linked(ledger: Ledger, number: str, case: str, relation: str = "duplicate") -> Fact:
    return Fact(
        id_of(ledger, number), COMPLAINT_LINKED, {"case": id_of(ledger, case), "relation": relation}, NOON
    )


# --- what is kept -----------------------------------------------------------------------------------------------


def test_an_empty_ledger_answers(ledger: Ledger) -> None:
    assert ledger.count() == dict.fromkeys(
        ("events", "complaints", "cases", "with_place", "needs_confirming"), 0
    )
    assert list(ledger.events()) == []
    assert ledger.verify() == []
    assert ledger.rebuild() == ledger.state_hash()
    assert ledger.append([]) == []
    assert ledger.records() == {}
    empty = frame(ledger)
    assert list(empty.columns) == [*COLUMNS, "geometry"]
    assert len(empty) == 0
    assert str(empty["received_at"].dtype) == "datetime64[us, Asia/Shanghai]"
    assert len(ledger.cases(Filters(), zone=ZONE)) == 0
    with pytest.raises(UnknownCase, match="There is no case 'N1'"):
        ledger.case("N1")


def test_the_same_receipts_twice_add_nothing(ledger: Ledger) -> None:
    everything = [pair[0] for pair in sample_complaints()]
    assert set(receive(ledger, *everything)) == {"added"}
    before = ledger.state_hash(), ledger.count(), ledger.data_version()
    assert set(receive(ledger, *everything)) == {"known"}
    assert (ledger.state_hash(), ledger.count(), ledger.data_version()) == before


def test_a_number_with_other_content_changes_nothing(ledger: Ledger) -> None:
    receive(ledger, complaint(1, text="as it was"))
    before = ledger.state_hash(), ledger.count()
    assert receive(ledger, complaint(1, text="as it is now"), complaint(1, text="as it was")) == [
        "changed",
        "known",
    ]
    assert (ledger.state_hash(), ledger.count()) == before
    assert receive(ledger, complaint(1, text="as it is now", source="another office")) == ["added"]


def test_a_number_twice_in_one_file_with_other_content_is_changed(ledger: Ledger) -> None:
    assert receive(ledger, complaint(1, text="a"), complaint(1, text="b")) == ["added", "changed"]


@settings(max_examples=25, deadline=None)
@given(
    files=st.lists(st.lists(st.sampled_from("abc"), max_size=8), min_size=1, max_size=4),
    part=st.integers(min_value=1, max_value=5),
)
def test_equal_rows_without_a_number_are_counted(memory: Ledger, files: list[list[str]], part: int) -> None:
    """After any files in any parts there are as many equal complaints as the file with the most of them has."""
    opened = emptied(memory)
    for file in files:
        with opened.receiving() as receiving:
            for start in range(0, len(file), part):
                rows = [complaint(0, number="", text=text) for text in file[start : start + part]]
                receiving.add([Receipt(row, row) for row in rows])
    texts = frame(opened)["text"].tolist()
    for text in "abc":
        assert texts.count(text) == max(file.count(text) for file in files)


def test_more_receipts_at_once_than_a_statement_takes(ledger: Ledger) -> None:
    many = [complaint(n, number="" if n % 2 else str(n), text=str(n % 7)) for n in range(12_000)]
    assert receive(ledger, *many).count("added") == 12_000
    assert ledger.count()["cases"] == 12_000
    assert ledger.rebuild() == ledger.state_hash()


def test_what_was_added_by_the_kit_does_not_make_a_row_another(ledger: Ledger) -> None:
    read = complaint(1)
    with ledger.receiving() as receiving:
        receiving.add([Receipt(read, replace(read, place=Place(105.8, 32.4), district="Lizhou"))])
    with ledger.receiving() as receiving:
        assert [o.state for o in receiving.add([Receipt(read, read)])] == ["known"]
    assert frame(ledger)["district"].tolist() == ["Lizhou"]


def test_a_receipt_of_another_device_is_known(make_ledger: MakeLedger) -> None:
    """A complaint whose import was not this store's own has nothing to be compared with, and is not taken twice."""
    ledger = make_ledger("one")
    receive(ledger, complaint(1))
    with store.writing(ledger._engine) as connection:
        connection.execute(sa.delete(tables.imported))
    assert receive(ledger, complaint(1)) == ["known"]
    assert ledger.count()["events"] == 1


def test_a_link_that_came_before_its_complaint_counts_in_the_case_it_names(memory: Ledger) -> None:
    ledger = emptied(memory)
    for deed in (("receive", 0, 0), ("link", 1, 0), ("receive", 1, 0)):
        do(ledger, deed)
    assert len(ledger.case("N0").complaints) == 2
    assert ledger.cases(Filters(), zone=ZONE)["complaints"].tolist() == [2]
    before = ledger.state_hash()
    assert ledger.rebuild() == before


def test_a_link_that_came_before_its_case_counts(ledger: Ledger) -> None:
    receive(ledger, complaint(1))
    opened_by = events.identifier("office\n#N2")
    payload = {"case": opened_by, "relation": "duplicate"}
    ledger.append([Fact(id_of(ledger, "N1"), COMPLAINT_LINKED, payload, NOON)])
    assert frame(ledger)["complaint"].tolist() != []
    receive(ledger, complaint(2))
    assert len(ledger.case("N2").complaints) == 2
    assert ledger.cases(Filters(), zone=ZONE)["complaints"].tolist() == [2]
    assert ledger.rebuild() == ledger.state_hash()


# --- the state is a function of the facts -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(done=deeds)
def test_any_deeds_rebuild_to_the_same_state(memory: Ledger, done: list[tuple[str, int, int]]) -> None:
    ledger = emptied(memory)
    for deed in done:
        do(ledger, deed)
    before = ledger.state_hash()
    assert ledger.rebuild() == before
    assert ledger.verify() == []
    for case_id, state, n in ledger.cases(Filters(), zone=ZONE)[["case", "state", "complaints"]].itertuples(
        index=False
    ):
        case = ledger.case(case_id)
        assert (case.state, len(case.complaints)) == (state, n)


@pytest.fixture(scope="module")
def server_ledger(postgres: str) -> Iterator[Ledger]:
    opened = Ledger(postgres, origin="device", clock=lambda: NOON)
    yield opened
    opened.close()


@pytest.mark.postgres
@settings(max_examples=15, deadline=None)
@given(done=deeds)
def test_both_databases_come_to_the_same_state(
    memory: Ledger, server_ledger: Ledger, done: list[tuple[str, int, int]]
) -> None:
    one, other = emptied(memory), emptied(server_ledger)
    for ledger in (one, other):
        for deed in done:
            do(ledger, deed)
    assert one.state_hash() == other.state_hash() == other.rebuild()
    assert one.data_version() == other.data_version()
    assert list(one.events()) == list(other.events())
    assert other.verify() == []


def test_the_state_in_sql_is_that_of_the_fold(ledger: Ledger) -> None:
    """A merged case, a closed one, one with an open and a closed complaint."""
    closed = NOON + timedelta(days=20)
    receive(
        ledger, complaint(1), complaint(2), complaint(3, closed_at=closed), complaint(4, closed_at=closed)
    )
    ledger.append([linked(ledger, "N2", "N1"), linked(ledger, "N4", "N1")])
    with store.reading(ledger._engine) as connection:
        rows = connection.execute(
            sa.select(tables.case.c.number, tables.case.c.state, tables.case.c.complaints)
        )
        found = {number: (state, n) for number, state, n in rows}
    assert found == {"N1": ("REGISTERED", 3), "N2": ("MERGED", 0), "N3": ("CLOSED", 1), "N4": ("MERGED", 0)}
    for number, (state, n) in found.items():
        case = ledger.case(number)
        assert (
            case.state
            == state
            == case_state(n, sum(c.complaint.closed_at is not None for c in case.complaints))
        )
    assert ledger.case("N2").merged_into == id_of(ledger, "N1")


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=20))
def test_any_text_comes_back_the_same_from_event_and_table(memory: Ledger, text: str) -> None:
    ledger = emptied(memory)
    receive(ledger, complaint(1, text=text, address=text, district=text, number="", details={text: text}))
    kept = events.kept(text)
    (event,) = ledger.events()
    folded = events.complaint_of(event.data)
    row = frame(ledger).iloc[0]
    assert folded.text == folded.address == folded.district == row["text"] == row["address"] == kept
    assert dict(folded.details) == {kept: kept}
    assert ledger.rebuild() == ledger.state_hash()
    assert ledger.verify() == []


def test_hostile_text_is_text_on_either_database(ledger: Ledger) -> None:
    texts = [*HOSTILE, "nul \x00 here", "half \ud800 and \udc00", "whole \ud83d\ude00"]
    receive(ledger, *(complaint(n, text=text, number=text) for n, text in enumerate(texts)))
    kept = [*HOSTILE, "nul \ufffd here", "half \ufffd and \ufffd", "whole 😀"]
    assert frame(ledger)["text"].tolist() == kept
    assert [event.data["text"] for event in sorted(ledger.events(), key=lambda e: e.sequence)] == kept
    assert ledger.rebuild() == ledger.state_hash()
    for text in texts:
        assert ledger.case(text).first.text == events.kept(text)
        assert frame(ledger, district=text).empty


# --- the chain --------------------------------------------------------------------------------------------------


def small(ledger: Ledger) -> Ledger:
    receive(ledger, complaint(1, text="a"), complaint(2, text="b"))
    ledger.append([linked(ledger, "N2", "N1")])
    ledger.append([Fact(id_of(ledger, "N1"), RECORD_WRITTEN, {"files": {}}, NOON)])
    return ledger


def tampered(ledger: Ledger, statement: str, *values: object) -> list[str]:
    """What verify says after *statement*, which is then undone."""
    path = sa.make_url(ledger.url).database
    assert path is not None
    ledger.close()
    whole = Path(path).read_bytes()
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()
    found = [problem.message for problem in ledger.verify()]
    ledger.close()
    Path(path).write_bytes(whole)
    return found


def test_every_changed_byte_of_every_event_is_found(file_ledger: Ledger) -> None:
    small(file_ledger)
    columns = [column.name for column in tables.event.columns]
    with store.writing(file_ledger._engine) as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(tables.event))]
        changes = 0
        for row in rows:
            for name, value in zip(columns, row, strict=True):
                for other in _changed(value):
                    change = connection.begin_nested()
                    with contextlib.suppress(sa.exc.IntegrityError):  # a number that another event has
                        connection.exec_driver_sql(
                            f"UPDATE event SET {name} = ? WHERE origin = ? AND sequence = ?",  # noqa: S608
                            (other, row[0], row[1]),
                        )
                        assert list(check_chains(connection, (), {})), (name, value, other)
                        changes += 1
                    change.rollback()
        assert changes > 1_000
        assert list(check_chains(connection, (), {})) == []


def _changed(value: object) -> Iterator[object]:
    """*value* with each of its bytes changed, and as other types."""
    if isinstance(value, int):
        yield from (value ^ (1 << bit) for bit in range(62))
        yield from (str(value) + "x", float(value) + 0.5, b"x")
        return
    data = value.encode() if isinstance(value, str) else value
    assert isinstance(data, bytes)
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        yield flipped.decode() if isinstance(value, str) else flipped
    if isinstance(value, str):
        yield data  # the same bytes, but no text
    yield from (value + value[:1], 7)  # type: ignore[operator]


@pytest.mark.parametrize("column", [column.name for column in tables.head.columns])
def test_every_changed_column_of_a_head_is_found(file_ledger: Ledger, column: str) -> None:
    small(file_ledger)
    value = {"origin": "other", "sequence": 3, "data_sequence": 2}.get(column, bytes(32))
    assert tampered(file_ledger, f"UPDATE head SET {column} = ?", value)  # noqa: S608


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM event WHERE sequence = 2", "Events 2 to 2 of device are missing."),
        ("DELETE FROM event WHERE sequence = 1", "Events 1 to 1 of device are missing."),
        (
            "DELETE FROM event WHERE sequence >= 3",
            "The chain of device ends at event 2, but its head names another",
        ),
        ("DELETE FROM event", "All 4 events of device are missing."),
        ("DELETE FROM head", "The chain of device has events but no head."),
        (
            "UPDATE event SET sequence = sequence + 1 WHERE sequence = 4",
            "Events 4 to 4 of device are missing.",
        ),
        (
            "UPDATE event SET sequence = 0 WHERE sequence = 1",
            "Event 0 of device does not follow the one before it.",
        ),
        (
            "INSERT INTO event SELECT origin, 5, subject, kind, actor, occurred_at, recorded_at, tick, "
            "payload, digest, digest FROM event WHERE sequence = 4",
            "Event 5 of device was changed after it was written.",
        ),
        (
            "INSERT INTO event SELECT 'other', sequence, subject, kind, actor, occurred_at, recorded_at, tick, "
            "payload, previous, digest FROM event WHERE sequence = 1",
            "The chain of other has events but no head.",
        ),
        (
            "UPDATE event SET payload = (SELECT e.payload FROM event e WHERE e.sequence = 3 - event.sequence) "
            "WHERE sequence < 3",
            "Event 1 of device was changed after it was written.",
        ),
        (
            "UPDATE event SET payload = CAST(x'ff41' AS TEXT) WHERE sequence = 2",
            "Event 2 of device was changed",
        ),
    ],
)
def test_what_was_done_to_the_chain_is_named(file_ledger: Ledger, statement: str, message: str) -> None:
    small(file_ledger)
    found = tampered(file_ledger, statement)
    assert any(line.startswith(message) for line in found), found
    assert file_ledger.verify() == []


def test_swapped_events_are_found(file_ledger: Ledger) -> None:
    small(file_ledger)
    file_ledger.close()
    path = sa.make_url(file_ledger.url).database
    connection = sqlite3.connect(str(path))
    for old, new in ((1, 99), (2, 1), (99, 2)):
        connection.execute("UPDATE event SET sequence = ? WHERE sequence = ?", (new, old))
    connection.commit()
    connection.close()
    assert file_ledger.verify()


def test_names_that_could_be_taken_for_other_fields_are_refused(tmp_path: Path) -> None:
    for name in ("", "a\nb", "x" * 33, "电脑", "a b"):
        with pytest.raises(LedgerError, match="Use 1 to 32 letters, digits"):
            Ledger(f"sqlite:///{tmp_path}/x.sqlite", origin=name)
        with pytest.raises(LedgerError, match="Use 1 to 32 letters, digits"):
            Fact(name, COMPLAINT_UNLINKED, {}, NOON)


def test_data_version_does_not_move_with_a_record(ledger: Ledger) -> None:
    receive(ledger, complaint(1))
    before = ledger.data_version()
    assert len(before) == 12
    ledger.append([Fact(id_of(ledger, "N1"), RECORD_WRITTEN, {"files": {"html": "a"}}, NOON)])
    assert ledger.data_version() == before
    assert ledger.records()[id_of(ledger, "N1")] == {"files": {"html": "a"}}
    ledger.append([Fact(id_of(ledger, "N1"), PLACE_CONFIRMED, {"place": {"lon": 1, "lat": 2}}, NOON)])
    assert ledger.data_version() != before


def test_the_clock_may_jump(tmp_path: Path) -> None:
    moments = iter([NOON, NOON - timedelta(days=3650), NOON + timedelta(days=3650)])
    ledger = Ledger(f"sqlite:///{tmp_path}/x.sqlite", origin="device", clock=lambda: next(moments))
    for n in (1, 2, 3):
        receive(ledger, complaint(n))
    assert ledger.verify() == []
    assert ledger.rebuild() == ledger.state_hash()
    ledger.close()


# --- nothing lost, nothing half done ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, GeneratorExit])
def test_an_interrupted_import_leaves_nothing(
    ledger: Ledger, tmp_path: Path, error: type[BaseException]
) -> None:
    receive(ledger, complaint(1))
    before = ledger.state_hash(), ledger.count(), rows_of(ledger, tables.imported)
    ledger._keys = Keys(tmp_path / "keys")

    def interrupted() -> None:
        with ledger.receiving() as receiving:
            receiving.add([Receipt(complaint(n), complaint(n), Person(name="x")) for n in range(2, 50)])
            receiving.add([Receipt(complaint(0, number=""), complaint(0, number=""))])
            raise error

    for _ in range(2):
        with pytest.raises(error):
            interrupted()
        assert (ledger.state_hash(), ledger.count(), rows_of(ledger, tables.imported)) == before
    assert not any(rows_of(ledger, table) for table in tables.VAULT)
    assert receive(ledger, *(complaint(n) for n in range(1, 50))).count("added") == 48
    assert receive(ledger, complaint(0, number="")) == ["added"]
    assert ledger.verify() == []


def test_an_import_that_failed_half_way_is_not_kept_by_who_ignores_it(ledger: Ledger) -> None:
    bad = complaint(2, details={"score": float("nan")})

    def careless() -> None:
        with ledger.receiving() as receiving:
            receiving.add([Receipt(complaint(1), complaint(1))])
            with contextlib.suppress(LedgerError):
                receiving.add([Receipt(bad, bad)])

    with pytest.raises(LedgerError, match="none of this import were"):
        careless()
    assert ledger.count()["events"] == 0


_KILLED = """
import sys
from datetime import datetime, timedelta, timezone
from fieldkit.complaints import Complaint
from pathlib import Path
from fieldkit.keys import StoreLock
from fieldkit.ledger import Ledger, Receipt
ledger = Ledger(sys.argv[1], origin="device", lock=StoreLock(Path(sys.argv[2])))
start = datetime(2017, 1, 1, tzinfo=timezone.utc)
with ledger.receiving() as receiving:
    for part in range(1_000):
        some = [Complaint(received_at=start, source="s", number=f"{part}-{n}", text="x" * 500) for n in range(500)]
        receiving.add([Receipt(one, one) for one in some])
        print(part, flush=True)
"""


@pytest.mark.parametrize("parts", [1, 40])
def test_kill_9_in_the_middle_of_an_import_leaves_nothing(ledger: Ledger, tmp_path: Path, parts: int) -> None:
    """After 40 parts the database's cache has been written to the file already."""
    receive(ledger, complaint(1))
    before = ledger.state_hash(), ledger.count()
    ledger.close()
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, ledger.url, str(tmp_path / "keys")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(parts):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (ledger.state_hash(), ledger.count()) == before
    assert ledger.verify() == []
    assert receive(ledger, complaint(2)) == ["added"]


def _write_many(url: str, origin: str, n: int, lock: StoreLock | None) -> None:
    ledger = Ledger(url, origin=origin, lock=lock)
    for k in range(n):
        # Each also touches the case that all share.
        shared = events.identifier("office\n#N0")
        with ledger.receiving() as receiving:
            one = complaint(k, number=f"{origin}-{k}")
            (outcome,) = receiving.add([Receipt(one, one)])
        ledger.append(
            [Fact(outcome.complaint_id, COMPLAINT_LINKED, {"case": shared, "relation": "duplicate"}, NOON)]
        )
    ledger.close()


@pytest.mark.parametrize("origins", [("same", "same"), ("a", "b")])
def test_processes_that_write_at_once_all_succeed(ledger: Ledger, origins: tuple[str, ...]) -> None:
    receive(ledger, complaint(0))
    ledger.close()
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_many, args=(ledger.url, origin, 6, ledger._lock), name=f"{n}")
        for n, origin in enumerate(origins)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    n = 6 * len(set(origins))
    assert ledger.count()["complaints"] == 1 + n
    assert len(ledger.case("N0").complaints) == 1 + n
    assert ledger.verify() == []
    assert ledger.rebuild() == ledger.state_hash()


def test_writing_between_two_events_that_are_read(ledger: Ledger) -> None:
    receive(ledger, complaint(1), complaint(2))
    reading = ledger.events()
    assert next(reading).sequence == 1
    receive(ledger, complaint(3))
    assert [event.sequence for event in reading] == [2]


def test_events_by_subject_and_kind(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    small(ledger)
    monkeypatch.setattr("fieldkit.ledger._PAGE", 1)
    first = id_of(ledger, "N1")
    assert [event.sequence for event in ledger.events()] == [1, 2, 3, 4]
    assert [event.sequence for event in ledger.events(subject=first)] == [1, 4]
    assert [event.sequence for event in ledger.events(kind=COMPLAINT_LINKED)] == [3]
    assert [event.sequence for event in ledger.events(kind="complaint_received")] == [1, 2]
    assert list(ledger.events(kind="unheard_of")) == []


def test_a_ledger_goes_to_another_process_by_pickle_and_by_fork(ledger: Ledger) -> None:
    receive(ledger, complaint(1))
    copy = pickle.loads(pickle.dumps(ledger))  # noqa: S301
    assert copy.state_hash() == ledger.state_hash()
    copy.close()
    engine = ledger._engine
    child = os.fork()
    if child == 0:
        fine = ledger._engine is not engine and ledger.count()["complaints"] == 1
        os._exit(0 if fine else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert receive(ledger, complaint(2)) == ["added"]


def test_a_closed_ledger_opens_again(ledger: Ledger) -> None:
    receive(ledger, complaint(1))
    ledger.close()
    ledger.close()
    assert ledger.count()["events"] == 1


# --- the store --------------------------------------------------------------------------------------------------


def test_the_settings_survive_a_power_cut(file_ledger: Ledger) -> None:
    wal = sqlite3.sqlite_version_info >= (3, 51, 3)
    wanted = {
        "journal_mode": "wal" if wal else "delete",
        "synchronous": 2 if wal else 3,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }
    # Who writes waits as long, but at moments of our own: see store._patiently.
    for use, timeout in ((store.writing, 0), (store.reading, 30_000), (store.writing, 0)):
        with use(file_ledger._engine) as connection:
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in (*wanted, "busy_timeout")
            }
        assert found == {**wanted, "busy_timeout": timeout}


def test_a_write_begins_immediate(file_ledger: Ledger) -> None:
    said: list[str] = []
    for use in (store.reading, store.writing):
        with use(file_ledger._engine) as connection:
            connection.connection.driver_connection.set_trace_callback(said.append)  # type: ignore[union-attr]
    said.clear()
    receive(file_ledger, complaint(1))
    file_ledger.count()
    begins = [statement for statement in said if statement.startswith("BEGIN")]
    assert begins == ["BEGIN IMMEDIATE", "BEGIN"]


def test_who_writes_keeps_the_connection_unless_it_failed(file_ledger: Ledger) -> None:
    def used(then: Callable[[], object] = bool) -> object:
        with store.writing(file_ledger._engine) as connection:
            then()
            return connection.connection.driver_connection

    first = used()
    assert used() is first
    with pytest.raises(ZeroDivisionError):
        used(lambda: 1 / 0)
    assert used() is not first
    with store.writing(file_ledger._engine) as connection, store.reading(file_ledger._engine) as other:
        assert other.connection.driver_connection is not connection.connection.driver_connection


def test_a_commit_waits_for_those_who_read(file_ledger: Ledger) -> None:
    receive(file_ledger, complaint(1))
    reader = sqlite3.connect(
        str(sa.make_url(file_ledger.url).database), isolation_level=None, check_same_thread=False
    )
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM event").fetchone()
    done = threading.Timer(0.3, reader.close)
    done.start()
    assert receive(file_ledger, complaint(2)) == ["added"]
    done.join()
    assert file_ledger.count()["complaints"] == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_file_is_closed_to_others(file_ledger: Ledger) -> None:
    receive(file_ledger, complaint(1))
    for path in Path(str(sa.make_url(file_ledger.url).database)).parent.glob("ledger.sqlite*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_migrations_make_the_tables(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with store.reading(ledger._engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        indexes = {index["name"] for index in sa.inspect(connection).get_indexes("event")}
    assert indexes == {"ix_event_subject", "ix_event_later", "ix_event_recorded_at"}


def test_the_index_of_later_events_is_used(file_ledger: Ledger) -> None:
    statement = "SELECT * FROM event WHERE kind = ? AND kind <> 'complaint_received'"
    with store.reading(file_ledger._engine) as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (RECORD_WRITTEN,)).all()
    assert "ix_event_later" in str(plan)


def test_a_newer_ledger_is_refused(ledger: Ledger) -> None:
    with store.writing(ledger._engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0099'"))
    ledger.close()
    with pytest.raises(LedgerError, match=r"made by a newer fieldkit \(tables 0099, this one knows 0002\)"):
        ledger.count()


@pytest.mark.parametrize(
    "content", [b"this is no database at all, only text " * 100, b"SQLite format 3\x00" + b"\xff" * 5_000]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"notes.txt cannot be opened"):
        Ledger(f"sqlite:///{path}", origin="x").count()
    assert path.read_bytes() == content


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photo (name)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is a database, but no ledger: it holds 'photo'"):
        Ledger(f"sqlite:///{path}", origin="x").count()
    assert path.read_bytes() == before


def test_a_file_that_may_only_be_read_is_read(file_ledger: Ledger, tmp_path: Path) -> None:
    receive(file_ledger, complaint(1))
    file_ledger.close()
    locked = Ledger(f"sqlite:///file:{tmp_path}/ledger.sqlite?mode=ro&uri=true", origin="device")
    assert locked.count()["events"] == 1
    assert locked.verify() == []
    with pytest.raises(
        LedgerError, match="could not be written, nothing was changed: attempt to write a readonly"
    ):
        receive(locked, complaint(2))
    locked.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.sqlite"]


def test_a_ledger_locked_by_somebody_else_says_so(
    file_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(file_ledger, complaint(1))
    monkeypatch.setattr(store, "_BUSY_MS", 50)
    other = sqlite3.connect(str(sa.make_url(file_ledger.url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="nothing was changed: somebody else has been writing for 30 s"):
        receive(file_ledger, complaint(2))
    other.execute("ROLLBACK")
    other.close()
    assert receive(file_ledger, complaint(2)) == ["added"]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("disk I/O error", "It is not certain that the ledger was written: disk I/O error. Look whether"),
        ("database or disk is full", "could not be written, nothing was changed: database or disk is full"),
    ],
)
def test_a_failed_commit_is_called_undone_only_where_it_must_be(
    file_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, reason: str, message: str
) -> None:
    receive(file_ledger, complaint(1))

    def fail(_connection: sa.Connection) -> None:
        raise sqlite3.OperationalError(reason)

    with monkeypatch.context() as patched:
        patched.setattr(store, "_commit", fail)
        with pytest.raises(LedgerError, match=message):
            receive(file_ledger, complaint(2))
    assert receive(file_ledger, complaint(2)) == ["added"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not an address with secret", "The ledger's setting is no database address"),
        ("mysql://u:secret@h/d", "cannot be kept in mysql"),
        ("postgresql+nodriver://u:secret@h/d", "cannot be opened"),
        ("postgresql://u:secret@127.0.0.1:1/d", "cannot be opened: "),
        ("sqlite:////dev/null/ledger.sqlite", "cannot be opened: "),
        ("sqlite:////proc/ledger.sqlite", "cannot be opened: No such file or directory"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(url: str, message: str) -> None:
    with pytest.raises(LedgerError, match=message) as caught:
        Ledger(url, origin="x").count()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in repr(Ledger(url, origin="x"))


def test_a_damaged_file_is_named_not_thrown(file_ledger: Ledger) -> None:
    receive(file_ledger, *(complaint(n, text="x" * 300) for n in range(300)))
    file_ledger.close()
    path = Path(str(sa.make_url(file_ledger.url).database))
    data = bytearray(path.read_bytes())
    for page in range(60 * 4096, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="could not be read: database disk image is malformed"):
        frame(file_ledger)


# --- frames -----------------------------------------------------------------------------------------------------


def test_the_frame_is_as_promised(sample: Workspace) -> None:
    found = sample.complaints()
    assert list(found.columns) == [*COLUMNS, "geometry"]
    assert found.crs.to_epsg() == 4326
    assert isinstance(found.index, pd.RangeIndex)
    assert found.equals(found.sort_values(["received_at", "complaint"], ignore_index=True))
    assert str(found["received_at"].dtype) == "datetime64[us, Asia/Shanghai]"
    for name in ("source", "channel", "category", "district", "community", "relation", "state", "precision"):
        assert isinstance(found[name].dtype, pd.CategoricalDtype), name
        assert "" not in found[name].cat.categories
        assert list(found[name].cat.categories) == sorted(found[name].cat.categories)
    assert found["needs_confirming"].dtype == bool
    assert found["lon"].isna().sum() == 2
    assert found.loc[found["lon"].isna(), "geometry"].isna().all()
    placed = found[found["lon"].notna()]
    assert np.allclose(placed.geometry.x, placed["lon"])
    assert found.attrs == {"data_version": sample.data_version(), "time_zone": "Asia/Shanghai"}
    by_number = found.set_index("number")
    for one, _ in sample_complaints():
        row = by_number.loc[one.number]
        assert row["received_at"] == one.received_at
        assert row["closed_at"] == one.closed_at if one.closed_at else pd.isna(row["closed_at"])
        assert row["occurred_at"] == one.occurred_at if one.occurred_at else pd.isna(row["occurred_at"])
        assert row["text"] == one.text
        assert row["community"] == one.community if one.community else pd.isna(row["community"])
        assert row["cell"] == (one.place.cell if one.place else "")


def test_a_frame_of_many_parts_loses_no_row(sample: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample.complaints()
    for size in (1, 7, 59, 60, 61):
        monkeypatch.setattr("fieldkit.ledger.frames._PART", size)
        pd.testing.assert_frame_equal(sample.complaints(), whole)


def test_parts_of_a_frame_on_either_database(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(ledger, *(pair[0] for pair in sample_complaints()))
    whole = frame(ledger)
    assert len(whole) == 60
    monkeypatch.setattr("fieldkit.ledger.frames._PART", 7)
    pd.testing.assert_frame_equal(frame(ledger), whole)


def test_only_the_columns_asked_for(sample: Workspace) -> None:
    found = sample.complaints(columns=["text", "text", "geometry", "category"])
    assert list(found.columns) == ["text", "category", "geometry"]
    assert list(sample.complaints(columns=[]).columns) == ["geometry"]
    assert len(sample.complaints(columns=[])) == 60
    with pytest.raises(LedgerError, match="Complaints have no column 'name'"):
        sample.complaints(columns=["name"])


moments = st.datetimes(datetime(2016, 1, 1), datetime(2017, 12, 31)).map(lambda m: m.replace(tzinfo=UTC))


@settings(max_examples=30, deadline=None)
@given(
    category=st.none() | st.sampled_from(["noise", "air", "water", "radiation"]),
    channel=st.none() | st.sampled_from(["wechat", "visit", "web"]),
    district=st.none() | st.sampled_from(["西区", "东区", "nowhere"]),
    since=st.none() | moments | st.dates(date(2016, 1, 1), date(2017, 12, 31)),
    until=st.none() | moments,
    radius=st.none() | st.sampled_from([0.0, 50.0, 900.0, 2_999.0, 3_001.0, 20_000.0, 30_000_000.0]),
    lon=st.floats(105.7, 106.0),
    lat=st.floats(32.3, 32.6),
)
def test_filters_do_what_pandas_does(
    wide_sample: pd.DataFrame,
    wide_ledger: Ledger,
    category: str | None,
    channel: str | None,
    district: str | None,
    since: date | None,
    until: datetime | None,
    radius: float | None,
    lon: float,
    lat: float,
) -> None:
    near = None if radius is None else (lon, lat, radius)
    keep = pd.Series(True, index=wide_sample.index)
    for name, value in (("category", category), ("channel", channel), ("district", district)):
        if value is not None:
            keep &= wide_sample[name] == value
    if since is not None:
        start = since if isinstance(since, datetime) else datetime.combine(since, datetime.min.time(), ZONE)
        keep &= wide_sample["received_at"] >= start
    if until is not None:
        keep &= wide_sample["received_at"] < until
    if near is not None:
        away = places.distances_m(lon, lat, wide_sample["lon"].to_numpy(), wide_sample["lat"].to_numpy())
        keep &= away <= near[2]
    found = frame(
        wide_ledger,
        category=category,
        channel=channel,
        district=district,
        since=since,
        until=until,
        near=near,
    )
    assert found["complaint"].tolist() == wide_sample.loc[keep, "complaint"].tolist()
    assert found["category"].cat.categories.tolist() == sorted(found["category"].dropna().unique())


@pytest.fixture(scope="module")
def wide_ledger() -> Iterator[Ledger]:
    opened = Ledger("sqlite://", origin="device")
    with opened.receiving() as receiving:
        receiving.add([Receipt(one, one) for one, _ in sample_complaints()])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def wide_sample(wide_ledger: Ledger) -> pd.DataFrame:
    return frame(wide_ledger)


@pytest.mark.parametrize("lon", [179.99, -179.99, 0.0])
@pytest.mark.parametrize("lat", [89.9, -89.9, 60.0, 0.0])
@pytest.mark.parametrize("radius", [2_500.0, 25_000.0, 2_500_000.0])
def test_near_the_poles_and_the_date_line(memory: Ledger, lon: float, lat: float, radius: float) -> None:
    ledger = emptied(memory)
    points = [
        (x, y) for x in (179.995, -179.995, 170.0, 0.0, 0.2, 90.0) for y in (89.95, -89.95, 60.0, 60.2, 0.0)
    ]
    receive(ledger, *(complaint(n, place=Place(x, y)) for n, (x, y) in enumerate(points)))
    expected = sum(places.distance_m(lon, lat, x, y) <= radius for x, y in points)
    assert len(frame(ledger, near=(lon, lat, radius))) == expected


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        (
            {"category": "Noise"},
            LedgerError,
            "The category 'Noise' is not known. Use one of: water, air, noise",
        ),
        ({"channel": "fax"}, LedgerError, "The channel 'fax' is not known. Use one of: "),
        ({"near": (105.8, 32.4, -1.0)}, LedgerError, "The radius -1.0 is not a distance"),
        ({"near": (105.8, 32.4, float("nan"))}, LedgerError, "The radius nan is not a distance"),
        ({"near": (32.4, 105.8, 10.0)}, PlaceError, "Are longitude and latitude swapped"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(
    wide_ledger: Ledger, filters: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        frame(wide_ledger, **filters)


def test_a_finer_category_can_be_asked_for(wide_ledger: Ledger) -> None:
    fine = frame(wide_ledger, category="noise.lowfreq.transformer")
    assert len(fine) == 20
    assert set(fine["subcategory"]) == {"noise.lowfreq.transformer"}
    assert len(frame(wide_ledger, category="noise.social.entertainment")) > 0


def test_cases_with_the_newest_complaint_first(sample: Workspace) -> None:
    found = sample.cases()
    assert found["last_at"].is_monotonic_decreasing
    assert found["complaints"].sum() == 60
    assert len(found) == 57
    assert set(sample.cases(category="water")["category"]) == {"water"}


def test_times_before_1970_and_with_odd_offsets(ledger: Ledger) -> None:
    old = datetime(1890, 1, 1, 0, 0, 0, 1, tzinfo=ZONE)  # local mean time, 8 h 5 min 43 s
    receive(
        ledger,
        complaint(1, received_at=old),
        complaint(2, received_at=datetime(1969, 12, 31, 23, tzinfo=UTC)),
    )
    assert frame(ledger)["received_at"].tolist() == [old, datetime(1969, 12, 31, 23, tzinfo=UTC)]
    assert ledger.rebuild() == ledger.state_hash()


def test_a_number_in_two_offices_asks_for_the_id(ledger: Ledger) -> None:
    receive(ledger, complaint(1), complaint(1, source="another"))
    ids = ", ".join(sorted(frame(ledger)["complaint"]))
    with pytest.raises(
        UnknownCase, match=f"More than one case has the number 'N1'. Give the id, one of: {ids}"
    ):
        ledger.case("N1")


def test_an_id_goes_before_a_number_that_looks_like_it(ledger: Ledger) -> None:
    receive(ledger, complaint(1))
    first = id_of(ledger, "N1")
    receive(ledger, complaint(2, number=first))
    assert ledger.find_case(first) == first

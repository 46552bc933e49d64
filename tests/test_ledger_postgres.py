"""What only a server has: one writer at a time, one moment for a reader, an order of its own for texts."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hostile_texts import HOSTILE

from fieldkit.complaints import Complaint
from fieldkit.errors import LedgerError
from fieldkit.events import kept
from fieldkit.ledger import Ledger, Receipt, store, tables

pytestmark = pytest.mark.postgres
NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(postgres_database: Callable[[], str]) -> Iterator[Ledger]:
    opened = Ledger(postgres_database(), origin="device")
    yield opened
    opened.close()


def receive(ledger: Ledger, *numbers: int) -> None:
    with ledger.receiving() as receiving:
        some = [Complaint(received_at=NOON + timedelta(hours=n), source="s", number=str(n)) for n in numbers]
        receiving.add([Receipt(one, one) for one in some])


def test_the_address_may_leave_the_driver_out(ledger: Ledger) -> None:
    receive(ledger, 1)
    for scheme in ("postgresql", "postgres"):
        short = Ledger(ledger.url.replace("postgresql+psycopg", scheme), origin="device")
        assert short.count()["events"] == 1
        short.close()


def test_a_database_that_is_not_there_is_one_sentence(ledger: Ledger) -> None:
    with pytest.raises(
        LedgerError, match=r"cannot be opened: .* database \"nowhere\" does not exist"
    ) as caught:
        Ledger(str(sa.make_url(ledger.url).set(database="nowhere")), origin="x").count()
    assert "\n" not in str(caught.value)


def test_a_reader_sees_one_moment(ledger: Ledger) -> None:
    receive(ledger, 1)
    with store.reading(ledger._engine) as connection:
        before = connection.scalar(sa.select(sa.func.count()).select_from(tables.event))
        receive(ledger, 2)
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.event)) == before
    assert ledger.count()["events"] == 2


def test_a_reader_cannot_write(ledger: Ledger) -> None:
    def write() -> None:
        with store.reading(ledger._engine) as connection:
            connection.execute(sa.delete(tables.event))

    with pytest.raises(LedgerError, match="read-only transaction"):
        write()


def test_the_second_writer_waits_for_the_first(ledger: Ledger) -> None:
    receive(ledger, 1)
    started = threading.Event()
    done: list[str] = []

    def second() -> None:
        started.set()
        receive(ledger, 2)
        done.append("second")

    thread = threading.Thread(target=second)
    with ledger.receiving() as receiving:
        thread.start()
        assert started.wait(10)
        one = Complaint(received_at=NOON, source="s", number="3")
        receiving.add([Receipt(one, one)])
        thread.join(0.3)
        assert done == []
    thread.join(30)
    assert done == ["second"]
    assert [event.data["number"] for event in ledger.events()] == ["1", "3", "2"]
    assert ledger.verify() == []


def test_a_pooled_connection_takes_one_import_after_another(ledger: Ledger) -> None:
    """What an import keeps in a temporary table is gone after it, whether it ended well or not."""
    for attempt in range(4):
        try:
            with ledger.receiving() as receiving:
                one = Complaint(received_at=NOON, source="s", text="no number")
                receiving.add([Receipt(one, one)])
                if attempt % 2 == 0:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    assert ledger.count()["complaints"] == 1


@pytest.mark.parametrize("number", [1, 100])
def test_a_refusal_does_not_repeat_the_row(ledger: Ledger, number: int) -> None:
    """The server's detail of a failed row would name who complained, and so would COPY's context."""
    rows = [(f"{n:012}", "CANARY", "K" * 12, b"") for n in range(number - 1)]
    rows.append(("A" * 12, "CANARY", "13900001111", None))  # type: ignore[arg-type]
    with (
        pytest.raises(LedgerError, match="violates not-null constraint") as refused,
        store.writing(ledger._engine) as connection,
    ):
        store.insert(connection, tables.complainant, rows)
    assert "CANARY" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("number", [1, 100])
def test_every_value_comes_back_however_many_are_sent(ledger: Ledger, number: int) -> None:
    """A few rows go as inserts, many by COPY: the table holds the same."""
    texts = [
        t for t in (*HOSTILE, "\\N", "\\.", "\\", "a\tb\r\nc", "NULL", "", '"', ",", "\\x00") if kept(t) == t
    ]
    values = [
        (
            kept(text),
            -0.0 if n % 2 else 1e-300,
            None if n % 3 else 2**62,
            bool(n % 2),
            bytes([n % 256, 0, 92, 10]),
        )
        for n, text in enumerate(texts * (1 + number // len(texts)))
    ][: max(number, len(texts) if number > 1 else 1)]
    columns = (sa.Text, sa.Float(53), sa.BigInteger, sa.Boolean, sa.LargeBinary)
    table = sa.Table(
        "tried",
        sa.MetaData(),
        sa.Column("n", sa.Integer, primary_key=True),
        *(sa.Column(f"order {n}", kind) for n, kind in enumerate(columns)),
    )
    with store.writing(ledger._engine) as connection:
        table.create(connection)
        store.insert(connection, table, [(n, *row) for n, row in enumerate(values)])
    with store.reading(ledger._engine) as connection:
        found = connection.execute(sa.select(*list(table.c)[1:]).order_by(table.c.n)).all()
    assert [repr(tuple(row)) for row in found] == [repr(row) for row in values]


def test_a_text_that_no_database_keeps_is_refused_by_either_way(ledger: Ledger) -> None:
    """What was not cleaned by :func:`fieldkit.events.kept` changes nothing, and is not repeated."""
    for number in (1, 100):
        rows = [(f"{n:012}", b"12345678") for n in range(number - 1)] + [("CANARY\x00", b"12345678")]
        with (
            pytest.raises(LedgerError, match="nothing was changed") as refused,
            store.writing(ledger._engine) as connection,
        ):
            store.insert(connection, tables.imported, rows)
        assert "CANARY" not in str(refused.value)
    with store.reading(ledger._engine) as connection:
        assert connection.execute(sa.select(tables.imported)).all() == []


def test_texts_sorted_by_the_servers_rules_make_no_difference(postgres_database: Callable[[], str]) -> None:
    """Rebuilding in pages and the hash of the state do not depend on the collation of the database."""
    import psycopg

    base = postgres_database()
    address = base.replace("postgresql+psycopg", "postgresql")
    name = sa.make_url(base).database
    with psycopg.connect(address.replace(f"/{name}", "/postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'zh' LOCALE 'C'"
        )
    ledgers = [Ledger(url, origin="device", clock=lambda: NOON) for url in (base, "sqlite://")]
    for ledger in ledgers:
        receive(ledger, *range(300))
    server, file = ledgers
    assert server.state_hash() == file.state_hash()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fieldkit.ledger.projection.CHUNK", 7)
        assert server.rebuild() == file.rebuild() == file.state_hash()
    for ledger in ledgers:
        ledger.close()

"""What makes the ledger quick must not make it different: few rows and many, limits, counts, indexes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hostile_texts import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from fieldkit.complaints import Complaint, Person
from fieldkit.errors import LedgerError, UnknownCase
from fieldkit.events import COMPLAINT_LINKED, PLACE_CONFIRMED, Fact
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger, Receipt, frames, statements, store, tables, vault
from fieldkit.ledger.frames import COLUMNS, Filters
from fieldkit.places import Place

NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
STORES = Path(__file__).parent / "stores"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    make: Callable[[], str] = request.getfixturevalue("postgres_database")
    return make()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(address: str, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(address, origin="device", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def months(ledger: Ledger, clock: Clock) -> list[datetime]:
    """Six months of complaints with links and confirmed places between them; the moments after each step."""
    moments = []
    for month in range(6):
        clock.now = NOON + timedelta(days=30 * month)
        some = [
            Complaint(
                received_at=clock.now - timedelta(hours=n % 5),
                source="s",
                number=f"{month}-{n}",
                district=HOSTILE[n % len(HOSTILE)],
                place=Place(105.8, 32.4) if n % 3 else None,
                closed_at=clock.now if n % 2 else None,
            )
            for n in range(20)
        ]
        with ledger.receiving() as receiving:
            ids = [outcome.complaint_id for outcome in receiving.add([Receipt(one, one) for one in some])]
        moments.append(clock.now)
        clock.now += timedelta(days=3)
        place = {"lon": 105.9, "lat": 32.5, "method": "confirmed"}
        ledger.append(
            [
                Fact(ids[n], COMPLAINT_LINKED, {"case": ids[0], "relation": "duplicate"}, NOON)
                for n in (1, 2, 7)
            ]
            + [Fact(ids[n], PLACE_CONFIRMED, {"place": place}, NOON) for n in (0, 5)]
        )
        moments.append(clock.now)
    return moments


def test_the_first_cases_are_the_head_of_all(ledger: Ledger, months: list[datetime]) -> None:
    for as_of in (None, *months):
        every = ledger.cases(Filters(), zone=ZONE, as_of=as_of)
        unclosed = every[every["state"] != "CLOSED"]
        assert len(unclosed) < len(every)
        for limit in (0, 1, 7, 10_000):
            first = ledger.cases(Filters(), zone=ZONE, as_of=as_of, limit=limit)
            assert first["case"].tolist() == every["case"].head(limit).tolist()
            some = ledger.cases(Filters(), zone=ZONE, as_of=as_of, only_open=True, limit=limit)
            assert some["case"].tolist() == unclosed["case"].head(limit).tolist()


def test_a_limit_goes_with_filters(ledger: Ledger, months: list[datetime]) -> None:
    filters = Filters(district=HOSTILE[1], since=months[2])
    every = ledger.cases(filters, zone=ZONE)
    assert len(every) > 2
    assert ledger.cases(filters, zone=ZONE, limit=2)["case"].tolist() == every["case"].tolist()[:2]


def test_a_limit_below_nothing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="limit -1 is not a number of cases"):
        ledger.cases(Filters(), zone=ZONE, limit=-1)


def test_counts_are_those_of_the_frames(ledger: Ledger, months: list[datetime]) -> None:
    for as_of in (None, NOON - timedelta(days=1), *months):
        complaints = ledger.complaints(Filters(), zone=ZONE, as_of=as_of)
        assert ledger.count(as_of=as_of) == {
            "events": len(list(ledger.events(as_of=as_of))),
            "complaints": len(complaints),
            "cases": len(ledger.cases(Filters(), zone=ZONE, as_of=as_of)),
            "with_place": int(complaints["lon"].notna().sum()),
            "needs_confirming": int(complaints["needs_confirming"].sum()),
        }


def test_states_as_of_a_moment_are_those_of_the_cases(ledger: Ledger, months: list[datetime]) -> None:
    """The state stands in either table of cases, and each complaint finds its own."""
    for as_of in (None, *months):
        cases = ledger.cases(Filters(), zone=ZONE, as_of=as_of).set_index("case")["state"].astype(str)
        found = ledger.complaints(Filters(), columns=("complaint", "case", "state"), zone=ZONE, as_of=as_of)
        assert len(found) == found["complaint"].nunique() > 0
        assert found["state"].astype(str).tolist() == cases[found["case"]].tolist()
        assert len(ledger.complaints(Filters(), columns=COLUMNS, zone=ZONE, as_of=as_of)) == len(found)


def test_a_case_is_found_by_its_number_only_once_it_was_known(ledger: Ledger, months: list[datetime]) -> None:
    found = ledger.find_case("3-0")
    assert ledger.find_case("3-0", as_of=months[6]) == found
    with pytest.raises(UnknownCase, match="no case '3-0'"):
        ledger.find_case("3-0", as_of=months[5])


def test_deeds_one_by_one_and_all_at_once_come_to_the_same(ledger: Ledger, months: list[datetime]) -> None:
    """Beyond :data:`statements.FEW` keys the statements are SQLAlchemy's; the rows must be the same."""
    ids = [str(one) for one in ledger.complaints(Filters(), columns=("complaint",), zone=ZONE)["complaint"]]
    assert len(ids) > statements.FEW
    facts = [Fact(one, COMPLAINT_LINKED, {"case": ids[0], "relation": "follow_up"}, NOON) for one in ids[1:]]
    for fact in facts[:3]:
        ledger.append([fact])
    ledger.append(facts[3:])
    assert ledger.state_hash() == ledger.rebuild()
    assert ledger.verify() == []


def test_persons_are_told_whatever_is_kept_at_hand(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory stays flat however many complain: who was let go of is found in the vault, and opened as before."""
    monkeypatch.setattr(vault, "_MOST_MET", 3)
    ledger = Ledger(address, origin="device", actor="Wang", keys=Keys(tmp_path / "keys"))
    persons = [Person(name=f"P{n % 7}", phone=f"1390000000{n % 7}") for n in range(28)]
    ids: list[str] = []
    with ledger.receiving() as receiving:
        for n, person in enumerate(persons):
            one = Complaint(received_at=NOON, source="s", number=f"{n}")
            ids += [outcome.complaint_id for outcome in receiving.add([Receipt(one, one, person)])]
    with store.reading(ledger._engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.person)) == 7
    for complaint_id, person in zip(ids, persons, strict=True):
        assert ledger.complainant(complaint_id, reason="test") == person
    assert ledger.forget(ids[0], reason="test") == 4
    assert [ledger.complainant(ids[n], reason="test") for n in (0, 7, 14, 21)] == [None] * 4
    assert ledger.complainant(ids[1], reason="test") == persons[1]
    ledger.close()


_KEYS = st.integers(0, 4)
_ROWS = st.dictionaries(
    _KEYS, st.tuples(st.sampled_from(HOSTILE), st.none() | st.integers(0, 3), st.booleans())
)


@given(_ROWS, _ROWS)
def test_a_change_writes_what_differs(
    before: dict[int, tuple[str, int | None, bool]], after: dict[int, tuple[str, int | None, bool]]
) -> None:
    names = ("order", "needs;confirming", "b")
    kinds = (sa.Text, sa.Integer, sa.Boolean)
    others = [sa.Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
    table = sa.Table("tried", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *others)
    engine = sa.create_engine("sqlite://")
    said: list[str] = []
    with engine.connect() as connection:
        table.create(connection)
        rows, wanted = ([(key, *row) for key, row in some.items()] for some in (before, after))
        store.insert(connection, table, rows)
        connection.connection.driver_connection.set_trace_callback(said.append)  # type: ignore[union-attr]
        statements.change(connection, table, rows, wanted)
        connection.connection.driver_connection.set_trace_callback(None)  # type: ignore[union-attr]
        assert sorted(map(tuple, connection.execute(sa.select(table)))) == sorted(wanted)
    writes = [one for one in said if one.split()[0] in ("INSERT", "UPDATE", "DELETE")]
    differing = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    assert len(writes) == len(differing)
    engine.dispose()


@pytest.mark.parametrize(
    ("as_of", "few", "indexes"),
    [
        (None, False, ["ix_case_last_at"]),
        (NOON, False, ["ix_case_ahead", "ix_case_before_ahead", "ix_case_before_last_at", "ix_case_last_at"]),
        (NOON, True, ["ix_case_ahead", "ix_case_before_known_until", "ix_case_last_at"]),
    ],
)
def test_an_index_serves_the_newest_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_of: datetime | None, few: bool, indexes: list[str]
) -> None:
    monkeypatch.setattr(frames, "_few_before", lambda *_: few)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", origin="device")
    said: list[tuple[str, object]] = []
    sa.event.listen(ledger._engine, "before_cursor_execute", lambda *given: said.append(given[2:4]))
    ledger.cases(Filters(), zone=ZONE, as_of=as_of, limit=30)
    (sql, values) = said[-1]
    with store.reading(ledger._engine) as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())  # type: ignore[arg-type]
    assert sorted(set(re.findall(r"ix_\w+", plan))) == indexes
    assert not re.search(r"SCAN case(_before)?'", plan)  # without any
    ledger.close()


@pytest.mark.parametrize("origin", ["fresh", "migrated"])
def test_fresh_and_migrated_stores_have_the_same_tables_and_indexes(tmp_path: Path, origin: str) -> None:
    path = tmp_path / "ledger.sqlite"
    if origin == "migrated":
        shutil.copy(STORES / "tables-0001.sqlite", path)
    ledger = Ledger(f"sqlite:///{path}", origin="device", keys=Keys(tmp_path / "keys"))
    with store.reading(ledger._engine) as connection:
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) == {*tables.metadata.tables, "alembic_version"}
        for table in tables.metadata.tables.values():
            found = {one["name"]: one["column_names"] for one in inspector.get_indexes(table.name)}
            assert found == {one.name: [column.name for column in one.columns] for one in table.indexes}
            columns = {one["name"]: one["nullable"] for one in inspector.get_columns(table.name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            keys = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
    assert ledger.verify() == []
    ledger.close()

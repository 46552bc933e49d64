"""What an earlier version of the kit has written opens in this one, and nothing of it is lost.

``tests/stores`` holds a store of every version of the tables, and a backup and exports of every form. They are never
made anew: a new form gets files of its own (``make_stores.py``).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import fieldkit as fk
from fieldkit.events import COMPLAINANT_OPENED, DEVICE_ENROLLED, PLACE_CONFIRMED, RECORD_WRITTEN, ROLE_GRANTED
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger
from fieldkit.testing import sample_complaints

STORES = Path(__file__).parent / "stores"
MIGRATIONS = Path(fk.__file__).parent / "ledger" / "migrations"


def test_every_kept_file_is_of_a_form_that_is_tested() -> None:
    names = {path.name for path in STORES.iterdir() if path.suffix in (".sqlite", ".zip")}
    assert names == {"tables-0001.sqlite", "backup-1.zip", "export-1.zip", "case-1.zip"}
    assert sum((STORES / name).stat().st_size for name in names) < 500_000


# --- the first tables ------------------------------------------------------------------------------------------


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Ledger]:
    """A copy of the store of the first tables, opened by this kit on a device that has keys."""
    file = tmp_path / "ledger.sqlite"
    shutil.copyfile(STORES / "tables-0001.sqlite", file)
    ledger = Ledger(f"sqlite:///{file}", origin="7782c4a8f6d0", actor="officer", keys=Keys(tmp_path / "keys"))
    yield ledger
    ledger.close()


def test_the_first_tables_come_with_all_that_was_in_them(first: Ledger) -> None:
    counted = first.count()
    # What is new is who may see who complained, and the key that the device signs with.
    assert (counted["complaints"], counted["cases"], counted["with_place"]) == (60, 57, 59)
    kinds = [event.kind for event in first.events()]
    assert kinds[65:] == [DEVICE_ENROLLED, ROLE_GRANTED]
    case = first.case("S-001")
    assert {one.number: (one.relation, one.cause) for one in case.complaints} == {
        "S-001": ("", ""),
        "S-004": ("follow_up", ""),
        "S-007": ("recurrence", "incomplete_rectification"),
        "S-010": ("duplicate", ""),
    }
    confirmed = first.case("S-008").complaints[0].complaint
    assert confirmed.place is not None
    assert (confirmed.place.lon, confirmed.place.lat, confirmed.place.method) == (105.84, 32.43, "confirmed")
    assert confirmed.community == "Station Community"
    assert list(first.records().values()) == [{"files": {"html": "records/S-001/record.html"}}]
    assert {event.kind for event in first.events(kind=PLACE_CONFIRMED)} == {PLACE_CONFIRMED}
    assert len(list(first.events(kind=RECORD_WRITTEN))) == 1
    texts = {one.number: one.text for one, _ in sample_complaints()}
    for number in ("S-001", "S-014", "S-060"):
        found = next(one for one in first.case(number).complaints if one.number == number)
        assert found.complaint.text == texts[number]


def first_on_a_server(url: str) -> None:
    """Fill the empty database with the store of the first tables, as that kit's first migration made them there."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    file, server = sa.create_engine(f"sqlite:///{STORES / 'tables-0001.sqlite'}"), sa.create_engine(url)
    with server.begin() as target:
        config.attributes["connection"] = target
        command.upgrade(config, "0001")
    with file.connect() as source, server.begin() as target:
        found = sa.MetaData()
        found.reflect(source)
        for table in found.sorted_tables:
            if table.name != "alembic_version" and (
                rows := source.execute(sa.select(table)).mappings().all()
            ):
                there = sa.Table(table.name, sa.MetaData(), autoload_with=target)
                flags = [c.name for c in there.columns if isinstance(c.type, sa.Boolean)]
                given = [{**row, **{flag: bool(row[flag]) for flag in flags}} for row in rows]
                target.execute(sa.insert(there), given)
    file.dispose()
    server.dispose()


@pytest.mark.postgres
def test_a_server_with_the_first_tables_comes_to_the_same_state(
    first: Ledger, tmp_path: Path, postgres_database: Callable[[], str]
) -> None:
    url = postgres_database()
    first_on_a_server(url)
    server = Ledger(url, origin="7782c4a8f6d0", actor="officer", keys=Keys(tmp_path / "server-keys"))
    assert server.state_hash() == first.state_hash() == server.rebuild()
    assert server.verify() == []
    assert [event.digest for event in server.events()][:65] == [event.digest for event in first.events()][:65]
    complaint, person = next(sample_complaints())
    assert server.complainant(server.find_case(complaint.number), reason="x") == person
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert "complainant_plain" not in sa.inspect(connection).get_table_names()
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        from fieldkit.ledger import tables

        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()
    server.close()


def test_the_first_tables_chain_and_state_are_right(first: Ledger) -> None:
    assert first.verify() == []
    assert first.state_hash() == first.rebuild()
    assert [event.sequence for event in first.events()] == list(range(1, 68))
    # The digests are those of old: the form of what is hashed did not change.
    import sqlite3

    with sqlite3.connect(STORES / "tables-0001.sqlite") as old:
        digests = [bytes(row[0]) for row in old.execute("SELECT digest FROM event ORDER BY sequence")]
    old.close()
    assert [event.digest for event in first.events()][:65] == digests


def test_who_complained_in_the_first_tables_is_sealed_and_still_known(first: Ledger, tmp_path: Path) -> None:
    first.count()
    for number, (_, person) in zip(range(1, 61), sample_complaints(), strict=True):
        if number in (1, 4, 7, 10):  # part of another's case
            continue
        complaint = first.find_case(f"S-{number:03d}")
        assert first.complainant(complaint, reason="a test") == person
    assert len(list(first.events(kind=COMPLAINANT_OPENED))) == 56
    first.close()
    # No name and no number in any byte of the file, not in its free room either.
    for path in tmp_path.glob("ledger.sqlite*"):
        data = path.read_bytes()
        assert b"Resident" not in data
        assert b"1390000" not in data


# --- backups and exports ---------------------------------------------------------------------------------------


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    for name in ("backup-1", "export-1", "case-1"):
        shutil.unpack_archive(STORES / f"{name}.zip", tmp_path / name)
    return tmp_path


def sample_state(ws: fk.Workspace) -> None:
    assert ws.ledger.verify() == []
    assert ws.ledger.count()["complaints"] == 60
    assert ws.case("S-008").complaints[0].complaint.place.method == "confirmed"  # type: ignore[union-attr]
    assert ws.ledger.state_hash() == ws.ledger.rebuild()
    (photo,) = (ws.settings.folder / "evidence").glob("*/*")
    assert photo.read_bytes() == b"what a photo would be"


def test_a_backup_of_the_first_form_is_restored(unpacked: Path) -> None:
    fk.restore(unpacked / "backup-1", unpacked / "new")
    ws = fk.open(unpacked / "new")
    sample_state(ws)
    assert ws.settings.title == "Sample town"
    ws.ledger.close()


def test_an_export_of_the_first_form_is_taken_in(unpacked: Path) -> None:
    ws = fk.init(unpacked / "new")
    assert fk.verify_export(unpacked / "export-1") == []
    taken = fk.import_export(ws, unpacked / "export-1")
    assert (taken.known, taken.evidence) == (0, 1)
    sample_state(ws)
    assert sum(name == "complainant" for name, _ in ws.ledger.sealed()) == 60
    ws.ledger.close()


def test_the_export_of_a_case_of_the_first_form_is_checked(unpacked: Path) -> None:
    assert fk.verify_export(unpacked / "case-1") == []

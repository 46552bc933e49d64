"""A workspace: made, opened, asked; and nobody who complained is in what it gives out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import fieldkit as fk
from fieldkit.casework import Link
from fieldkit.complaints import Complaint
from fieldkit.dashboards.symposium import Symposium
from fieldkit.errors import ExportError, LedgerError, PluginError, SettingsError, UnknownCase
from fieldkit.events import RECORD_WRITTEN, Fact
from fieldkit.ledger import Receipt
from fieldkit.testing import sample_complaints
from fieldkit.workspace import Workspace, init_workspace, open_workspace


def test_a_new_workspace_is_empty_and_opens_again(tmp_path: Path) -> None:
    made = init_workspace(tmp_path / "office", title="局 <b>", time_zone="Asia/Shanghai")
    made.ledger.close()
    assert sorted(path.name for path in (tmp_path / "office").iterdir()) == [
        "fieldkit.toml",
        "layers",
        "ledger.sqlite",
        "maps",
        "out",
        "records",
    ]
    ws = fk.open(tmp_path / "office")
    assert ws.settings.title == "局 <b>"
    assert len(ws.complaints()) == len(ws.cases()) == 0
    assert ws.areas() is None
    assert ws.gazetteer_path.read_text(encoding="utf-8").startswith("name,alias,kind,")
    assert ws.records() == {}
    ws.ledger.close()


def test_a_workspace_is_not_made_twice(sample: Workspace) -> None:
    with pytest.raises(SettingsError, match="already is a workspace"):
        init_workspace(sample.settings.folder)
    assert len(sample.complaints()) == 60


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="cannot be made a workspace"):
        init_workspace(tmp_path / "file" / "office")


def test_what_a_notebook_asks_first(sample: Workspace) -> None:
    ws = open_workspace(sample.settings.folder)
    frame = ws.complaints(category="noise", since=date(2017, 7, 1), until=date(2017, 8, 1))
    assert len(frame) == 20
    assert set(frame["category"]) == {"noise"}
    case = ws.case("S-001")
    assert [c.number for c in case.complaints] == ["S-001", "S-007", "S-004", "S-010"]
    assert ws.case(case.id) == case
    assert len(ws.complaints(case="S-001")) == 4
    assert len(ws.complaints(near=(105.8436, 32.4355, 1.0))) >= 19
    areas = ws.areas()
    assert areas is not None
    assert areas.names == ["西区", "东区"]
    with pytest.raises(UnknownCase, match="There is no case 'S-999'"):
        ws.complaints(case="S-999")
    ws.ledger.close()


def test_nobody_who_complained_is_given_out(sample: Workspace) -> None:
    told = sample.complaints().to_csv() + sample.cases().to_csv() + repr(sample.case("S-001"))
    told += repr(sample) + repr(sample.ledger) + repr(list(sample.ledger.events()))
    for _, person in sample_complaints():
        assert person.name not in told
        assert person.phone not in told


def test_an_unknown_analysis_is_named(sample: Workspace) -> None:
    with pytest.raises(PluginError, match="There is no analyses plugin 'horoscope'"):
        sample.analyse("horoscope")


def test_an_analysis_in_one_call(sample: Workspace) -> None:
    result = sample.analyse("rhythm")
    assert result.shape == (7, 24)


def test_the_account_acts_when_nobody_is_named(sample: Workspace) -> None:
    import dataclasses

    named = Workspace(dataclasses.replace(sample.settings, actor="张三"))
    assert named.actor == "张三"
    assert isinstance(sample.actor, str)
    assert {event.actor for event in sample.ledger.events()} == {sample.actor}


def test_a_table_that_does_not_follow_from_the_events_is_found_by_a_thorough_look(sample: Workspace) -> None:
    assert sample.verify(thorough=True) == []
    sample.ledger.close()
    with closing(sqlite3.connect(sample.settings.folder / "ledger.sqlite")) as connection:
        connection.execute("UPDATE complaint SET district = 'Elsewhere' WHERE number = 'S-005'")
        connection.commit()
    assert sample.verify() == []
    (problem,) = sample.verify(thorough=True)
    assert problem.message.startswith("The tables that are read differ from the events.")
    sample.ledger.rebuild()
    assert sample.verify(thorough=True) == []
    assert [path.name for path in sample.settings.folder.glob(".fieldkit-*")] == []


def test_an_index_that_was_damaged_is_found_by_a_thorough_look(sample: Workspace) -> None:
    """The chain is whole, and yet a case would be looked for in vain."""
    sample.ledger.close()
    path = sample.settings.folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        page, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
        )
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_event_subject'"
        ).fetchone()[0]
    assert page > root
    data = bytearray(path.read_bytes())
    start = (root - 1) * size
    data[start + size - 10] ^= 1  # within the last key of the page
    path.write_bytes(data)
    assert any("file is damaged" in problem.message for problem in sample.verify(thorough=True))


def told(ws: Workspace) -> dict[str, object]:
    """Everything that can be read of a workspace as plain values."""
    ledger = ws.ledger
    ids = [str(one) for one in ws.complaints()["complaint"]]
    return {
        "complaints": ws.complaints().to_wkt().to_csv(),
        "cases": ws.cases().to_csv(),
        "open": ws.cases(only_open=True, limit=5).to_csv(),
        "one": ws.case("S-001"),
        "its complaints": ws.complaints(case="S-001").to_wkt().to_csv(),
        "records": ws.records(),
        "exhibits": ws.exhibits("S-001"),
        "spoilt": ws.spoilt_evidence(ws.cases()["case"]),
        "count": ledger.count(),
        "events": list(ledger.events()),
        "evidence": ledger.evidence(),
        "cases of": ledger.cases_of(ids),
        "case of": [ledger.case_of(one) for one in ids],
        "roles": ledger.roles(),
        "data version": ws.data_version(),
        "rhythm": ws.analyse("rhythm").to_csv(),
        "record": fk.investigation(ws, "S-001").timeline().data,
        "page": Symposium(ws, permutations=99).board.panels,
    }


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def went_on(sample: Workspace) -> tuple[datetime, dict[str, object]]:
    """A moment, what could be read then, and a workspace in which all of that has changed since."""
    photo = sample.settings.folder / "photo.txt"
    photo.write_text("seen", encoding="utf-8")
    fk.add_evidence(sample, "S-001", [photo])
    then = told(sample)
    moment = datetime.now(UTC)
    fk.confirm_place(sample, "S-001", 105.9, 32.5)
    fk.link_complaints(sample, [Link("S-020", "S-001", "duplicate", "")])
    photo.write_text("seen again", encoding="utf-8")
    fk.add_evidence(sample, "S-001", [photo])
    sample.ledger.append([Fact(sample.case("S-001").id, RECORD_WRITTEN, {"files": {}}, moment)])
    sample.ledger.grant("somebody", "opener")
    new = Complaint(received_at=moment, source="sample", number="S-999", channel="web")
    with sample.ledger.receiving() as receiving:
        receiving.add([Receipt(new, new, None)])
    return moment, then


def test_a_workspace_as_of_a_moment_tells_nothing_later(
    sample: Workspace, went_on: tuple[datetime, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    moment, then = went_on
    now = told(sample)
    assert [name for name in then if now[name] == then[name]] == ["spoilt"]
    folder = sample.settings.folder
    past = sample.at(moment)
    assert told(past) == then
    # What is asked for as of a still later moment is not told either; as of an earlier one, it is.
    assert past.ledger.count(as_of=moment + timedelta(days=1)) == then["count"]
    assert past.ledger.count(as_of=moment - timedelta(days=1))["events"] == 0
    assert past.complaints().attrs["as_of"] == moment.astimezone(sample.settings.zone).isoformat()
    assert repr(past) == f"Workspace({str(folder)!r}, as_of={moment.isoformat()!r})"
    past.ledger.close()
    for ws in (fk.open(folder, as_of=moment), fk.open(folder, as_of=moment.isoformat())):
        assert ws.ledger.count() == then["count"]
        ws.ledger.close()
    monkeypatch.setenv("FIELDKIT_AS_OF", moment.isoformat())
    for ws, wanted in ((fk.open(folder), then["count"]), (fk.open(folder, as_of=""), now["count"])):
        assert ws.ledger.count() == wanted
        ws.ledger.close()
    assert sample.at(None) is sample.present is sample
    assert past.present.ledger.count() == now["count"]
    assert fk.verify_evidence(past) == fk.verify_evidence(sample)


def test_a_day_is_meant_to_its_end_and_a_bare_time_in_the_offices_zone(sample: Workspace) -> None:
    zone = sample.settings.zone
    for said, wanted, shown in (
        ("2017-06-30", datetime(2017, 6, 30, 23, 59, 59, 999_999, zone), "2017-06-30"),
        ("2017-06-30T18:00", datetime(2017, 6, 30, 18, 0, tzinfo=zone), "2017-06-30 18:00"),
        ("2017-06-30T18:00Z", datetime(2017, 6, 30, 18, 0, tzinfo=UTC), "2017-07-01 02:00"),
    ):
        past = fk.open(sample.settings.folder, as_of=said)
        assert (past.as_of, past.as_of_text) == (wanted, shown)
    assert sample.as_of_text == ""
    with pytest.raises(SettingsError, match="'in June' is not a day or a moment"):
        fk.open(sample.settings.folder, as_of="in June")


def test_nothing_is_written_into_the_past(sample: Workspace) -> None:
    past = sample.at(datetime.now(UTC))
    file = sample.settings.folder / "complaints.csv"
    file.write_text("number,received_at\nX-1,2017-01-01\n", encoding="utf-8")
    one = past.case("S-001").id
    past.ledger.verify()
    before = tree(sample.settings.folder)
    for write in (
        lambda: past.ledger.append([Fact(one, RECORD_WRITTEN, {}, datetime.now(UTC))]),
        lambda: fk.confirm_place(past, "S-001", 105.9, 32.5),
        lambda: fk.link_complaints(past, [Link("S-020", "S-001", "duplicate", "")]),
        lambda: fk.add_evidence(past, "S-001", [file]),
        lambda: fk.stamp_evidence(past, "S-001", "a" * 64),
        lambda: fk.run_records(past, ["S-001"]),
        lambda: fk.import_complaints(past, file, crs="wgs84"),
        lambda: past.ledger.grant("somebody", "opener"),
        lambda: past.ledger.complainant(one, reason="to see"),
        lambda: past.ledger.forget(one, reason="asked"),
        lambda: past.ledger.absorb([]),
        lambda: past.ledger.rebuild(),
        lambda: past.ledger.decrypt("four words, not together"),
    ):
        with pytest.raises(LedgerError, match="nothing is written into the past"):
            write()
    with pytest.raises(ExportError, match="none of an earlier moment"):
        fk.export(past, sample.settings.folder / "export")
    past.ledger.close()
    assert tree(sample.settings.folder) == before

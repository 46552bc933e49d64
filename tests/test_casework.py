"""Deeds of casework: a file imported whole or not at all, links, confirmed places, records noted."""

from __future__ import annotations

import csv
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fieldkit.casework import (
    Link,
    confirm_place,
    import_complaints,
    link_complaints,
    note_record,
    receive_complaints,
)
from fieldkit.complaints import Complaint, Entry, Flag
from fieldkit.errors import (
    FieldkitError,
    IntakeError,
    PlaceError,
    PluginError,
    UnknownCase,
    UnknownReferenceSystem,
)
from fieldkit.intake.tables import TableReading
from fieldkit.ledger import Receipt
from fieldkit.places import Place
from fieldkit.testing import sample_complaints
from fieldkit.workspace import Workspace, init_workspace

HEADER = "number,received_at,channel,category,text,address,lon,lat,name,phone\n"
GOOD = (
    "A-1,2017-07-01 22:10,微信,噪声,{{7*7}} <img src=x onerror=alert(1)> \u202eשלום 👷,"
    "Station Road 12,105.80,32.43,CANARY,13900001111\n"
    "A-2,2017-07-02 23:00,电话,噪声,=1+1,Station Road 12,105.88,32.43,,\n"
    ",2017-07-03 09:00,电话,大气,same,,,,,\n"
    ",2017-07-03 09:00,电话,大气,same,,,,,\n"
)
BAD = "A-3,never,电话,噪声,no time,,,,,\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "july.csv"
    path.write_text(HEADER + GOOD + BAD, encoding="utf-8")
    return path


def fingerprint(ws: Workspace) -> tuple[str, dict[str, int], str]:
    return ws.ledger.state_hash(), ws.ledger.count(), ws.data_version()


def test_a_file_is_imported_and_again_adds_nothing(sample: Workspace, table: Path) -> None:
    result = import_complaints(sample, table, crs="wgs84", source="office")
    assert (result.read, result.added, result.known, result.refused) == (5, 4, 0, 1)
    assert result.without_place == 2
    assert result.flags["no_place"] == 2
    assert len(sample.complaints()) == 64
    found = sample.complaints().set_index("number")
    assert found.loc["A-1", "text"] == "{{7*7}} <img src=x onerror=alert(1)> \u202eשלום 👷"
    assert found.loc["A-1", "district"] == "西区"
    assert found.loc["A-2", "district"] == "东区"
    before = fingerprint(sample)
    again = import_complaints(sample, table, crs="wgs84", source="office")
    assert (again.added, again.known, again.refused) == (0, 4, 1)
    assert fingerprint(sample) == before


def test_a_dry_run_changes_nothing(sample: Workspace, table: Path) -> None:
    before = fingerprint(sample), sorted(sample.settings.out.rglob("*"))
    result = import_complaints(sample, table, crs="wgs84", dry_run=True)
    assert (result.dry_run, result.read, result.added, result.refused) == (True, 5, 4, 1)
    assert len(result.preview) == 4
    assert result.refused_path is None
    assert (fingerprint(sample), sorted(sample.settings.out.rglob("*"))) == before
    assert "CANARY" not in repr(result)


def test_refused_rows_are_mended_and_imported_again(sample: Workspace, table: Path) -> None:
    first = import_complaints(sample, table, crs="wgs84", source="office")
    assert first.refused_path == sample.settings.out / "refused-july.csv"
    assert [path.name for path in sample.settings.out.iterdir()] == ["refused-july.csv"]
    mended = first.refused_path.read_text(encoding="utf-8-sig").replace("never", "2017-07-04 10:00")
    first.refused_path.write_text(mended, encoding="utf-8")
    again = import_complaints(sample, first.refused_path, crs="wgs84", source="office")
    assert (again.read, again.added, again.refused, again.refused_path) == (1, 1, 0, None)
    assert sample.case("A-3").first.text == "no time"
    whole = import_complaints(sample, table, crs="wgs84", source="office")
    assert whole.added == 0


def test_refused_rows_of_another_file_of_the_same_name_are_kept(
    sample: Workspace, table: Path, tmp_path: Path
) -> None:
    first = import_complaints(sample, table, crs="wgs84").refused_path
    assert import_complaints(sample, table, crs="wgs84").refused_path == first, (
        "the same rows need no second file"
    )
    other = tmp_path / "other" / table.name
    other.parent.mkdir()
    other.write_text(HEADER + BAD.replace("A-3", "A-4"), encoding="utf-8")
    second = import_complaints(sample, other, crs="wgs84").refused_path
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("refused-july.csv", "refused-july-2.csv")
    assert "A-3" in first.read_text(encoding="utf-8-sig")
    # Mended or not, a file of refused rows gives way to its own import.
    assert import_complaints(sample, second, crs="wgs84").refused_path == second


def test_a_changed_row_is_refused_with_the_reason(sample: Workspace, table: Path) -> None:
    import_complaints(sample, table, crs="wgs84", source="office")
    before = fingerprint(sample)
    table.write_text((HEADER + GOOD).replace("=1+1", "=1+2"), encoding="utf-8")
    result = import_complaints(sample, table, crs="wgs84", source="office")
    assert (result.added, result.known, result.refused) == (0, 3, 1)
    assert result.flags["changed"] == 1
    assert result.refused_path is not None
    with result.refused_path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["A-2"]
    assert "changed" in str(rows)
    assert fingerprint(sample) == before
    other = import_complaints(sample, table, crs="wgs84", source="another office")
    assert other.added == 4


def test_coordinates_in_china_without_a_system_are_not_guessed(sample: Workspace, table: Path) -> None:
    import dataclasses

    ws = Workspace(dataclasses.replace(sample.settings, crs="ask"))
    before = fingerprint(sample)
    with pytest.raises(
        UnknownReferenceSystem, match="has coordinates in China and does not say in which system"
    ):
        import_complaints(ws, table)
    assert fingerprint(sample) == before
    shifted = import_complaints(ws, table, crs="gcj02")
    assert shifted.crs == "gcj02"
    place = ws.case("A-1").place
    assert place is not None
    assert place.original == (105.80, 32.43)
    assert place.lon != 105.80
    ws.ledger.close()


def test_an_address_is_found_in_the_gazetteer(sample: Workspace, tmp_path: Path) -> None:
    with sample.gazetteer_path.open("a", encoding="utf-8") as file:
        file.write("Willow Garden Community,柳园小区,community,东区,Willow Garden,105.871,32.441,80\n")
    path = tmp_path / "x.csv"
    path.write_text(
        HEADER + "G-1,2017-07-01 22:10,微信,噪声,loud,Willow Garden Community,,,,\n", encoding="utf-8"
    )
    result = import_complaints(sample, path, crs="wgs84")
    assert (result.located, result.without_place) == (1, 0)
    row = sample.complaints(case="G-1").iloc[0]
    assert (row["lon"], row["lat"], row["place_method"]) == (105.871, 32.441, "gazetteer")
    assert row["community"] == "Willow Garden"


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02" * 99, b"PK\x03\x04 no table"])
def test_a_file_that_cannot_be_read_changes_nothing(
    sample: Workspace, tmp_path: Path, content: bytes
) -> None:
    before = fingerprint(sample)
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(IntakeError):
        import_complaints(sample, path)
    with pytest.raises(IntakeError):
        import_complaints(sample, tmp_path / "nowhere.csv")
    with pytest.raises(PluginError, match="There is no readers plugin 'crystal_ball'"):
        import_complaints(sample, path, reader="crystal_ball")
    assert fingerprint(sample) == before


class Interrupted:
    """A reading that stops after some thousand rows, as when somebody presses Ctrl-C."""

    encoding, crs, mapping, unused, total = "", "wgs84", {}, (), None

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def open(self, path: Path, options: dict[str, Any]) -> Interrupted:
        return self

    def __iter__(self) -> Iterator[Entry]:
        moment = datetime(2017, 7, 1, tzinfo=UTC)
        for n in range(6_000):
            yield Entry(n, Complaint(moment, "office", number=str(n)), None, (), {})
        yield Entry(6_001, None, None, (Flag("bad_time", "received_at", "x", 6_001, "x"),), {"a": "b"})
        raise self.error

    def write_refused(self, entries: Any, path: Path) -> Path:
        raise AssertionError


@pytest.mark.parametrize("error", [KeyboardInterrupt(), IntakeError("half a file"), MemoryError()])
def test_an_interrupted_import_leaves_nothing(
    sample: Workspace, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = fingerprint(sample), sorted(sample.settings.folder.rglob("*"))
    monkeypatch.setattr("fieldkit.casework.importing.load_plugin", lambda *_: Interrupted(error))
    for _ in range(2):
        with pytest.raises(type(error)):
            import_complaints(sample, "x.csv")
        assert (fingerprint(sample), sorted(sample.settings.folder.rglob("*"))) == before


def test_refused_rows_that_cannot_be_written_stop_the_import(
    sample: Workspace, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(sample)

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fieldkit.intake.tables.TableReading.write_refused", full)
    with pytest.raises(OSError, match="No space left"):
        import_complaints(sample, table, crs="wgs84")
    assert fingerprint(sample) == before
    assert list(sample.settings.out.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_refused_rows_are_for_their_owner_alone(sample: Workspace, table: Path) -> None:
    out, seen = sample.settings.out, []
    real = TableReading.write_refused

    def watched(self: TableReading, entries: Any, path: Path) -> Path:
        seen.append(stat.S_IMODE(path.parent.stat().st_mode))
        return real(self, entries, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TableReading, "write_refused", watched)
        refused = import_complaints(sample, table, crs="wgs84").refused_path
    assert seen == [0o700]
    assert refused == out / "refused-july.csv"
    assert stat.S_IMODE(refused.stat().st_mode) == 0o600
    refused.chmod(0o644)  # as a spreadsheet may leave it
    again = import_complaints(sample, refused, crs="wgs84").refused_path
    assert again == refused
    assert stat.S_IMODE(refused.stat().st_mode) == 0o600


def test_refused_rows_go_beside_a_link_that_stands_in_their_place(sample: Workspace, table: Path) -> None:
    elsewhere = sample.settings.folder / "elsewhere.csv"
    (sample.settings.out / "refused-july.csv").symlink_to(elsewhere)
    refused = import_complaints(sample, table, crs="wgs84").refused_path
    assert refused == sample.settings.out / "refused-july-2.csv"
    assert not elsewhere.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_refused_rows_of_a_killed_import_are_closed_and_swept(sample: Workspace, table: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from fieldkit import casework, files, workspace\n"
        "files.put_in_place = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "ws = workspace.open_workspace(sys.argv[1])\n"
        "casework.import_complaints(ws, sys.argv[2], crs='wgs84')\n"
    )
    out = sample.settings.out
    done = subprocess.run(
        [sys.executable, "-c", program, str(sample.settings.folder), str(table)],
        check=False,
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr
    (left,) = out.iterdir()
    assert [stat.S_IMODE(left.stat().st_mode), left.name[:10]] == [0o700, ".fieldkit-"]
    assert any("never" in path.read_text("utf-8-sig") for path in left.rglob("*") if path.is_file())
    import_complaints(sample, table, crs="wgs84", dry_run=True)
    assert list(out.iterdir()) == [left], "a dry run changes nothing"
    assert import_complaints(sample, table, crs="wgs84").refused == 1
    assert [path.name for path in out.iterdir()] == ["refused-july.csv"]


def test_complaints_made_elsewhere(sample: Workspace) -> None:
    entries = [Entry(n, one, person, (), {}) for n, (one, person) in enumerate(sample_complaints())]
    result = receive_complaints(sample, entries, title="again")
    assert (result.read, result.known, result.added) == (60, 60, 0)


def test_a_link_follows_where_the_case_went(sample: Workspace) -> None:
    assert link_complaints(sample, [Link("S-002", "S-004", "follow_up")]) == 1
    assert "S-002" in [c.number for c in sample.case("S-001").complaints]
    assert sample.case("S-004").state == "MERGED"
    # Within one call, too.
    link_complaints(sample, [Link("S-005", "S-003", "duplicate"), Link("S-006", "S-005", "duplicate")])
    assert {c.number for c in sample.case("S-003").complaints} == {"S-003", "S-005", "S-006"}


@pytest.mark.parametrize(
    ("link", "error", "message"),
    [
        (
            Link("S-001", "S-001", "duplicate"),
            FieldkitError,
            "cannot be linked to S-001, which is its own case",
        ),
        (
            Link("S-001", "S-004", "duplicate"),
            FieldkitError,
            "cannot be linked to S-004, which is its own case",
        ),
        (Link("S-002", "S-001", "sibling"), FieldkitError, "The relation 'sibling' is not one of"),
        (Link("S-002", "S-001", "duplicate", "late"), FieldkitError, "The cause 'late' does not fit"),
        (Link("S-002", "S-001", "recurrence", "bored"), FieldkitError, "The cause 'bored' does not fit"),
        (Link("S-999", "S-001", "duplicate"), UnknownCase, "There is no case 'S-999'"),
    ],
)
def test_a_wrong_link_changes_nothing(
    sample: Workspace, link: Link, error: type[Exception], message: str
) -> None:
    before = fingerprint(sample)
    with pytest.raises(error, match=message):
        link_complaints(sample, [Link("S-008", "S-001", "duplicate"), link])
    assert fingerprint(sample) == before


def test_a_place_is_confirmed(sample: Workspace) -> None:
    confirm_place(sample, "S-008", 105.9, 32.41, district="东区", address="Orchard Lane 8 (rear)")
    row = sample.complaints(case="S-008").iloc[0]
    assert (row["lon"], row["lat"], row["place_method"], row["needs_confirming"]) == (
        105.9,
        32.41,
        "confirmed",
        False,
    )
    assert (row["district"], row["address"]) == ("东区", "Orchard Lane 8 (rear)")
    with pytest.raises(PlaceError, match="swapped"):
        confirm_place(sample, "S-008", 32.41, 105.9)


def test_a_record_is_noted_for_a_case_that_exists(sample: Workspace) -> None:
    before = sample.data_version()
    case = sample.case("S-001")
    note_record(sample, case.id, {"files": {"html": "abc"}})
    assert sample.records() == {case.id: {"files": {"html": "abc"}}}
    assert sample.data_version() == before
    assert "Record written (html)" in [moment.en for moment in sample.case("S-001").timeline]
    with pytest.raises(UnknownCase):
        note_record(sample, "nowhere", {})


def test_a_result_is_one_readable_line_and_names_nobody(sample: Workspace, table: Path) -> None:
    said = repr(import_complaints(sample, table, crs="wgs84", source="office"))
    assert said.startswith(
        "<Import of 'july.csv': 5 rows read, 4 added, 0 known, 1 refused, 2 without a place; flags: "
    )
    assert "bad_time 1" in said
    assert "CANARY" not in said
    case = sample.case("A-1")
    assert repr(case).startswith(f"<Case 'A-1' ({case.id}): 1 complaint, REGISTERED, noise")
    assert "<img" not in repr(case)


def test_a_case_lies_where_its_surest_place_is(tmp_path: Path) -> None:
    """A place found by name gives way to coordinates, and these to what an officer confirmed; tables and fold agree."""
    ws = init_workspace(tmp_path / "office", crs="wgs84")
    at = datetime(2017, 7, 3, 22, tzinfo=UTC)
    found = Place(105.80, 32.40, method="gazetteer", score=90.0, needs_confirming=True)
    made = [
        Complaint(at, "test", "1", place=found),
        Complaint(at + timedelta(days=1), "test", "2", place=Place(105.81, 32.41)),
        Complaint(at + timedelta(days=2), "test", "3", place=Place(105.82, 32.42)),
    ]
    with ws.ledger.receiving() as receiving:
        receiving.add([Receipt(complaint, complaint) for complaint in made])

    def where() -> tuple[float, float]:
        (row,) = ws.cases().query("number == '1'").itertuples()
        place = ws.case("1").place
        assert place is not None
        assert (row.lon, row.lat) == (place.lon, place.lat)
        return row.lon, row.lat

    assert where() == (105.80, 32.40)
    link_complaints(ws, [Link("2", "1", "follow_up"), Link("3", "1", "duplicate")])
    assert where() == (105.81, 32.41)
    third = next(c.id for c in ws.case("1").complaints if c.number == "3")
    confirm_place(ws, third, 105.83, 32.43)
    assert where() == (105.83, 32.43)
    assert ws.ledger.state_hash() == ws.ledger.rebuild()
    ws.ledger.close()

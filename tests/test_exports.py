"""Exports: lossless, checked alone to the last bit, and taken in whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import geopandas as gpd
import pyogrio
import pytest
from click.testing import CliRunner

import fieldkit as fk
from fieldkit.cli import cli
from fieldkit.errors import ExportError, FieldkitError, ManifestError
from fieldkit.events import Fact, moment_of
from fieldkit.exports import ExportResult, export, import_export, verify_export
from fieldkit.jsonlines import line_of
from fieldkit.keys import Keys
from fieldkit.ledger import Problem
from fieldkit.manifests import Packing, read_manifest
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace

#: How many random bits of a whole export are flipped; the bar of 10,000 takes some minutes.
FLIPS = int(os.environ.get("FIELDKIT_TEST_FLIPS", "200"))

PHOTOS = (b"photo one, a few bytes", b"photo two, a few more")


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def add_evidence(ws: Workspace, case: str, content: bytes) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    path = ws.settings.folder / "evidence" / sha256[:2] / f"{sha256}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    ws.ledger.append(
        [
            Fact(
                case,
                "evidence_added",
                {"sha256": sha256, "size": len(content), "type": "image/jpeg", "name": "a.jpg"},
                moment_of(0),
            )
        ]
    )
    return path


@pytest.fixture
def office(sample: Workspace) -> Workspace:
    for number, content in (("S-002", PHOTOS[0]), ("S-002", PHOTOS[1]), ("S-003", b"of another case")):
        add_evidence(sample, sample.ledger.find_case(number), content)
    return sample


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Workspace]:
    ws = fk.init(tmp_path / "new")
    yield ws
    ws.ledger.close()


# --- there and back --------------------------------------------------------------------------------------------


def test_an_export_gives_the_same_ledger_again(office: Workspace, new: Workspace, tmp_path: Path) -> None:
    result = export(office, tmp_path / "out")
    taken = import_export(new, tmp_path / "out", key=bytes.fromhex(result.key))
    assert (taken.added, taken.known, taken.evidence) == (result.events, 0, 3)
    assert taken.state_hash == office.ledger.state_hash() == result.state_hash
    assert list(new.ledger.events()) == list(office.ledger.events())
    assert new.ledger.heads() == office.ledger.heads()
    assert list(new.ledger.sealed()) == list(office.ledger.sealed())
    assert new.ledger.verify() == []
    assert snapshot(new.settings.folder / "evidence") == snapshot(office.settings.folder / "evidence")
    again = import_export(new, tmp_path / "out")
    assert (again.added, again.known, again.evidence) == (0, result.events, 0)


def test_the_same_export_twice_has_the_same_lines(office: Workspace, new: Workspace, tmp_path: Path) -> None:
    export(office, tmp_path / "one")
    import_export(new, tmp_path / "one")
    export(new, tmp_path / "two")
    for name in ("events.jsonl", "heads.jsonl", "vault.jsonl", "imported.jsonl", "README.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.postgres
def test_an_export_goes_from_file_to_server_and_back(
    office: Workspace, new: Workspace, tmp_path: Path, postgres_database: Callable[[], str]
) -> None:
    server = fk.init(tmp_path / "server", ledger=postgres_database())
    export(office, tmp_path / "one")
    assert import_export(server, tmp_path / "one").state_hash == office.ledger.state_hash()
    export(server, tmp_path / "two")
    assert import_export(new, tmp_path / "two").state_hash == office.ledger.state_hash()
    assert list(new.ledger.sealed()) == list(office.ledger.sealed())
    server.ledger.close()


def test_an_existing_workspace_takes_another_in(office: Workspace, tmp_path: Path) -> None:
    other = sample_workspace(tmp_path / "other")
    fk.confirm_place(other, "S-008", 105.81, 32.42)
    for one, two, name in ((office, other, "a"), (other, office, "b")):
        export(one, tmp_path / name)
        import_export(two, tmp_path / name)
    assert office.ledger.state_hash() == other.ledger.state_hash()
    assert office.ledger.count()["complaints"] == 60
    assert len(office.ledger.heads()) == 2
    other.ledger.close()


def test_anybody_can_recompute_a_line_without_the_kit(office: Workspace, tmp_path: Path) -> None:
    export(office, tmp_path / "out")
    previous: dict[str, str] = {}
    for line in (tmp_path / "out" / "events.jsonl").read_text(encoding="utf-8").splitlines():
        e = json.loads(line)
        when = e["recorded_at"] if e["tick"] == e["recorded_at"] else f"{e['recorded_at']}@{e['tick']}"
        text = (
            f"{e['origin']}\n{e['sequence']}\n{e['subject']}\n{e['kind']}\n{json.dumps(e['actor'])}\n"
            f"{e['occurred_at']}\n{when}\n{e['previous']}\n{e['payload']}"
        )
        assert hashlib.sha256(text.encode()).hexdigest() == e["digest"]
        assert e["previous"] == previous.get(e["origin"], "0" * 64)
        previous[e["origin"]] = e["digest"]


def test_the_export_of_a_case_names_nobody_and_holds_its_own_evidence(
    office: Workspace, tmp_path: Path
) -> None:
    result = export(office, tmp_path / "case", cases=["S-002"])
    names = {path.name for path in (tmp_path / "case").iterdir()}
    assert names == {
        "events.jsonl",
        "heads.jsonl",
        "evidence",
        "README.txt",
        "manifest.json",
        "manifest.signature",
    }
    assert {path.read_bytes() for path in (tmp_path / "case").glob("evidence/*/*")} == set(PHOTOS)
    assert result.evidence == 2
    subjects = {event["subject"] for event in lines(tmp_path / "case")}
    assert subjects == {office.ledger.find_case("S-002"), office.settings.origin}
    assert verify_export(tmp_path / "case", bytes.fromhex(result.key)) == []


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_nothing_is_written_over_and_nothing_half_is_left(office: Workspace, tmp_path: Path) -> None:
    before = snapshot(office.settings.folder)
    with pytest.raises(ExportError, match="not empty"):
        export(office, office.settings.folder)
    with pytest.raises(FieldkitError, match="There is no case 'X-1'"):
        export(office, tmp_path / "out", cases=["X-1"])
    assert snapshot(office.settings.folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_missing_evidence_is_flagged(office: Workspace, tmp_path: Path) -> None:
    next(office.settings.folder.glob("evidence/*/*")).unlink()
    assert len(export(office, tmp_path / "out").flags) == 1


# --- every bit --------------------------------------------------------------------------------------------------


@pytest.fixture
def case(office: Workspace, tmp_path: Path) -> tuple[Path, bytes]:
    """The export of a small case, and the key that signed it."""
    result = export(office, tmp_path / "case", cases=["S-002"])
    return result.path, bytes.fromhex(result.key)


def names_it(problems: Sequence[Problem], path: Path) -> bool:
    event = any(problem.sequence for problem in problems)
    return any(path.name in problem.message for problem in problems) or (
        path.name == "events.jsonl" and event
    )


@pytest.mark.timeout(600)
def test_every_bit_of_every_file_of_a_case_is_found(case: tuple[Path, bytes]) -> None:
    folder, key = case
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) == 7
    flipped, missed = 0, []
    for path in files:
        good = path.read_bytes()
        with path.open("rb+", buffering=0) as file:
            for bit in range(len(good) * 8):
                place, value = bit // 8, good[bit // 8] ^ 1 << bit % 8
                file.seek(place)
                file.write(bytes([value]))
                flipped += 1
                if not names_it(verify_export(folder, key), path):
                    missed.append((path.name, bit))
                file.seek(place)
                file.write(good[place : place + 1])
    assert flipped > 20_000
    assert missed == []
    assert verify_export(folder, key) == []


def test_random_bits_of_a_whole_export_are_found(office: Workspace, tmp_path: Path) -> None:
    result = export(office, tmp_path / "out")
    files = [path for path in sorted(result.path.rglob("*")) if path.is_file()]
    rng = Random(8)  # noqa: S311 - which bits are flipped is no secret
    for _ in range(FLIPS):
        path = rng.choices(files, [one.stat().st_size for one in files])[0]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        assert names_it(verify_export(result.path, bytes.fromhex(result.key)), path)
        path.write_bytes(good)


def test_a_changed_event_is_named(case: tuple[Path, bytes]) -> None:
    folder, key = case
    path = folder / "events.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("夜间", "日间"), encoding="utf-8")
    found = verify_export(folder, key)
    assert any(
        problem.sequence == 3 and "was changed after it was written" in problem.message for problem in found
    )
    assert any("events.jsonl was changed" in problem.message for problem in found)


def _edits(kept: list[bytes]) -> Iterator[list[bytes]]:
    for n in range(len(kept)):
        yield kept[:n] + kept[n + 1 :]  # deleted
        yield kept[: n + 1] + kept[n:]  # twice
        other = kept[n].replace(b'"sequence":', b'"sequence":1')
        yield [*kept[: n + 1], other, *kept[n + 1 :]]  # inserted
        yield kept[:n]  # the tail cut off
    for n in range(len(kept) - 1):
        yield [*kept[:n], kept[n + 1], kept[n], *kept[n + 2 :]]  # swapped
    yield kept[::-1]


@pytest.mark.parametrize("whole", [False, True])
def test_lines_deleted_inserted_swapped_or_cut_off_are_found(
    office: Workspace, tmp_path: Path, whole: bool
) -> None:
    result = export(office, tmp_path / "out", cases=() if whole else ["S-002"])
    key = bytes.fromhex(result.key)
    for name in ("events.jsonl", "heads.jsonl"):
        path = result.path / name
        kept = path.read_bytes().splitlines(keepends=True)
        for edited in _edits(kept[:12] if not whole else kept[-6:]):
            data = b"".join(edited if not whole else kept[:-6] + edited)
            if data == path.read_bytes():
                continue
            good = path.read_bytes()
            path.write_bytes(data)
            assert names_it(verify_export(result.path, key), path)
            path.write_bytes(good)
    assert verify_export(result.path, key) == []


def test_swapped_photos_and_an_older_file_are_found(
    office: Workspace, case: tuple[Path, bytes], tmp_path: Path
) -> None:
    folder, key = case
    one, two = sorted(folder.glob("evidence/*/*"))
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    problems = verify_export(folder, key)
    assert all(any(path.name in problem.message for problem in problems) for path in (one, two))
    # The office went on, and somebody puts files of the older export among the newer one's.
    fk.confirm_place(office, "S-002", 105.8, 32.43)
    newer = export(office, tmp_path / "newer", cases=["S-002"]).path
    assert verify_export(newer, key) == []
    for name in ("events.jsonl", "heads.jsonl", "manifest.json", "manifest.signature"):
        good = (newer / name).read_bytes()
        shutil.copyfile(folder / name, newer / name)
        assert verify_export(newer, key), name
        (newer / name).write_bytes(good)


def test_what_is_signed_anew_by_somebody_else_is_found_with_the_key(
    case: tuple[Path, bytes], tmp_path: Path
) -> None:
    folder, key = case
    forged = resigned(folder, tmp_path / "forged", Keys(tmp_path / "mallory"))
    assert verify_export(forged) == []  # somebody signed it
    (problem, *_) = verify_export(forged, key)
    assert "another key" in problem.message


def resigned(folder: Path, to: Path, keys: Keys, change: Callable[[str, bytes], bytes] | None = None) -> Path:
    """The export in *folder* changed and signed again, as a liar with a key does it."""
    manifest = read_manifest(folder, "export")
    to.mkdir()
    packing = Packing(to)
    for name in manifest.files:
        data = (folder / name).read_bytes()
        packing.write(name, data if change is None else change(name, data))
    packing.seal("export", manifest.about, keys)
    return to


def test_a_newer_form_is_refused_in_a_sentence(
    office: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fieldkit.manifests.FORMAT", 2)
    export(office, tmp_path / "out")
    backup = fk.back_up(office).folder
    monkeypatch.undo()
    (problem, *_) = verify_export(tmp_path / "out")
    assert problem.message.endswith(
        "was made by a newer fieldkit (form 2, this one knows 1). Update the kit."
    )
    with pytest.raises(ManifestError, match="newer fieldkit"):
        import_export(office, tmp_path / "out")
    with pytest.raises(ManifestError, match="newer fieldkit"):
        fk.restore(backup, tmp_path / "new")


# --- hostile exports --------------------------------------------------------------------------------------------


def _line(n: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        kept = data.splitlines(keepends=True)
        kept[n] = change(kept[n])
        return b"".join(kept)

    return changed


def _field(n: int, **changed: object) -> Callable[[bytes], bytes]:
    return _line(n, lambda line: line_of({**json.loads(line), **changed}))


def _row(n: int, **changed: object) -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        plain = json.loads(line)
        return line_of({**plain, "row": {**plain["row"], **changed}})

    return _line(n, change)


HOSTILE = {
    "a gap": (
        "events.jsonl",
        lambda data: b"".join(data.splitlines(keepends=True)[:3] + data.splitlines(keepends=True)[4:]),
    ),
    "the first is missing": ("events.jsonl", lambda data: b"".join(data.splitlines(keepends=True)[1:])),
    "out of order": ("events.jsonl", lambda data: b"".join(reversed(data.splitlines(keepends=True)))),
    "a cut tail": ("events.jsonl", lambda data: b"".join(data.splitlines(keepends=True)[:-1])),
    "no events": ("events.jsonl", lambda _data: b""),
    "a wrong digest": ("events.jsonl", _field(4, digest="ab" * 32)),
    "a wrong link": ("events.jsonl", _field(4, previous="ab" * 32)),
    "another text": ("events.jsonl", _field(4, payload="{}")),
    "a payload that is none": ("events.jsonl", _field(4, payload="{")),
    "a field more": ("events.jsonl", _field(4, more=1)),
    "a wrong type": ("events.jsonl", _field(4, sequence="5")),
    "a truth for a number": ("events.jsonl", _field(0, sequence=True)),
    "a giant number": ("events.jsonl", _field(4, tick=10**400)),
    "a number beyond numbers": (
        "events.jsonl",
        _line(4, lambda line: line.replace(b'"tick":', b'"tick":' + b"9" * 5_000)),
    ),
    "a doubled key": ("events.jsonl", _line(4, lambda line: b'{"actor":"x",' + line[1:])),
    "another spelling": ("events.jsonl", _line(4, lambda line: line.replace(b",", b", "))),
    "NaN": ("events.jsonl", _line(4, lambda line: line.replace(b'"sequence":5', b'"sequence":NaN'))),
    "no object": ("events.jsonl", _line(4, lambda _line: b"[]\n")),
    "deep": ("events.jsonl", _line(4, lambda _line: b"[" * 100_000 + b"\n")),
    "no UTF-8": ("events.jsonl", _line(4, lambda line: line.replace(b"noise", b"\xff\xfe"))),
    "half a character": (
        "events.jsonl",
        _line(4, lambda line: line.replace(b'"actor":"', b'"actor":"\\ud800')),
    ),
    "no line end": ("events.jsonl", lambda data: data[:-1]),
    "an empty line": ("events.jsonl", lambda data: data + b"\n"),
    "a huge line": ("events.jsonl", lambda data: data + b'{"a":"' + b"x" * (17 << 20) + b'"}\n'),
    "a forged signature": ("heads.jsonl", _field(0, signature="ab" * 64)),
    "no signature": ("heads.jsonl", _field(0, signature="", key="")),
    "no heads": ("heads.jsonl", lambda _data: b""),
    "a head of nothing": ("heads.jsonl", _field(0, origin="nobody")),
    "a head beyond": ("heads.jsonl", _field(0, sequence=10**30)),
    "an origin that is none": ("heads.jsonl", _field(0, origin="a\nb")),
    "a row of no table": ("vault.jsonl", _line(0, lambda _line: b'{"row":{},"table":"event"}\n')),
    "a row of an unheard table": (
        "vault.jsonl",
        _line(0, lambda _line: b'{"row":{},"table":"sqlite_master"}\n'),
    ),
    "a column more": ("vault.jsonl", _row(0, more=1)),
    "no hex": ("vault.jsonl", _row(0, public="zz")),
    "a short key": ("vault.jsonl", _row(0, public="ab")),
    "a number for a text": ("imported.jsonl", _row(0, complaint_id=7)),
    "too long an id": ("imported.jsonl", _row(0, complaint_id="A" * 13)),
    "no content": ("imported.jsonl", _row(0, content=None)),
    "no rows": ("vault.jsonl", _line(0, lambda _line: b"{}\n")),
    "a piece that is another": ("evidence", lambda data: data + b"x"),
}


@pytest.mark.parametrize("wrong", HOSTILE)
def test_a_hostile_export_is_refused_and_nothing_is_changed(
    office: Workspace, new: Workspace, tmp_path: Path, wrong: str
) -> None:
    where, change = HOSTILE[wrong]
    source = export(office, tmp_path / "good").path
    done: list[str] = []

    def changed(name: str, data: bytes) -> bytes:
        if not name.startswith(where) or done:
            return data
        done.append(name)
        return change(data)

    hostile = resigned(source, tmp_path / "hostile", Keys(tmp_path / "mallory"), changed)
    assert done
    new.ledger.count()
    new.ledger.close()
    before = snapshot(new.settings.folder)
    with pytest.raises(FieldkitError) as caught:
        import_export(new, hostile)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    new.ledger.close()
    assert snapshot(new.settings.folder) == before
    if where in ("events.jsonl", "heads.jsonl", "evidence"):
        assert verify_export(hostile) != []


def test_a_part_is_not_taken_in(office: Workspace, new: Workspace, case: tuple[Path, bytes]) -> None:
    with pytest.raises(ExportError, match="the export of single cases"):
        import_export(new, case[0])
    with pytest.raises(ManifestError, match="is no export"):
        import_export(new, office.settings.folder)
    with pytest.raises(ManifestError, match="is no export, but: 'backup'"):
        import_export(new, fk.back_up(office).folder)


def test_evidence_altered_in_the_workspace_is_not_written_over(
    office: Workspace, new: Workspace, tmp_path: Path
) -> None:
    source = export(office, tmp_path / "out").path
    import_export(new, source)
    path = next(new.settings.folder.glob("evidence/*/*"))
    path.write_bytes(b"altered")
    with pytest.raises(ExportError, match="is not what was taken in under this name"):
        import_export(new, source)
    assert path.read_bytes() == b"altered"


# --- for other programs ------------------------------------------------------------------------------------------


def test_a_geopackage_has_both_layers_and_no_complainant(sample: Workspace, tmp_path: Path) -> None:
    result = export(sample, tmp_path / "town.gpkg")
    assert (result.complaints, result.cases) == (60, 57)
    assert sorted(name for name, _ in pyogrio.list_layers(tmp_path / "town.gpkg")) == ["cases", "complaints"]
    there = gpd.read_file(tmp_path / "town.gpkg", layer="complaints")
    here = sample.complaints()
    assert there.crs.to_epsg() == 4326
    assert list(there["number"]) == list(here["number"])
    # QGIS shows text as it is, and a time in UTC: the office's evening must not become the afternoon.
    assert list(there["received_at"]) == [time.isoformat() for time in here["received_at"]]
    assert there["received_at"].str.endswith("+08:00").all()
    assert (there["received_at_utc"].dt.tz_convert(here["received_at"].dt.tz) == here["received_at"]).all()
    assert there["occurred_at"].isna().sum() == here["occurred_at"].isna().sum() > 0
    placed = here["lon"].notna()
    assert placed.sum() == 58
    assert there.geometry[placed].geom_equals_exact(here.geometry[placed], 1e-9).all()
    cases = gpd.read_file(tmp_path / "town.gpkg", layer="cases")
    assert set(cases["number"]) == set(sample.cases()["number"])
    assert cases.geometry.isna().sum() == sample.cases()["lon"].isna().sum() == 2
    data = (tmp_path / "town.gpkg").read_bytes()
    assert b"Resident" not in data
    assert b"1390000" not in data


def test_a_geoparquet_comes_back_as_the_frame_it_was(sample: Workspace, tmp_path: Path) -> None:
    export(sample, tmp_path / "town.parquet")
    there, here = gpd.read_parquet(tmp_path / "town.parquet"), sample.complaints()
    assert there.crs == here.crs
    for name in ("complaint", "number", "text", "received_at", "occurred_at", "needs_confirming"):
        assert list(there[name].dropna()) == list(here[name].dropna())
    assert there.geometry.geom_equals(here.geometry).sum() == here["lon"].notna().sum() == 58
    assert b"Resident" not in (tmp_path / "town.parquet").read_bytes()


def test_one_case_for_a_map(sample: Workspace, tmp_path: Path) -> None:
    result = export(sample, tmp_path / "case.gpkg", cases=["S-001"])
    assert (result.complaints, result.cases) == (4, 1)
    assert len(gpd.read_file(tmp_path / "case.gpkg", layer="complaints")) == 4


# --- the command line --------------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_file_for_a_map_can_be_had_as_of_an_earlier_moment(sample: Workspace, tmp_path: Path) -> None:
    moment = datetime.now(UTC)
    fk.confirm_place(sample, "S-001", 105.9, 32.5)
    folder = ("-w", str(sample.settings.folder))
    for as_of, lon in ((moment.isoformat(), 105.84), ("2100-01-01", 105.9)):
        run("export", str(tmp_path / "then.gpkg"), "--as-of", as_of, *folder)
        for layer in ("complaints", "cases"):
            frame = gpd.read_file(tmp_path / "then.gpkg", layer=layer)
            found = frame[frame["number"] == "S-001"].geometry.iloc[0]
            assert round(found.x, 2) == lon
    assert fk.export(sample, tmp_path / "none.parquet", as_of=date(2017, 1, 1)).complaints == 0
    code, output = run("export", str(tmp_path / "folder"), "--as-of", "2100-01-01", *folder)
    assert (code, "none of an earlier moment" in output) == (2, True)
    assert not (tmp_path / "folder").exists()


def test_the_commands(sample: Workspace, new: Workspace, tmp_path: Path) -> None:
    folder = sample.settings.folder
    code, output = run("export", tmp_path / "out", "-w", folder, "--json")
    made = ExportResult(**json.loads(output))
    assert (code, made.events) == (0, sample.ledger.count()["events"])
    code, output = run("export", tmp_path / "case", "--case", "S-001", "-w", folder)
    assert code == 0
    assert f"fieldkit verify {tmp_path / 'case'} --key {made.key}" in output
    code, output = run("export", tmp_path / "town.gpkg", "-w", folder)
    assert (code, "60 complaints" in output) == (0, True)
    code, output = run("export", tmp_path / "out", "-w", folder)
    assert (code, output.count("\n")) == (2, 1)
    code, output = run("import-export", tmp_path / "out", "-w", new.settings.folder, "--key", made.key)
    assert (code, f"{made.events} events" in output) == (0, True)
    code, output = run("import-export", tmp_path / "out", "-w", new.settings.folder, "--json")
    assert (code, json.loads(output)["added"]) == (0, 0)
    key = tmp_path / "office.pub"
    key.write_text(made.key + "\n", encoding="ascii")
    assert run("verify", tmp_path / "case", "--key", key)[0] == 0
    assert "Give --key" in run("verify", tmp_path / "case")[1]
    assert run("verify", tmp_path / "case", "--key", "ab" * 32)[0] == 2
    assert run("verify", tmp_path / "case", "--key", tmp_path / "nowhere")[0] == 2
    (tmp_path / "case" / "README.txt").write_text("\x1b[31m", encoding="ascii")
    code, output = run("verify", tmp_path / "case", "--json")
    assert (code, json.loads(output)["problems"]) == (
        2,
        [["", 0, "README.txt was changed since it was put in."]],
    )


def test_an_export_is_checked_without_a_workspace(
    sample: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = export(sample, tmp_path / "case", cases=["S-001"])
    sample.ledger.close()
    shutil.rmtree(sample.settings.folder)
    command = [sys.executable, "-m", "fieldkit", "verify", str(result.path), "--key", result.key]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_export_while_others_write_is_of_one_moment(sample: Workspace, tmp_path: Path) -> None:
    import threading

    stop = threading.Event()

    def write() -> None:
        with contextlib.closing(fk.open(sample.settings.folder).ledger) as ledger:
            while not stop.is_set():
                ledger.append([Fact("A" * 12, "complaint_unlinked", {}, moment_of(0))])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(5):
            result = export(sample, tmp_path / f"out-{n}")
            assert verify_export(result.path, bytes.fromhex(result.key)) == []
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("name", ["out.csv", "out.GEOJSON", "out.zip"])
def test_a_file_of_another_sort_is_refused_and_no_folder_made(
    office: Workspace, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ExportError, match=r"an export is a folder, a \.gpkg or a \.parquet"):
        export(office, tmp_path / name)
    assert not (tmp_path / name).exists()

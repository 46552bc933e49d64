"""Evidence as part of a case: added, copied, shown, checked; what is missing or altered is red where it is shown."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import evidence_files as made
import pypdf
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import fieldkit as fk
from fieldkit import events
from fieldkit.casework import (
    Link,
    add_evidence,
    link_complaints,
    redact_evidence,
    stamp_evidence,
    verify_evidence,
)
from fieldkit.cli import cli
from fieldkit.dashboards.symposium import Symposium
from fieldkit.errors import EvidenceError, LedgerError, UnknownCase
from fieldkit.evidence import Evidence
from fieldkit.ledger import Ledger
from fieldkit.records import investigation
from fieldkit.records.document import read_document
from fieldkit.records.html import HtmlRecord
from fieldkit.records.parts import MIME
from fieldkit.records.pdf import PdfRecord
from fieldkit.workspace import Workspace


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return made.photo(tmp_path / "IMG_1.jpg", comment=b"secret comment")


@pytest.fixture
def piece(sample: Workspace, photo: Path) -> Evidence:
    (added,) = add_evidence(sample, "S-001", photo, finder="王检查员").added
    return added


def spoil(ws: Workspace, piece: Evidence, how: str) -> None:
    path = ws.evidence.find(piece.sha256)
    assert path is not None
    path.chmod(0o644)
    if how == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def run(*arguments: str, color: bool = False) -> Result:
    result = CliRunner().invoke(cli, list(arguments), color=color)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def pixels(ws: Workspace, piece: Evidence) -> Image.Image:
    with ws.evidence.open(piece.sha256) as file, Image.open(file) as image:
        return image.convert("RGB")


# Adding ---------------------------------------------------------------------------------------------------------


def test_evidence_is_added_to_a_case(sample: Workspace, photo: Path, tmp_path: Path) -> None:
    notes = tmp_path / "reading.txt"
    notes.write_text("47 dB", encoding="utf-8")
    result = add_evidence(sample, "S-001", [photo, notes], finder="王检查员", note="外墙", clock_offset_s=-90)
    assert ([one.name for one in result.added], result.known, result.flags) == (
        ["IMG_1.jpg", "reading.txt"],
        (),
        {},
    )
    case = sample.case("S-001")
    assert case.evidence == result.added
    assert sample.ledger.evidence() == {case.id: [one.payload() for one in result.added]}
    assert sample.ledger.evidence(case.id) == sample.ledger.evidence()
    said = [moment for moment in case.timeline if moment.kind == "evidence_added"]
    assert [moment.zh for moment in said] == [
        f"证据入卷：{one.name}（{one.short}），发现人 王检查员" for one in result.added
    ]
    assert "found by 王检查员" in said[0].en
    assert [one.state for one in sample.exhibits("S-001")] == ["present", "present"]


def test_the_same_file_again_adds_nothing(
    sample: Workspace, photo: Path, piece: Evidence, tmp_path: Path
) -> None:
    before = sample.ledger.count()
    twin = tmp_path / "copy.jpg"
    twin.write_bytes(photo.read_bytes())
    result = add_evidence(sample, "S-001", [photo, twin])
    assert (result.added, [one.sha256 for one in result.known]) == ((), [piece.sha256] * 2)
    assert sample.ledger.count() == before
    other = add_evidence(sample, "S-002", [photo, twin])
    assert len(other.added) == 1, "one file may be evidence of two cases, and two of the same bytes are one"


def test_a_spoilt_piece_is_there_again_when_its_original_is_added(
    sample: Workspace, photo: Path, piece: Evidence
) -> None:
    for how in ("altered", "missing"):
        spoil(sample, piece, how)
        assert [one.state for one in sample.exhibits("S-001")] == [how]
        result = add_evidence(sample, "S-001", photo)
        assert [one.sha256 for one in result.restored] == [piece.sha256]
        assert [one.state for one in sample.exhibits("S-001")] == ["present"]


def test_one_bad_file_refuses_all(sample: Workspace, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    before = sample.ledger.count()
    with pytest.raises(EvidenceError, match=r"empty\.jpg is empty\. Nothing was changed"):
        add_evidence(sample, "S-001", [photo, tmp_path / "empty.jpg", photo])
    with pytest.raises(UnknownCase):
        add_evidence(sample, "X-99", photo)
    with pytest.raises(EvidenceError, match="A clock cannot be off by nan seconds"):
        add_evidence(sample, "S-001", photo, clock_offset_s=float("nan"))
    assert sample.ledger.count() == before
    assert [path for path in sample.settings.evidence.rglob("*") if path.is_file()] == []


def test_a_kill_before_the_event_leaves_a_harmless_file(
    sample: Workspace, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LedgerError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", refuse)
        with pytest.raises(LedgerError):
            add_evidence(sample, "S-001", photo)
    assert sample.case("S-001").evidence == ()
    found = verify_evidence(sample)
    assert (found.pieces, found.problems, len(found.strays)) == (0, (), 1)
    assert len(add_evidence(sample, "S-001", photo).added) == 1
    assert verify_evidence(sample).strays == ()


_ADDING = """
import sys
from pathlib import Path
import fieldkit as fk
ws = fk.open(sys.argv[1])
for path in sorted(Path(sys.argv[2]).iterdir()):
    (piece,) = fk.add_evidence(ws, "S-001", path).added
    print(piece.sha256, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is Unix's")
@pytest.mark.parametrize("acknowledged", [1, 3, 8, 15])
def test_nothing_acknowledged_is_lost_to_a_kill(sample: Workspace, tmp_path: Path, acknowledged: int) -> None:
    found = tmp_path / "found"
    found.mkdir()
    for number in range(200):
        (found / f"{number:03d}.bin").write_bytes(bytes([number]) * 300_000)
    sample.ledger.close()
    command = [sys.executable, "-c", _ADDING, str(sample.settings.folder), str(found)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(acknowledged)]
        process.kill()
        told += [line.strip() for line in process.stdout if len(line) == 65]
    assert process.returncode == -9
    checked = verify_evidence(sample)
    assert checked.problems == ()
    assert len(checked.strays) <= 1, "at most the one that was being added"
    assert set(told) <= {piece.sha256 for piece in sample.case("S-001").evidence}
    assert sample.ledger.verify() == []
    rest = add_evidence(sample, "S-001", sorted(found.iterdir()))
    assert len(rest.added) + len(rest.known) == 200
    left = verify_evidence(sample).strays
    assert all(path.parent.name.startswith(".taking-") for path in left), "cleared when it is a day old"


def test_evidence_follows_its_case_into_another(sample: Workspace, photo: Path) -> None:
    (piece,) = add_evidence(sample, "S-022", photo).added
    link_complaints(sample, [Link("S-022", "S-001", "duplicate")])
    assert [one.sha256 for one in sample.case("S-001").evidence] == [piece.sha256]
    spoil(sample, piece, "missing")
    assert sample.spoilt_evidence([sample.case("S-001").id]) == {sample.case("S-001").id: {"missing": 1}}


def test_two_devices_that_add_the_same_file_add_one_piece(sample: Workspace, piece: Evidence) -> None:
    case = sample.case("S-001")
    other = Ledger(sample.settings.ledger, origin="laptop-2")
    moment = case.history[-1]
    other.append(
        [events.Fact(case.id, events.EVIDENCE_ADDED, piece.payload(), events.moment_of(moment.occurred_at))]
    )
    other.close()
    assert len(sample.case("S-001").evidence) == len(sample.ledger.evidence()[case.id]) == 1


# Copies ---------------------------------------------------------------------------------------------------------


def test_a_stamped_copy_carries_the_words_below_the_picture(sample: Workspace, piece: Evidence) -> None:
    stamped = stamp_evidence(sample, "S-001", piece.sha256[:8])
    assert (stamped.original, stamped.derivation, stamped.type) == (piece.sha256, "stamped", "image/jpeg")
    assert stamped.name == "IMG_1-stamped.jpg"
    picture, original = pixels(sample, stamped), pixels(sample, piece)
    assert picture.height > original.height
    assert picture.width >= original.width
    bar = picture.crop((0, original.height, picture.width, picture.height)).convert("L")
    darkest, lightest = bar.getextrema()
    assert darkest < 40
    assert lightest > 220, "there are words in the bar"
    kept = picture.crop((0, 0, *original.size))
    assert all(
        abs(a - b) < 12 for a, b in zip(kept.getpixel((20, 20)), original.getpixel((20, 20)), strict=True)
    )
    assert sample.case("S-001").evidence == (piece, stamped)
    assert "A stamped copy of evidence" in sample.case("S-001").timeline[-1].en
    before = sample.ledger.count()
    assert stamp_evidence(sample, "S-001", piece.sha256) == stamped, "the same copy again is known"
    assert sample.ledger.count() == before


def test_a_redacted_copy_has_black_boxes_and_nothing_but_pixels(
    sample: Workspace, photo: Path, piece: Evidence
) -> None:
    with photo.open("ab") as file:
        file.write(b"trailing canary")
    (other,) = add_evidence(sample, "S-001", photo).added
    assert "trailing_data" in other.flags
    redacted = redact_evidence(sample, "S-001", other.sha256, [(200, 0, 320, 100), (0, 0, 10, 10)])
    with sample.evidence.open(redacted.sha256) as file:
        data = file.read()
    for canary in (b"secret comment", b"trailing canary", b"HUAWEI", b"SN-0042", b"Exif", b"2017"):
        assert canary not in data
    with Image.open(io.BytesIO(data)) as image:
        assert dict(image.getexif()) == {}
        assert not {"comment", "exif", "icc_profile", "xmp"} & set(image.info)
        assert image.size == (320, 240)
        assert max(image.getpixel((260, 50))) < 16
        assert max(image.getpixel((5, 5))) < 16
        assert min(image.getpixel((260, 200))) > 150
    assert sample.evidence.check(other.sha256) == "present"
    assert redacted.original == other.sha256


def test_boxes_are_those_of_the_picture_seen_upright(sample: Workspace, tmp_path: Path) -> None:
    (piece,) = add_evidence(sample, "S-001", made.photo(tmp_path / "a.jpg", orientation=6)).added
    with pytest.raises(EvidenceError, match=r"0,0,320,240 is not within the picture, which is 240 x 320"):
        redact_evidence(sample, "S-001", piece.sha256, [(0, 0, 320, 240)])
    redacted = redact_evidence(sample, "S-001", piece.sha256, [(0, 160, 240, 320)])
    assert max(pixels(sample, redacted).getpixel((120, 300))) < 16


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_copies_of_other_pictures_are_bare_too(sample: Workspace, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    options = {} if kind in ("GIF", "BMP") else {"exif": made.camera_notes().tobytes()}
    path.write_bytes(made.encoded(kind, **options))
    (piece,) = add_evidence(sample, "S-001", path).added
    redacted = redact_evidence(sample, "S-001", piece.sha256, [(0, 0, 4, 4)])
    assert (redacted.type, redacted.name) == ("image/png", "a-redacted.png")
    with sample.evidence.open(redacted.sha256) as file, Image.open(file) as image:
        assert (dict(image.getexif()), image.info) == ({}, {})
        assert image.convert("RGB").getpixel((1, 1)) == (0, 0, 0)


@pytest.mark.parametrize(
    "boxes", [[], [(1, 2, 3)], [(5, 5, 5, 9)], [(-1, 0, 3, 3)], [(0, 0, 321, 5)], [(0.5, 0, 3, 3)]]
)
def test_a_box_that_is_none_is_refused(
    sample: Workspace, piece: Evidence, boxes: list[tuple[int, ...]]
) -> None:
    before = sample.ledger.count()
    with pytest.raises(EvidenceError):
        redact_evidence(sample, "S-001", piece.sha256, boxes)
    assert sample.ledger.count() == before


def test_what_cannot_be_copied_is_refused_in_one_sentence(
    sample: Workspace, tmp_path: Path, photo: Path
) -> None:
    notes, cut = tmp_path / "a.txt", tmp_path / "cut.jpg"
    notes.write_text("47 dB", encoding="utf-8")
    cut.write_bytes(photo.read_bytes()[:900])
    text, broken = add_evidence(sample, "S-001", [notes, cut]).added
    with pytest.raises(EvidenceError, match="is no picture but text/plain"):
        stamp_evidence(sample, "S-001", text.sha256)
    with pytest.raises(EvidenceError, match="The picture cannot be decoded"):
        stamp_evidence(sample, "S-001", broken.sha256)
    with pytest.raises(EvidenceError, match="has no evidence whose SHA-256 begins with 'abcdef'"):
        stamp_evidence(sample, "S-001", "abcdef")
    with pytest.raises(EvidenceError, match="names no evidence"):
        stamp_evidence(sample, "S-001", "../../etc")
    (whole,) = add_evidence(sample, "S-001", photo).added
    spoil(sample, whole, "altered")
    with pytest.raises(EvidenceError, match=r"is altered\. Put the original file back"):
        redact_evidence(sample, "S-001", whole.sha256, [(0, 0, 5, 5)])


# Checking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["missing", "altered"])
def test_verify_names_the_piece_and_its_case(sample: Workspace, piece: Evidence, how: str) -> None:
    assert verify_evidence(sample).problems == ()
    spoil(sample, piece, how)
    (problem,) = verify_evidence(sample).problems
    assert (problem.sha256, problem.state) == (piece.sha256, how)
    assert sample.case("S-001").id in problem.message
    assert "IMG_1.jpg" in problem.message


def test_losing_every_thumbnail_loses_nothing(sample: Workspace, piece: Evidence) -> None:
    before = investigation(sample, "S-001").exhibits().as_json()
    shutil.rmtree(sample.settings.evidence / "thumbnails")
    assert verify_evidence(sample).problems == ()
    assert investigation(sample, "S-001").exhibits().as_json() == before


# The command line -----------------------------------------------------------------------------------------------


def test_the_commands_go_the_whole_way(sample: Workspace, photo: Path) -> None:
    at = ("-w", str(sample.settings.folder))
    added = run("evidence", "add", "S-001", str(photo), "--finder", "王", "--clock-offset", "-0:01:30", *at)
    assert added.exit_code == 0
    assert "1 added, 0 known." in added.output
    (row,) = json.loads(run("evidence", "list", "S-001", "--json", *at).output)
    assert (row["state"], row["finder"], row["clock_offset_s"]) == ("present", "王", -90.0)
    assert row["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    stamped = json.loads(run("evidence", "stamp", "S-001", row["sha256"][:8], "--json", *at).output)
    assert Path(stamped["path"]).is_file()
    redacted = run("evidence", "redact", "S-001", row["sha256"][:8], "--box", "0,0,9,9", *at)
    assert "redacted copy of" in redacted.output
    shown = run("case", "S-001", *at).output
    for words in ("IMG_1.jpg", "22:11:35 +08:00", "105.84363° E", "as taken in", "证据入卷"):
        assert words in shown
    assert [one["number"] for one in json.loads(run("case", "S-001", "--json", *at).output)["evidence"]] == [
        1,
        2,
        3,
    ]
    again = run("evidence", "add", "S-001", str(photo), *at)
    assert (again.exit_code, "0 added, 1 known" in again.output) == (0, True)
    assert "All 3 pieces of evidence are as they were taken in." in run("verify", *at).output


def test_doubts_end_with_one_and_are_listed(sample: Workspace, tmp_path: Path) -> None:
    at = ("-w", str(sample.settings.folder))
    path = made.photo(tmp_path / "a.jpg", offset="", gps=False)
    result = run("evidence", "add", "S-001", str(path), *at)
    assert result.exit_code == 1
    assert "the camera names no time zone" in result.output
    assert "no position" in run("evidence", "list", "S-001", *at).output
    assert "no evidence" in run("evidence", "list", "S-002", *at).output


@pytest.mark.parametrize("how", ["missing", "altered"])
def test_spoilt_evidence_is_red_on_the_terminal_and_in_words(
    sample: Workspace, piece: Evidence, how: str
) -> None:
    at = ("-w", str(sample.settings.folder))
    spoil(sample, piece, how)
    for command in (("case", "S-001"), ("evidence", "list", "S-001")):
        output = run(*command, *at, color=True).output
        (line,) = [line for line in output.splitlines() if line.startswith("\x1b[31m")]
        assert how.upper() in line
        assert piece.short in line
        assert {"missing": "缺失", "altered": "已改动"}[how] in line
    (line,) = [
        line for line in run("cases", *at, color=True).output.splitlines() if line.startswith("\x1b[31m")
    ]
    assert f"S-001  证据：1 件{ {'missing': '缺失', 'altered': '已改动'}[how] } · evidence: 1 {how}" in line
    listed = json.loads(run("cases", "--json", "--limit", "0", *at).output)
    assert [row["number"] for row in listed if row["spoilt_evidence"] == {how: 1}] == ["S-001"]
    verified = run("verify", *at, color=True)
    assert verified.exit_code == 2
    assert f"\x1b[31mCase {sample.case('S-001').id}" in verified.output
    said = json.loads(run("verify", "--json", *at).output)
    assert [one["state"] for one in said["evidence"]["problems"]] == [how]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "S-001", "nothing.jpg"), "nothing.jpg cannot be taken in"),
        (("add", "S-001", "."), "cannot be taken in"),
        (("add", "X-99", "nothing.jpg"), "There is no case 'X-99'"),
        (("add", "S-001", "a", "--clock-offset", "soon"), "is not a length of time"),
        (("redact", "S-001", "abcdef", "--box", "1,2,3"), "is not a box"),
        (("redact", "S-001", "abcdef", "--box", "1,2,3,4"), "has no evidence"),
        (("stamp", "S-001", "{{7*7}}"), "names no evidence"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    sample: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    result = run("evidence", *arguments, "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert said in result.output
    assert "49" not in result.output


# Records --------------------------------------------------------------------------------------------------------


def document_of(ws: Workspace) -> dict[str, object]:
    part = investigation(ws, "S-001").exhibits()
    output = {"output_type": "display_data", "data": {MIME: part.as_json()}}
    return read_document({"cells": [{"cell_type": "code", "outputs": [output]}], "metadata": {}})


def test_a_record_shows_each_piece_with_picture_time_place_finder_and_digest(
    sample: Workspace, piece: Evidence
) -> None:
    page = HtmlRecord().render(document_of(sample)).decode()
    assert 'src="data:image/jpeg;base64,' in page
    for words in (
        "2017-07-01 22:10:05 +08:00",
        "105.84363° E",
        "王检查员",
        piece.short,
        piece.sha256,
        "HUAWEI P10",
    ):
        assert words in page
    assert "alarm" not in page.partition("</style>")[2]
    pdf = pypdf.PdfReader(io.BytesIO(PdfRecord().render(document_of(sample)))).pages[0]
    text = pdf.extract_text()
    assert piece.short in text
    assert len(pdf.images) == 1


@pytest.mark.parametrize(("how", "zh"), [("missing", "缺失"), ("altered", "已改动")])
def test_a_record_shows_spoilt_evidence_in_red_and_without_a_picture(
    sample: Workspace, piece: Evidence, how: str, zh: str
) -> None:
    spoil(sample, piece, how)
    page = HtmlRecord().render(document_of(sample)).decode()
    assert f'class="alarm"><span dir="auto" lang="zh-CN">{zh}' in page
    assert "data:image/jpeg" not in page
    assert ".alarm {" in page
    assert "#b3261e" in page
    pdf = pypdf.PdfReader(io.BytesIO(PdfRecord().render(document_of(sample)))).pages[0]
    assert zh in pdf.extract_text()
    assert how in pdf.extract_text()
    # 179, 38, 30 of 255: the red of the template.
    assert b"0.7019608 0.14901961 0.11764706" in pdf.get_contents().get_data()
    found = investigation(sample, "S-001")
    assert "证据缺失或已改动：1 件" in found.missing().as_text()
    assert "color:#b3261e" in found.exhibits().as_html()


def test_a_record_is_made_from_its_evidence_and_the_state_of_it(sample: Workspace, photo: Path) -> None:
    prints = [investigation(sample, "S-001").fingerprint()]
    (piece,) = add_evidence(sample, "S-001", photo).added
    prints.append(investigation(sample, "S-001").fingerprint())
    for how in ("altered", "missing"):
        spoil(sample, piece, how)
        prints.append(investigation(sample, "S-001").fingerprint())
    assert len(set(prints)) == 4
    add_evidence(sample, "S-001", photo)
    assert investigation(sample, "S-001").fingerprint() == prints[1]


def test_pieces_added_together_are_one_line_of_the_records_timeline(
    sample: Workspace, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{n}.txt" for n in range(3)]
    for path in paths:
        path.write_text(path.name, encoding="utf-8")
    add_evidence(sample, "S-001", paths)
    rows = investigation(sample, "S-001").timeline().as_json()["rows"]
    assert [row[4]["en"] for row in rows if row[3] == {"zh": "证据", "en": "evidence"}] == [
        "3 pieces of evidence added"
    ]


def test_hostile_words_of_evidence_are_text(sample: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>{{7*7}}.txt"
    path.write_text("x", encoding="utf-8")
    add_evidence(
        sample, "S-001", path, finder="<script>alert(1)</script>", note="#set page(fill: red) {{7*7}} $x$"
    )
    for page in (
        HtmlRecord().render(document_of(sample)).decode(),
        investigation(sample, "S-001").exhibits().as_html(),
    ):
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "{{7*7}}" in page
    text = pypdf.PdfReader(io.BytesIO(PdfRecord().render(document_of(sample)))).pages[0].extract_text()
    assert "#set page(fill: red) {{7*7}} $x$" in text


@pytest.fixture
def written(sample: Workspace, piece: Evidence) -> Workspace:
    assert fk.run_records(sample, ["S-001"], progress=False).written
    return sample


def test_a_record_is_written_again_when_its_evidence_changes(written: Workspace, piece: Evidence) -> None:
    assert fk.run_records(written, ["S-001"], progress=False).unchanged
    spoil(written, piece, "altered")
    (outcome,) = fk.run_records(written, ["S-001"], progress=False).written
    assert "已改动" in outcome.paths["html"].read_text(encoding="utf-8")
    pages = pypdf.PdfReader(outcome.paths["pdf"]).pages
    assert "已改动" in "".join(page.extract_text() for page in pages)


# The symposium --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["missing", "altered"])
def test_the_symposium_marks_a_case_whose_evidence_is_spoilt(
    sample: Workspace, piece: Evidence, how: str
) -> None:
    page = Symposium(sample, permutations=99)
    page.choose({"since": "2016-01-01", "until": "2017-12-31", "serial": 1})
    case = sample.case("S-001").id

    def alarms() -> set[str]:
        page._clicked({"kind": "place", "id": 0})
        return {row["alarm"]["en"] for row in page.board.detail["rows"] if row["case"] == case}

    assert alarms() == {""}
    spoil(sample, piece, how)
    assert alarms() == {f"evidence: 1 {how}"}
    assert {row["alarm"]["en"] for row in page.board.detail["rows"] if row["case"] != case} <= {""}
    page._clicked({"kind": "record", "id": case})
    assert page.board.record["alarm"]["en"] == f"evidence: 1 {how}"
    assert page.board.record["sentence"], "the mark is there although there is no record"

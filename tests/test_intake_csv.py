"""Tests of the csv reader: encodings, delimiters, bad files, refused rows that come back."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
from pathlib import Path
from typing import Any

import hostile_texts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.complaints import Entry
from fieldkit.errors import IntakeError
from fieldkit.intake.csv_file import CsvReader
from fieldkit.intake.tables import TableReading

OPTIONS = {"time_zone": "Asia/Shanghai", "crs": "wgs84"}
HOSTILE = (
    *hostile_texts.HOSTILE,
    "line\r\n=two",
    "'quoted'",
    "-1+2",
    "\t=1",
    "@SUM(A1)",
    " =1",
    "\u00a0=1",
    "＝1+1",
    "a,b;c\td|e",
    '"',
)


def read(path: Path, **options: Any) -> TableReading:
    return CsvReader().open(path, {**OPTIONS, **options})


def entries(path: Path, **options: Any) -> list[Entry]:
    return list(read(path, **options))


def write(folder: Path, data: bytes | str, name: str = "complaints.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


CHINESE = "投诉编号,投诉时间,投诉内容\r\n" + "".join(
    f"{i},2017-07-0{i} 22:15,利州区八二一小区变压器夜间嗡嗡响，影响睡眠，请环保局尽快处理\r\n"
    for i in range(1, 6)
)
TRADITIONAL = "編號,received,text\r\n" + "".join(
    f"{i},2017-07-0{i} 22:15,臺北市內湖區工廠夜間噪音擾民，請環保局儘快派員處理，謝謝您\r\n"
    for i in range(1, 6)
)
ONE_ROW = "编号,受理时间,投诉内容\r\n1,2017-07-03 22:15,施工噪声扰民\r\n"
RARE = "编号,受理时间,投诉内容\r\n1,2017-07-03 22:15,𠮷先生反映䶮泉路㐀号工地夜间施工噪声扰民严重\r\n"


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gbk", "gb18030"),
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8-sig"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (CHINESE, "utf-32", "utf-32"),
        (TRADITIONAL, "big5", "big5hkscs"),
        (TRADITIONAL, "utf-8", "utf-8"),
        (ONE_ROW, "gb18030", "gb18030"),
        (ONE_ROW, "utf-8", "utf-8"),
        (RARE, "gb18030", "gb18030"),
        (RARE, "utf-8-sig", "utf-8-sig"),
    ],
)
def test_every_usual_encoding_comes_back_right(tmp_path: Path, text: str, encoding: str, found: str) -> None:
    path = write(tmp_path, text.encode(encoding))
    reading = read(path, mapping={"received_at": text.splitlines()[0].split(",")[1]})
    wanted = [row[2] for row in csv.reader(io.StringIO(text)) if row][1:]
    assert [e.complaint.text for e in reading if e.complaint] == wanted
    assert reading.encoding == found


def test_big5_is_never_read_as_gb18030(tmp_path: Path) -> None:
    # These very bytes are valid GB18030 too, and would come out as other characters without an error.
    data = TRADITIONAL.encode("big5")
    assert data.decode("gb18030") != TRADITIONAL
    texts = {e.complaint.text for e in entries(write(tmp_path, data)) if e.complaint}
    assert texts == {"臺北市內湖區工廠夜間噪音擾民，請環保局儘快派員處理，謝謝您"}


def test_pairs_that_decode_to_two_characters_are_weighed(tmp_path: Path) -> None:
    # 88 62 is Ê with a macron in Big5-HKSCS, two characters of which the second has no bytes of its own.
    # Too little to tell an encoding by: refused or read, but never another error.
    with contextlib.suppress(IntakeError):
        assert len(entries(write(tmp_path, b"received,text\n2017-07-03,\x88\x62\n"))) == 1


def test_a_late_gb18030_character_is_found(tmp_path: Path) -> None:
    ascii_rows = "".join(f"{i},2017-07-03 22:15,noise at night\n" for i in range(60_000))
    path = write(
        tmp_path,
        f"id,received,text\n{ascii_rows}".encode() + "7,2017-07-03 22:15,变压器噪声扰民\n".encode("gbk"),
    )
    assert entries(path)[-1].complaint.text == "变压器噪声扰民"  # type: ignore[union-attr]


def test_a_broken_byte_in_utf8_names_its_line_and_takes_nothing(tmp_path: Path) -> None:
    rows = CHINESE.encode() + b"6,2017-07-06 22:15,\xff\xfe\r\n" + CHINESE.encode().split(b"\r\n", 1)[1]
    with pytest.raises(IntakeError, match=r"Line 7 of complaints\.csv is not valid utf-8"):
        read(write(tmp_path, rows))


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv"), ("|", "a.txt")]
)
def test_delimiters_are_found(tmp_path: Path, delimiter: str, name: str) -> None:
    text = "id,received,text\n1,2017-07-03,hum\n2,2017-07-04,drone\n".replace(",", delimiter)
    found = entries(write(tmp_path, text, name))
    assert [e.complaint.text for e in found if e.complaint] == ["hum", "drone"]


def test_packed_files_and_title_rows_and_blank_rows(tmp_path: Path) -> None:
    text = "2017年投诉台账,,\n\n编号,受理时间,内容\n\n1,2017-07-03,嗡嗡响\n,,\n2,2017-07-04,臭\n"
    path = tmp_path / "台账.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    reading = read(path)
    assert [(e.row, e.complaint.text) for e in reading if e.complaint] == [(5, "嗡嗡响"), (7, "臭")]
    assert reading.total == 2


def test_the_separator_line_of_excel_is_understood(tmp_path: Path) -> None:
    assert [e.row for e in entries(write(tmp_path, "sep=;\nid;received\n1;2017-07-03\n"))] == [3]


BAD: dict[str, bytes] = {
    "empty": b"",
    "only blanks": b"\r\n \r\n",
    "only a mark": codecs.BOM_UTF8,
    "only zeros": b"\0" * 5000,
    "header only": b"id,received,text\n",
    "no header": b"1,2017-07-03,hum\n2,2017-07-04,drone\n",
    "no time": b"id,colour\n1,red\n",
    "twice the same header": b"id,received,received\n1,2017-07-03,2017-07-04\n",
    "open quotation mark": b'id,received,text\n1,2017-07-03,"hum\n2,2017-07-04,x\n',
    "field too long": b'id,received,text\n1,2017-07-03,"' + b"x" * 140_000 + b'"\n',
    "line too long": b"id,received,text\n1,2017-07-03," + b"x" * 5_000_000 + b"\n",
    "workbook": b"PK\x03\x04" + b"x" * 100,
    "old workbook": b"\xd0\xcf\x11\xe0" + b"x" * 100,
    "pdf": b"%PDF-1.7\n",
    "picture": b"\x89PNG\r\n\x1a\n",
    "database": b"SQLite format 3\0",
    "archive": b"Rar!\x1a\x07",
    "cut gzip": gzip.compress(b"id,received\n" + b"1,2017-07-03\n" * 5000)[:-20],
    "gzip with a wrong sum": gzip.compress(b"id,received\n1,2017-07-03\n")[:-8] + b"\0" * 8,
    "gzip of nothing": gzip.compress(b""),
    "day or month": b"id,received\n1,05/01/2022\n2,06/02/2022\n",
    "both day and month": b"id,received\n1,25/01/2022\n2,06/25/2022\n",
    "random bytes": bytes(range(128, 256)) * 30,
    "half utf-16": b"\xff\xfe" + "id,received\n1,2017-07-03\n".encode("utf-16-le") + b"\x00\xd8\x41",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gives_one_sentence_and_nothing_else(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, BAD[kind], "bad.csv")
    with pytest.raises(IntakeError) as caught:
        entries(path)
    message = str(caught.value)
    assert "bad.csv" in message
    assert len(message) < 400
    assert "\n" not in message
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(IntakeError, match="cannot be opened"):
            read(path)


def test_a_first_row_that_is_no_header_is_not_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, "7,2017-07-03,王小明,13900001234\n8,2017-07-04,李四,13900005678\n")
    with pytest.raises(IntakeError, match="looks like data") as refused:
        read(path)
    assert "王小明" not in str(refused.value)
    assert "13900001234" not in str(refused.value)


def test_rows_of_another_shape_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path, "id,received,text\n1,2017-07-03,a\n2,2017-07-03\n3,2017-07-03,b,c\n4,2017-07-03,d,,\n"
    )
    found = entries(path)
    assert [(e.row, e.complaint is None, [f.code for f in e.flags]) for e in found] == [
        (2, False, []),
        (3, True, ["ragged_row"]),
        (4, True, ["ragged_row"]),
        (5, False, []),
    ]


def test_a_row_with_a_nul_is_refused(tmp_path: Path) -> None:
    found = entries(write(tmp_path, "id,received,text\n1,2017-07-03,a\0b\n2,2017-07-04,c\n"))
    assert [[f.code for f in e.flags] for e in found] == [["bad_character"], []]


def test_refused_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [[text, "never", text, "-73.9"] for text in HOSTILE] + [["short"], ["a", "b", "c", "d", "=long"]]
    path = tmp_path / "la311_2017-12.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["number", "=received", "text", "lon"], *rows])
    reading = read(path, mapping={"received_at": "=received"})
    refused = list(reading)
    assert all(e.complaint is None for e in refused)
    target = reading.write_refused(refused, tmp_path / "refused-1.2")
    assert target.name == "refused-1.2.csv"
    assert target.read_bytes().startswith(codecs.BOM_UTF8)

    again = read(target, mapping={"received_at": "=received"})
    assert again.mapping == reading.mapping
    assert [dict(e.raw) for e in again] == [dict(e.raw) for e in refused]
    assert [[f.code for f in e.flags] for e in again] == [[f.code for f in e.flags] for e in refused]
    twice = again.write_refused(again, tmp_path / "twice.csv")
    assert [dict(e.raw) for e in read(twice, mapping={"received_at": "=received"})] == [
        dict(e.raw) for e in refused
    ]


def test_a_mended_row_belongs_to_the_first_file(tmp_path: Path) -> None:
    path = write(tmp_path, "number,received,text\n1,soon,hum\n", "la311_2017-12.csv")
    reading = read(path)
    target = reading.write_refused(reading, tmp_path / "refused")
    target.write_text(target.read_text("utf-8-sig").replace(",soon,", ",2017-07-03,"), "utf-8-sig")
    (entry,) = entries(target)
    assert entry.complaint is not None
    assert (entry.complaint.source, entry.complaint.number, entry.complaint.text) == ("la311", "1", "hum")


def test_no_cell_of_a_refused_file_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["number", "received", "text"], *([t, "x", t] for t in HOSTILE)])
    reading = read(path)
    with reading.write_refused(reading, tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                assert not cell.lstrip(" \u00a0").startswith(("=", "+", "@", "\t", "\r", "＝"))
                assert not cell.startswith("-")


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8))
def test_any_text_passes_through_a_file_unchanged(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
            [["received", "text", "address"], *(("2017-07-03", *r) for r in rows)]
        )
    found = [e.complaint for e in read(path)]
    for (text, address), complaint in zip(rows, found, strict=True):
        assert complaint is not None
        assert complaint.text == ("" if text.isspace() else text)
        assert complaint.address == address.strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["received", "text"], ["2017-07-03", text]])
    assert entries(path)[0].complaint.text == text  # type: ignore[union-attr]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_give_entries_or_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = bytearray(CHINESE.encode("gb18030") if data.draw(st.booleans()) else CHINESE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(bytes(good[: data.draw(st.integers(0, len(good)))]))
    with contextlib.suppress(IntakeError):
        entries(path)


def test_the_real_files_are_read_whole(shared_data: Path) -> None:
    chicago = list(CsvReader().open(shared_data / "chicago_sanitation_311_2011-2012.csv.gz", {"crs": "ask"}))
    assert len(chicago) == 37_046
    assert all(e.complaint and e.complaint.precision == "day" for e in chicago)
    angeles = list(CsvReader().open(shared_data / "la311_2017-12-27_2018-01-04.csv.gz", {"crs": "ask"}))
    assert len(angeles) == 19_999
    assert sum(1 for e in angeles if e.complaint and e.complaint.place is None) == 2_855

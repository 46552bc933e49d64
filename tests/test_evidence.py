"""Evidence: the bytes as they came, what the camera says, hostile pictures, and that no change goes unseen."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import evidence_files as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fieldkit import files
from fieldkit.errors import EvidenceError
from fieldkit.events import canonical
from fieldkit.evidence import (
    FLAGS,
    STATES,
    Evidence,
    EvidenceFolder,
    evidence_of,
    flag_words,
    folder,
    pictures,
    place_words,
    state_words,
    time_words,
)
from fieldkit.evidence.content import TYPES, differs_from_name, suffix_of, type_of
from fieldkit.evidence.exif import read_shot
from fieldkit.evidence.piece import clean_name

ZONE = ZoneInfo("Asia/Shanghai")
GOOD_GPS: dict[str, Any] = {
    "1": "N",
    "2": [[32, 1], [26, 1], [8, 1]],
    "3": "E",
    "4": [[105, 1], [50, 1], [37, 1]],
    "18": "WGS-84",
}


@pytest.fixture
def store(tmp_path: Path) -> EvidenceFolder:
    return EvidenceFolder(tmp_path / "evidence")


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def files_in(store: EvidenceFolder) -> dict[str, bytes]:
    """Everything in the folder but thumbnails."""
    found = store.folder.rglob("*") if store.folder.exists() else ()
    return {
        path.relative_to(store.folder).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and "thumbnails" not in path.parts
    }


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


# What a file is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (made.encoded("JPEG"), "image/jpeg"),
        (made.encoded("PNG"), "image/png"),
        (made.encoded("GIF"), "image/gif"),
        (made.encoded("WEBP"), "image/webp"),
        (made.encoded("TIFF"), "image/tiff"),
        (made.encoded("BMP"), "image/bmp"),
        (made.encoded("AVIF"), "image/avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40, "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + b"\0" * 40, "image/heic"),
        (b"%PDF-1.7\n", "application/pdf"),
        (made.archive("a.txt"), "application/zip"),
        (made.archive("[Content_Types].xml", "word/document.xml"), "docx"),
        (made.archive("_rels/.rels", "docProps/app.xml", "xl/workbook.xml", "[Content_Types].xml"), "xlsx"),
        (made.archive("word/document.xml"), "application/zip"),
        (made.archive(stored={"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}), "ods"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x44" + b"\0" * 400, "audio/mpeg"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
        (b"\0\0\0\x20ftypisom\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
        (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp"),
        (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "video/x-matroska"),
        (b"OggS\0\2", "audio/ogg"),
        (b"fLaC\0\0", "audio/flac"),
        ("夜间读数 47 dB\n".encode(), "text/plain"),
        ("夜间读数 47 dB，次日 49 dB\n".encode("gb18030"), "text/plain"),
        ("\ufeff读数".encode("utf-16"), "text/plain"),
        (b"a,b\n1,2\n3,4\n", "text/csv"),
        (b'{"a": [1, 2]}', "application/json"),
        (b"[" * 50_000, "text/plain"),
        (b'<svg onload="alert(1)">', "text/plain"),
        (bytes(range(256)), "application/octet-stream"),
        (b"\0", "application/octet-stream"),
    ],
)
def test_a_file_is_told_by_its_bytes(data: bytes, kind: str) -> None:
    found = type_of(data, data[-65_536:], whole=True)
    assert found == kind or suffix_of(found) == kind


def test_a_text_that_is_cut_inside_a_character_is_still_text() -> None:
    data = "噪".encode() * 30_000
    assert type_of(data[:65_536], data[-65_536:]) == "text/plain"


@pytest.mark.parametrize(
    ("kind", "name", "differs"),
    [
        ("image/jpeg", "a.JPG", False),
        ("image/jpeg", "a.png", True),
        ("application/octet-stream", "a.jpg", True),
        ("application/zip", "a.docx", True),
        ("text/plain", "a.csv", False),
        ("text/plain", "a.jpg", True),
        ("video/mp4", "recording", False),
        ("video/mp4", "a.unheard-of", False),
    ],
)
def test_a_name_that_says_something_else_is_noticed(kind: str, name: str, differs: bool) -> None:
    assert differs_from_name(kind, name) is differs


def test_every_type_has_a_suffix_that_no_path_can_come_of() -> None:
    assert all(suffix.isalnum() for suffixes in TYPES.values() for suffix in suffixes)


# What the camera says -------------------------------------------------------------------------------------------


def test_a_photograph_is_kept_with_what_its_camera_says(store: EvidenceFolder, tmp_path: Path) -> None:
    path = made.photo(tmp_path / "IMG_1.jpg")
    piece = store.take(path, finder="王检查员", note="外墙", clock_offset_s=90)
    assert piece.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (piece.size, piece.type, piece.name) == (path.stat().st_size, "image/jpeg", "IMG_1.jpg")
    assert (piece.width, piece.height) == (320, 240)
    assert piece.taken_at == datetime(2017, 7, 1, 22, 10, 5, tzinfo=ZONE)
    assert (piece.taken_at_source, piece.camera_time) == ("exif", "2017-07-01T22:10:05")
    assert piece.corrected_at == datetime(2017, 7, 1, 22, 8, 35, tzinfo=ZONE)
    assert piece.gps_offset_s == 2.0
    assert piece.place is not None
    assert (piece.place.lon, piece.place.lat) == pytest.approx((105.843625, 32.435592), abs=1e-7)
    assert piece.place.accuracy_m == pytest.approx(4.8)
    assert (piece.altitude_m, piece.direction_deg, piece.direction_reference) == (487.7, 123.4, "T")
    assert (piece.datum, piece.device, piece.serial) == ("WGS-84", "HUAWEI P10", "SN-0042")
    assert (piece.finder, piece.note, piece.flags) == ("王检查员", "外墙", ())
    with store.open(piece.sha256) as file:
        assert file.read() == path.read_bytes()
    assert evidence_of(piece.payload()) == piece


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_kinds_of_pictures_have_notes_too(store: EvidenceFolder, tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / f"a.{kind.lower()}", made.encoded(kind, exif=made.camera_notes().tobytes()))
    piece = store.take(path)
    assert piece.place is not None
    assert piece.taken_at == datetime(2017, 7, 1, 22, 10, 5, tzinfo=ZONE)
    assert piece.flags == ()
    assert store.thumbnail(piece)


def test_notes_written_by_hand_in_the_other_byte_order(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(put(tmp_path / "a.jpg", made.notes_by_hand()), zone=ZoneInfo("America/Santiago"))
    assert piece.place is not None
    assert (piece.place.lon, piece.place.lat) == pytest.approx((-70.26, -33.5))
    assert piece.taken_at == datetime(2019, 12, 31, 23, 59, 58, tzinfo=ZoneInfo("America/Santiago"))
    assert set(piece.flags) == {"zone_assumed", "datum_missing"}


def test_a_picture_that_cannot_be_shown_still_says_where_it_was_taken(
    store: EvidenceFolder, tmp_path: Path
) -> None:
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 500 + made.camera_notes().tobytes()
    piece = store.take(put(tmp_path / "IMG_1.HEIC", data))
    assert (piece.type, piece.flags, piece.thumbnail) == ("image/heic", ("no_decoder",), "")
    assert piece.place is not None
    assert piece.taken_at == datetime(2017, 7, 1, 22, 10, 5, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("exif", "gps", "taken", "source", "flags"),
    [
        ({"36867": "2017:07:01 22:10:05"}, {}, "2017-07-01T22:10:05+08:00", "office_zone", ["zone_assumed"]),
        ({"36867": "2017:07:01 22:10:05", "36881": "+09:00"}, {}, "2017-07-01T22:10:05+09:00", "exif", []),
        ({"36867": "2017:07:01 14:10:05", "36881": "Z"}, {}, "2017-07-01T14:10:05+00:00", "exif", []),
        (
            {"36867": "2017:07:01 22:10:05", "36881": "+99:00"},
            {},
            "2017-07-01T22:10:05+08:00",
            "office_zone",
            ["zone_assumed"],
        ),
        (
            {"36867": "2017:07:01 22:10:05"},
            {"7": [[14, 1], [9, 1], [5, 1]], "29": "2017:07:01"},
            "2017-07-01T22:09:05+08:00",
            "gps",
            [],
        ),
        (
            {"36867": "2017:07:01 23:10:05"},
            {"7": [[14, 1], [9, 1], [5, 1]], "29": "2017:07:01"},
            "2017-07-01T22:09:05+08:00",
            "gps",
            ["clock_differs_from_gps"],
        ),
        ({"36867": "0000:00:00 00:00:00"}, {}, None, "", ["no_time"]),
        ({"36867": "2017:02:30 10:00:00"}, {}, None, "", ["no_time"]),
        ({"36867": "    :  :     :  :  "}, {}, None, "", ["no_time"]),
        ({"36867": "\x1b[31m"}, {}, None, "", ["no_time"]),
        ({"36867": [1, 2]}, {"7": [[1, 0], [2, 1], [3, 1]], "29": "2017:07:01"}, None, "", ["no_time"]),
        ({}, {"7": [[99, 1], [2, 1], [3, 1]], "29": "2017:07:01"}, None, "", ["no_time"]),
        (
            {"36867": "1980:01:01 00:00:00", "36881": "+08:00"},
            {},
            "1980-01-01T00:00:00+08:00",
            "exif",
            ["time_implausible"],
        ),
        (
            {"36867": "2040:01:01 00:00:00", "36881": "+08:00"},
            {},
            "2040-01-01T00:00:00+08:00",
            "exif",
            ["time_implausible"],
        ),
    ],
)
def test_when_a_picture_was_taken(
    exif: dict[str, Any], gps: dict[str, Any], taken: str | None, source: str, flags: list[str]
) -> None:
    shot = read_shot({"exif": exif, "gps": gps}, ZONE, datetime(2030, 1, 1, tzinfo=UTC))
    assert (shot.taken_at and shot.taken_at.isoformat(), shot.taken_at_source) == (taken, source)
    assert [flag for flag in shot.flags if "position" not in flag] == flags


def test_the_time_of_a_change_is_taken_for_want_of_a_better_one() -> None:
    shot = read_shot({"main": {"306": "2017:07:01 22:10:05"}, "exif": {"36880": "+08:00"}}, ZONE)
    assert shot.taken_at == datetime(2017, 7, 1, 22, 10, 5, tzinfo=ZONE)
    assert "time_of_change" in shot.flags


def test_the_offset_of_the_cameras_clock_is_worked_out_from_the_satellites() -> None:
    gps = {"7": [[14, 1], [0, 1], [0, 1]], "29": "2017:07:01"}
    shot = read_shot({"exif": {"36867": "2017:07:01 22:10:05", "36881": "+08:00"}, "gps": gps}, ZONE)
    assert shot.gps_offset_s == 605
    assert shot.taken_at == datetime(2017, 7, 1, 22, 10, 5, tzinfo=ZONE), (
        "what the camera said is not changed"
    )


def test_a_correction_applies_to_the_cameras_clock_and_not_to_the_satellites() -> None:
    moment = datetime(2017, 7, 1, 22, 10, tzinfo=ZONE)
    camera = Evidence(
        "0" * 64, 1, "image/jpeg", "a", taken_at=moment, taken_at_source="exif", clock_offset_s=-60
    )
    satellites = Evidence(
        "0" * 64, 1, "image/jpeg", "a", taken_at=moment, taken_at_source="gps", clock_offset_s=-60
    )
    assert camera.corrected_at == moment + timedelta(minutes=1)
    assert satellites.corrected_at == moment
    assert "corrected for a clock off by -60 s" in time_words(camera)
    assert "corrected" not in time_words(satellites)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"2": None, "4": None}, "no_position"),
        ({"2": None}, "position_impossible"),
        ({"2": [[0, 1], [0, 1], [0, 1]], "4": [[0, 1], [0, 1], [0, 1]]}, "position_zero"),
        ({"2": [[105, 1], [50, 1], [37, 1]], "4": [[32, 1], [26, 1], [8, 1]]}, "position_swapped"),
        ({"2": [[32, 0], [26, 1], [8, 1]]}, "position_impossible"),
        ({"2": [[32, 1], [61, 1], [8, 1]]}, "position_impossible"),
        ({"2": [[32, 1], [26, 1]]}, "position_impossible"),
        ({"2": "32.4"}, "position_impossible"),
        ({"4": [[181, 1], [0, 1], [0, 1]]}, "position_impossible"),
        ({"1": None}, "position_impossible"),
        ({"3": "?"}, "position_impossible"),
        ({"1": "E", "3": "N"}, "position_swapped"),
    ],
)
def test_a_position_that_cannot_be_is_flagged_and_not_used(change: dict[str, Any], flag: str) -> None:
    gps = {name: value for name, value in (GOOD_GPS | change).items() if value is not None}
    shot = read_shot({"gps": gps}, ZONE)
    assert shot.place is None
    assert flag in shot.flags


def test_what_is_doubtful_about_a_position_is_flagged() -> None:
    unnamed = read_shot({"gps": {k: v for k, v in GOOD_GPS.items() if k != "18"}}, ZONE)
    assert unnamed.place is not None
    assert "datum_missing" in unnamed.flags
    no_fix = read_shot({"gps": GOOD_GPS | {"9": "V"}}, ZONE)
    assert no_fix.place is not None
    assert no_fix.place.needs_confirming
    assert "position_doubtful" in no_fix.flags
    tokyo = read_shot({"gps": GOOD_GPS | {"18": "TOKYO"}}, ZONE)
    assert "datum_not_wgs84" in tokyo.flags


def test_a_position_of_chinese_maps_is_converted_and_the_original_kept() -> None:
    shot = read_shot({"gps": GOOD_GPS | {"18": "GCJ-02"}}, ZONE)
    assert shot.place is not None
    assert (shot.place.original_crs, shot.place.original) == (
        "gcj02",
        pytest.approx((105.84361111, 32.43555556)),
    )
    assert abs(shot.place.lon - 105.84361111) > 0.001
    assert "datum_not_wgs84" in shot.flags


def test_words_for_people() -> None:
    shot = read_shot({"gps": GOOD_GPS | {"18": "GCJ-02"}}, ZONE)
    piece = Evidence("0" * 64, 1, "image/jpeg", "a", place=shot.place)
    assert "converted from GCJ02" in place_words(piece)
    assert "由 GCJ02 换算" in place_words(piece, "zh")
    assert time_words(piece) == ""
    assert [state_words(state, "zh") for state in STATES] == ["完好", "缺失", "已改动"]
    assert all(zh and en for zh, en in FLAGS.values())
    assert flag_words("of a later kit") == "of a later kit"


# Pictures that mean harm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "flag"),
    [
        ("bomb.png", made.bomb(), "too_many_pixels"),
        ("cut.jpg", made.encoded("JPEG")[:400], "unreadable_picture"),
        ("head.jpg", b"\xff\xd8\xff\xe0", "unreadable_picture"),
        ("frames.gif", made.endless_gif(), "more_pictures"),
        ("loop.jpg", made.with_notes(made.looping_notes()), "no_time"),
        ("noise.jpg", made.with_notes(b"II*\0" + bytes(range(256)) * 40), "no_time"),
        ("loop.tif", made.looping_tiff(), "no_position"),
        ("both.jpg", made.encoded("JPEG") + made.archive("evil.exe"), "trailing_data"),
        ("both.png", made.encoded("PNG") + b"<script>", "trailing_data"),
        ("both.webp", made.encoded("WEBP") + b"<script>", "trailing_data"),
        ("notes.png", made.encoded("PNG", exif=b"Exif\0\0II*\0" + b"\0" * (2 << 20)), "exif_damaged"),
        ("photo.jpg", made.archive("a.txt"), "type_differs_from_name"),
        ("photo.jpg", bytes(range(256)), "unknown_type"),
    ],
)
def test_a_hostile_picture_is_kept_and_flagged(
    store: EvidenceFolder, tmp_path: Path, name: str, data: bytes, flag: str
) -> None:
    piece = store.take(put(tmp_path / name, data))
    assert flag in piece.flags
    assert set(piece.flags) <= set(FLAGS)
    assert store.check(piece.sha256) == "present"
    with store.open(piece.sha256) as file:
        assert file.read() == data


def test_the_bomb_is_one() -> None:
    data = made.bomb()
    assert len(data) < 50_000
    with (
        pytest.warns(Image.DecompressionBombWarning),
        Image.open(io.BytesIO(made.bomb(12_000, 12_000))) as image,
    ):
        assert image.size == (12_000, 12_000)


@pytest.mark.parametrize("limit", ["MEMORY_BYTES", "WAIT_SECONDS"])
def test_a_decoder_that_takes_too_much_ends_alone(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "MEMORY_BYTES" and os.name == "nt":
        pytest.skip("there is no such limit on this system")
    monkeypatch.setattr(pictures, limit, {"MEMORY_BYTES": 32 << 20, "WAIT_SECONDS": 0.001}[limit])
    piece = store.take(made.photo(tmp_path / "a.jpg"))
    assert "unreadable_picture" in piece.flags
    assert store.check(piece.sha256) == "present"


def test_a_picture_file_beyond_the_limit_is_kept_and_not_decoded(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_PICTURE_BYTES", 100)
    piece = store.take(made.photo(tmp_path / "a.jpg"))
    assert "too_large_to_decode" in piece.flags
    assert store.thumbnail(piece) is None


@pytest.mark.parametrize("cut", range(0, 1_200, 60))
def test_notes_cut_off_anywhere_are_never_more_than_flagged(
    store: EvidenceFolder, tmp_path: Path, cut: int
) -> None:
    data = made.photo(tmp_path / "whole.jpg").read_bytes()
    broken = bytearray(data)
    for at in range(30 + cut, min(30 + cut + 8, len(data))):
        broken[at] ^= 0xFF
    piece = store.take(put(tmp_path / "a.jpg", bytes(broken)))
    assert set(piece.flags) <= set(FLAGS)
    assert evidence_of(piece.payload()) == piece


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
_times = st.sampled_from(
    ["2017:07:01 22:10:05", "9999:12:31 23:59:59", "0001:01:01 00:00:00", "+14:00", "-15:00", "N", "E", "V"]
)
_tags = st.dictionaries(
    st.sampled_from(
        [str(tag) for tag in (*range(32), 271, 272, 306, *range(36867, 36883), 37520, 37521, 42033)]
    ),
    _values | _times | st.just([[9, 1], [59, 1], [5999, 100]]),
)


@given(main=_tags, exif=_tags, gps=_tags)
def test_whatever_the_notes_say_they_are_understood_or_flagged(
    main: dict[str, Any], exif: dict[str, Any], gps: dict[str, Any]
) -> None:
    shot = read_shot({"main": main, "exif": exif, "gps": gps}, ZONE)
    assert set(shot.flags) <= set(FLAGS)
    said = {name: getattr(shot, name) for name in type(shot).__slots__ if name != "flags"}
    piece = Evidence("0" * 64, 1, "image/jpeg", "a", **said, flags=tuple(shot.flags))
    assert evidence_of(json.loads(canonical(piece.payload()))) == piece
    assert time_words(piece) or piece.taken_at is None
    assert place_words(piece, "zh") or piece.place is None


# The files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../x", "..", "a\x1b[31m\n\u202eb.jpg", "{{7*7}}.jpg", "=cmd.csv", "x" * 300]
)
def test_a_name_is_one_line_that_steers_nothing(name: str) -> None:
    cleaned = clean_name(name)
    assert 0 < len(cleaned) <= 255
    assert all(c.isprintable() for c in cleaned)


@pytest.mark.skipif(os.name == "nt", reason="such names are Unix's")
@pytest.mark.parametrize(
    "name", ["a\x1b[31m\n\u202eb.jpg", "{{7*7}}.jpg", "=cmd|calc.csv", "..\\..\\x", "x" * 250]
)
def test_a_name_is_data_only(store: EvidenceFolder, tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, b"reading 47 dB")
    before = set(tmp_path.iterdir())
    piece = store.take(path)
    assert piece.name == clean_name(name)
    assert set(files_in(store)) == {f"{piece.sha256[:2]}/{piece.sha256}.txt"}
    assert set(tmp_path.iterdir()) - before == {store.folder}


def test_a_path_that_leads_up_is_only_read(store: EvidenceFolder, tmp_path: Path) -> None:
    put(tmp_path / "x", b"reading")
    (tmp_path / "a" / "b").mkdir(parents=True)
    piece = store.take(tmp_path / "a" / "b" / ".." / ".." / "x")
    assert piece.name == "x"
    assert list(files_in(store)) == [f"{piece.sha256[:2]}/{piece.sha256}.txt"]


def test_the_same_bytes_are_kept_once_and_read_only(store: EvidenceFolder, tmp_path: Path) -> None:
    first = store.take(put(tmp_path / "a.txt", b"reading"))
    path = store.find(first.sha256)
    assert path is not None
    before = path.stat().st_mtime_ns
    second = store.take(put(tmp_path / "b.txt", b"reading"))
    assert (second.sha256, second.name) == (first.sha256, "b.txt")
    assert path.stat().st_mtime_ns == before
    assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_taking_the_original_again_heals(store: EvidenceFolder, tmp_path: Path) -> None:
    original = put(tmp_path / "a.txt", b"reading")
    piece = store.take(original)
    path = store.find(piece.sha256)
    assert path is not None
    overwrite(path, b"changed")
    assert store.check(piece.sha256) == "altered"
    store.take(original)
    assert store.check(piece.sha256) == "present"
    path.unlink()
    assert store.check(piece.sha256) == "missing"
    store.take(original)
    assert store.check(piece.sha256) == "present"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.mkdir(), "thing"),
        (lambda path: path.symlink_to(path.with_name("elsewhere")), "is a link"),
        (lambda path: os.mkfifo(path), "is no file"),
        (lambda path: None, "No such file"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="links and pipes are Unix's")
def test_what_is_no_file_is_refused_in_one_sentence(
    store: EvidenceFolder, tmp_path: Path, make: Any, said: str
) -> None:
    put(tmp_path / "elsewhere", b"secret")
    make(tmp_path / "thing")
    with pytest.raises(EvidenceError, match=said) as caught:
        store.take(tmp_path / "thing")
    assert "thing" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert files_in(store) == {}
    assert list(store.folder.iterdir()) == []


def test_a_file_over_the_limit_is_refused(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MOST_BYTES", 10)
    with pytest.raises(EvidenceError, match=r"has 11 bytes; a piece of evidence may have 10"):
        store.take(put(tmp_path / "a.bin", b"x" * 11))
    assert files_in(store) == {}


def test_a_full_disk_is_one_sentence_and_changes_nothing(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.take(put(tmp_path / "first.txt", b"first"))
    before = files_in(store)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        EvidenceError, match=r"second.txt cannot be taken in: the disk is full. Nothing was changed."
    ):
        store.take(put(tmp_path / "second.txt", b"second"))
    assert files_in(store) == before
    assert store.check(kept.sha256) == "present"


def test_the_bytes_are_on_disk_before_they_are_in_their_place(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (done.append("place"), replace(path, to))[1])
    store.take(put(tmp_path / "a.txt", b"reading"))
    placed = done.index("place")
    assert "sync" in done[:placed]
    if os.name != "nt":
        assert done[placed + 1] == "sync", "the folder"


def test_several_files_are_taken_in_together_or_not_at_all(store: EvidenceFolder, tmp_path: Path) -> None:
    good, empty = put(tmp_path / "a.txt", b"a"), put(tmp_path / "b.txt", b"")
    with store.staging() as staging:
        staging.add(good)
        with pytest.raises(EvidenceError, match=r"b.txt is empty"):
            staging.add(empty)
    assert files_in(store) == {}


def test_what_a_kill_left_is_cleared(store: EvidenceFolder, tmp_path: Path) -> None:
    left = [
        store.folder / f".fieldkit-{files._machine()}-{process}-00000000" for process in (2**30, os.getppid())
    ]
    for folder_left in left:
        folder_left.mkdir(parents=True)
    store.take(put(tmp_path / "a.txt", b"a"))
    assert not left[0].exists()
    assert left[1].exists(), "another process may be at it"


# Nothing changes unseen -----------------------------------------------------------------------------------------


def test_every_flipped_bit_is_found(store: EvidenceFolder, tmp_path: Path) -> None:
    data = b"2017-07-01 22:10 LAeq 47.3 dB(A)"
    piece = store.take(put(tmp_path / "a.txt", data))
    path = store.find(piece.sha256)
    assert path is not None
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        overwrite(path, bytes(flipped))
        assert store.check(piece.sha256) == "altered"
        assert store.check(piece.sha256, size=piece.size, whole=False) == "altered"
        (problem,) = store.verify([piece])
        assert (problem.sha256, problem.state) == (piece.sha256, "altered")
    overwrite(path, data)
    assert list(store.verify([piece])) == []


def test_cut_swapped_and_missing_files_are_named(store: EvidenceFolder, tmp_path: Path) -> None:
    pieces = [store.take(put(tmp_path / f"{n}.txt", f"reading {n}".encode())) for n in range(5)]
    paths = [store.find(piece.sha256) for piece in pieces]
    one, two, cut, gone, _ = [path for path in paths if path is not None]
    first, second = one.read_bytes(), two.read_bytes()
    overwrite(one, second)
    overwrite(two, first)
    overwrite(cut, b"read")
    gone.unlink()
    said = {problem.name: problem for problem in store.verify(pieces)}
    assert set(said) == {"0.txt", "1.txt", "2.txt", "3.txt"}
    assert "holds the bytes of 1.txt" in said["0.txt"].message
    assert "holds the bytes of 0.txt" in said["1.txt"].message
    assert "it had 9 bytes and has 4" in said["2.txt"].message
    assert said["3.txt"].state == "missing"


@pytest.mark.skipif(os.name == "nt", reason="links are Unix's")
def test_a_link_or_a_folder_in_its_place_is_no_evidence(store: EvidenceFolder, tmp_path: Path) -> None:
    original = put(tmp_path / "a.txt", b"reading")
    piece = store.take(original)
    path = store.find(piece.sha256)
    assert path is not None
    path.unlink()
    path.symlink_to(original)
    assert store.check(piece.sha256) == "missing"
    path.unlink()
    path.mkdir()
    assert store.check(piece.sha256) == "missing"
    assert [problem.state for problem in store.verify([piece])] == ["missing"]


def test_a_large_file_is_not_read_for_a_view_and_is_for_verifying(
    store: EvidenceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "HASHED_IN_VIEWS", 4)
    piece = store.take(put(tmp_path / "a.bin", b"12345678"))
    path = store.find(piece.sha256)
    assert path is not None
    overwrite(path, b"12345679")
    assert store.check(piece.sha256, size=piece.size, whole=False) == "present"
    assert store.check(piece.sha256) == "altered"
    overwrite(path, b"1234567")
    assert store.check(piece.sha256, size=piece.size, whole=False) == "altered"


def test_opening_what_was_altered_is_refused(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(put(tmp_path / "a.txt", b"reading"))
    path = store.find(piece.sha256)
    assert path is not None
    overwrite(path, b"changed")
    with pytest.raises(EvidenceError, match="is altered"):
        store.open(piece.sha256)
    with pytest.raises(EvidenceError, match="64 hexadecimal digits"):
        store.find("../../etc/passwd")


def test_a_stray_file_is_noted(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(made.photo(tmp_path / "a.jpg"))
    assert store.strays([piece.sha256]) == []
    assert store.strays([]) == [store.find(piece.sha256)]


# Thumbnails -----------------------------------------------------------------------------------------------------


def test_thumbnails_can_be_thrown_away(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(made.photo(tmp_path / "a.jpg", size=(1600, 1200)))
    before = store.thumbnail(piece)
    assert before
    shutil.rmtree(store.folder / "thumbnails")
    assert store.thumbnail(piece) == before
    assert store.thumbnail_path(piece.sha256).read_bytes() == before
    assert list(store.verify([piece])) == []


def test_a_thumbnail_that_was_tampered_with_is_not_shown(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(made.photo(tmp_path / "a.jpg"))
    before = store.thumbnail(piece)
    store.thumbnail_path(piece.sha256).write_bytes(made.encoded("JPEG"))
    assert store.thumbnail(piece) == before


def test_a_spoilt_original_gives_no_new_thumbnail(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(made.photo(tmp_path / "a.jpg"))
    shutil.rmtree(store.folder / "thumbnails")
    path = store.find(piece.sha256)
    assert path is not None
    overwrite(path, made.encoded("JPEG"))
    assert store.thumbnail(piece) is None


def test_a_thumbnail_is_upright_and_says_nothing(store: EvidenceFolder, tmp_path: Path) -> None:
    piece = store.take(made.photo(tmp_path / "a.jpg", size=(1600, 1200), orientation=6, comment=b"secret"))
    data = store.thumbnail(piece)
    assert data
    assert b"secret" not in data
    assert b"Exif" not in data
    with Image.open(io.BytesIO(data)) as small:
        assert small.size == (480, 640)
        upper, lower = small.getpixel((240, 100)), small.getpixel((240, 540))
    assert sum(upper) < sum(lower), "the dark half is up when the camera lay on its side"

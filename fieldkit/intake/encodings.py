"""Find out a text file's encoding: byte order mark, strict UTF-8, then a detector; never a silent guess.

Almost any bytes can be read as GB18030, Big5 texts too, so "UTF-8, else GB18030" would misread without an error.
Files ending in ``.gz`` are unpacked while they are read.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fieldkit.errors import IntakeError

_CHUNK = 1 << 20
# What the detector looks at: enough for it to be sure, little enough to be quick.
_SAMPLE = 1 << 16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Characters that any Chinese text about complaints has many of, simplified and traditional; they tell the right
# decoding from a wrong one, which gives rare characters.
_COMMON = frozenset(
    "的一是在不了有和人中大上我以要他来用生到作地出就分可主年同工也能下子面方后多定行法所民得自之小家部理心本现水成会"
    "时间日期编号投诉举报内容地址类型受理信访来源渠道电话姓名噪声音扰区街路市县镇村社号楼栋单元油烟味臭气废污染施工"
    "夜晚影响睡眠東這個國為時來們發對會過說產種後與經將麼從還應樣環問題請處編號類電話聲擾區縣鎮樓單煙廢無開關場車"
    "門間現實聽長業廠嚴點內訴舉報"
)
# Where each encoding keeps its common characters and its punctuation, as (first bytes, second bytes).
_COMMON_BYTES = {
    "gb18030": re.compile(rb"[\xb0-\xd7\xa1-\xa3][\xa1-\xfe]"),
    "big5hkscs": re.compile(rb"[\xa1-\xc6][\x40-\x7e\xa1-\xfe]"),
}
_WESTERN = frozenset("àâäçéèêëîïôöùûüÿœæñáíóúìòãõåøßÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŒÆÑÁÍÓÚÃÕÅØ°–—‘’“”…€·«»£§²³½¿¡´®©™\u00a0")
# What else complaint files come in; the detector chooses among these only.
_CANDIDATES = ["gb18030", "big5hkscs", "big5", "cp950", "euc_kr", "cp949", "cp1252", "cp1250", "cp1251"]
_KINDS = {"cp950": "big5hkscs", "big5": "big5hkscs"}
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; use the excel reader for a workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file; use the excel reader for a workbook"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open *path* for reading bytes, unpacked when it is packed with gzip; damage is an :class:`IntakeError`."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opener = gzip.open(path, "rb") if packed else path.open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise IntakeError(
            f"{path} cannot be opened: {error.strerror}. Check the name and the rights."
        ) from error
    with opener as stream:
        try:
            yield stream  # type: ignore[misc]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise IntakeError(
                f"{path.name} is damaged: it cannot be unpacked to its end ({error}). Copy it again."
            ) from error
        except OSError as error:
            raise IntakeError(
                f"{path.name} cannot be read: {error}. Copy it to this machine and try again."
            ) from error


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open *path* as text in *encoding*, line ends as they are, decoding strictly."""
    with (
        open_bytes(path) as stream,
        io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="") as text,
    ):
        try:
            yield text
        except UnicodeDecodeError as error:
            raise IntakeError(_undecodable(path, encoding)) from error
        except UnicodeError as error:
            raise IntakeError(
                f"{path.name} is not valid {encoding}: {error}. Save it as UTF-8 and try again."
            ) from error


def find_encoding(path: Path, said: str = "") -> str:
    """The encoding of the text file *path*: as *said*, or found out; the whole file is checked where it is UTF-8.

    Raises :class:`IntakeError` when the file is empty, is no text, or its encoding cannot be told.
    """
    with open_bytes(path) as stream:
        start = stream.read(_SAMPLE)
    if not start.strip(b"\0 \r\n\t\xef\xbb\xbf\xff\xfe"):
        raise IntakeError(f"{path.name} is empty. Nothing was taken from it.")
    for mark, kind in _FOREIGN:
        if start.startswith(mark):
            raise IntakeError(f"{path.name} is no table in text form but {kind}.")
    if said:
        try:
            return codecs.lookup(said).name
        except LookupError as error:
            raise IntakeError(
                f"The encoding {said!r} is not known. Use utf-8, gb18030 or big5, or leave it out."
            ) from error
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if wide := _wide(start):
        return wide
    sample = _first_not_utf8(path)
    return "utf-8" if sample is None else _detect(path, sample)


def _wide(start: bytes) -> str:
    """UTF-16 without a mark: in text with any ASCII, nearly all NUL bytes stand on one side."""
    if start.count(0) < len(start) // 10 or len(start) < 4:
        return ""
    even, odd = start[::2].count(0), start[1::2].count(0)
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder(name)("strict").decode(start)
    except UnicodeDecodeError:
        return ""
    return name if min(even, odd) * 20 < max(even, odd) else ""


def _first_not_utf8(path: Path) -> bytes | None:
    """None when the whole file is UTF-8, else what to show the detector: the part around the first other bytes.

    Raises :class:`IntakeError` when the file clearly is UTF-8, with broken bytes in one place.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    wide_characters = 0
    with open_bytes(path) as stream:
        while True:
            chunk = stream.read(_CHUNK)
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                data = pending + chunk
                good = data[: error.start].decode("utf-8", "ignore")
                wide_characters += sum(map(len, re.findall(r"[^\x00-\x7f]+", good)))
                broken = len(re.findall(rb"[\x80-\xff]", data[error.start : error.start + _SAMPLE]))
                if wide_characters >= 20 and wide_characters > broken // 50:
                    raise IntakeError(_undecodable(path, "utf-8")) from error
                start = max(0, data.rfind(b"\n", 0, error.start) + 1)
                return _whole_lines(data[start : start + _SAMPLE], last=len(data) <= start + _SAMPLE)
            if not chunk:
                return None
            if wide_characters < 1000 and not text.isascii():
                wide_characters += sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))


def _whole_lines(data: bytes, last: bool) -> bytes:
    """*data* without a last line that may be cut in the middle of a character."""
    end = data.rfind(b"\n")
    return data if last or end <= 0 else data[: end + 1]


def _detect(path: Path, sample: bytes) -> str:
    # Only lines with other than ASCII tell encodings apart; figures and links would drown them.
    telling = b"\n".join(line for line in sample.splitlines() if re.search(rb"[\x80-\xff]", line)) or sample
    scores = {name: _chinese_score(telling, name) for name in _COMMON_BYTES}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= 1.5 and scores[best] - min(scores.values()) >= 0.25:
        return best
    for name in ("cp932", "euc_jp"):
        if _share(telling, name, lambda c: "\u3041" <= c <= "\u30fa") >= 0.3:
            return name
    if _share(telling, "cp1252", lambda c: c in _WESTERN) == 1:
        return "cp1252"
    found = _ask_detector(telling)
    # A few characters that are common in no language would be a guess, and a wrong one reads without error.
    doubtful = scores[found] < 0.8 if found in scores else scores[best] >= 0.9 and len(telling) < 60
    if not found or doubtful:
        raise IntakeError(
            f"The encoding of {path.name} cannot be told: it is not UTF-8, and too little speaks for any other. "
            'Save it as UTF-8, or say it in a mapping: encoding = "gb18030", "big5", …'
        )
    return found


def _chinese_score(data: bytes, encoding: str) -> float:
    """From 0 to 2: how many characters are of the encoding's common ones, and of the language's."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    wide = [c for c in text if ord(c) > 0x7F]
    if not wide:
        return 0.0
    # Pairs are matched where the decoder sees them, so each character is encoded again.
    common_bytes = sum(1 for c in wide if _COMMON_BYTES[encoding].fullmatch(c.encode(encoding, "ignore")))
    common = sum(1 for c in wide if c in _COMMON)
    return common_bytes / len(wide) + min(1.0, common / len(wide) / 0.15)


def _share(data: bytes, encoding: str, wanted: Callable[[str], bool]) -> float:
    """The share of *wanted* characters among those outside ASCII, 0 where the data are not in *encoding*."""
    try:
        wide = [c for c in data.decode(encoding) if ord(c) > 0x7F]
    except UnicodeDecodeError:
        return 0.0
    return sum(map(wanted, wide)) / len(wide) if wide else 0.0


def _ask_detector(data: bytes) -> str:
    import charset_normalizer

    best = charset_normalizer.from_bytes(data, cp_isolation=_CANDIDATES, threshold=0.5).best()
    return _KINDS.get(best.encoding, best.encoding) if best else ""


def _undecodable(path: Path, encoding: str) -> str:
    line, column = _bad_byte(path, encoding)
    return (
        f"Line {line} of {path.name} is not valid {encoding} (byte {column} of the line), so the file may be "
        "damaged or mixed. Nothing was taken from it. Mend that line, or say another encoding in a mapping."
    )


def _bad_byte(path: Path, encoding: str) -> tuple[int, int]:
    """Line and byte in the line, both from 1, at which *path* stops being *encoding*."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line, before = 1, b""
    with open_bytes(path) as stream:
        while True:
            chunk = stream.read(_CHUNK)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                good = before + (pending + chunk)[: error.start]
                return line + good.count(b"\n"), len(good) - good.rfind(b"\n")
            if not chunk:
                return line, 1
            # Of a multi-byte character held back by the decoder, nothing is a line end.
            done = (pending + chunk)[: len(pending + chunk) - len(decoder.getstate()[0])]
            line += done.count(b"\n")
            before = done[done.rfind(b"\n") + 1 :][-_CHUNK:]

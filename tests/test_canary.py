"""No byte that the demonstration writes says who complained: not plain, not encoded, not inside any archive.

Every file of the workspace is searched after the whole way was gone: import, analyses, maps, notebooks, records,
backup, exports. Only the vault holds the people, sealed.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pypdf
import pytest

import fieldkit as fk
from fieldkit.casework import receive_complaints
from fieldkit.complaints import Complaint, Person
from fieldkit.demo import city
from fieldkit.intake.rows import Entry
from fieldkit.ledger import Ledger
from fieldkit.places import Place
from fieldkit.workspace import Workspace

#: Somebody whose every word can be told from all else, in letters of two scripts.
CANARY = Person(
    name="金丝雀·卡纳里",
    phone="139-7777-0042",
    address="鸣禽里弄八十八号 Songbird Alley 88",
    email="canary@songbird.example",
    identity_number="51080019700101042X",
)
RECORDS = 2


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[str]]:
    """The demonstration with everything made of it, and all the words that may stand nowhere."""
    folder = tmp_path_factory.mktemp("canary") / "demo"
    ws = fk.make_demo(folder, records=RECORDS, say=lambda _: None, progress=False)
    when = datetime(2017, 7, 1, 12, tzinfo=UTC)
    complaint = Complaint(
        received_at=when, source="c", number="C-1", text="噪声 noise", place=Place(105.84, 32.43)
    )
    receive_complaints(ws, [Entry(1, complaint, CANARY, (), {})], title="canary")
    number = str(ws.case("C-1").id)
    fk.run_records(ws, [number], progress=False)
    for name in ("all.geojson", "all.csv", "all.gpkg", "all.parquet", "all.png"):
        ws.analyse("repeats", out=ws.settings.out / name)
    fk.export(ws, ws.settings.out / "export")
    fk.export(ws, ws.settings.out / "case", cases=["C-1"])
    fk.export(ws, ws.settings.out / "ledger.gpkg")
    fk.export(ws, ws.settings.out / "ledger.parquet")
    fk.back_up(ws)
    ws.ledger.forget(number, reason="a test of what stays")
    ws.ledger.close()
    people = [one.person for one in (*city.previous_year(), *city.make_complaints()) if one.person]
    phones = [person.phone for person in people if person.phone]
    words = [getattr(CANARY, field) for field in Person.__dataclass_fields__]
    # Invented numbers stand nowhere by accident; a name of two characters may be two words of a text.
    words += [
        "鸣禽里弄",
        "Songbird",
        "songbird.example",
        "13977770042",
        *phones,
        *(p.replace("-", "") for p in phones),
    ]
    return ws, words


class Search:
    """Looks for all of *words* in every encoding that a program may have left them in."""

    def __init__(self, words: Sequence[str]) -> None:
        self._spelled: dict[int, list[bytes]] = {}
        for one in sorted(spellings(words)):
            if len(one) >= _PREFIX:
                self._spelled.setdefault(int.from_bytes(one[:_PREFIX], "little"), []).append(one)
        self._prefixes = np.array(sorted(self._spelled), dtype="<u8")

    def first(self, data: bytes) -> bytes | None:
        """The first that *data* holds. Thousands of words: the first eight bytes of all are looked for at once."""
        for shift in range(_PREFIX):
            eights = (
                np.frombuffer(data, "<u8", max(0, (len(data) - shift) // _PREFIX), shift) if data else data
            )
            if not len(eights):
                continue
            at = np.searchsorted(self._prefixes, eights).clip(max=len(self._prefixes) - 1)
            for hit in np.flatnonzero(self._prefixes[at] == eights):
                start = shift + int(hit) * _PREFIX
                for one in self._spelled[int(eights[hit])]:
                    if data.startswith(one, start):
                        return one
        return None


_PREFIX = 8


def spellings(words: Sequence[str]) -> set[bytes]:
    spelled: set[bytes] = set()
    for word in words:
        forms = {word, json.dumps(word)[1:-1], word.encode("unicode_escape").decode()}
        forms.add("".join(f"&#{ord(c)};" for c in word))
        for form in forms:
            spelled |= {form.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")}
        for data in (word.encode(), word.encode("utf-16-le")):
            spelled.add(data.hex().encode())
            for shift in range(3):
                # What is the same of it wherever it stands in what was encoded.
                text = base64.b64encode(bytes(shift) + data)[4 if shift else 0 :]
                spelled.add(text[: (len(data) - (3 - shift) % 3) // 3 * 4].rstrip(b"="))
    return spelled


def layers_of(data: bytes, name: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """*data* itself, and what it holds: members of archives, streams of a PDF and its text, pictures in a page."""
    yield name, data
    if depth == 3:
        return
    if data[:2] == b"\x1f\x8b":
        yield from layers_of(gzip.decompress(data), f"{name}>gzip", depth + 1)
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from layers_of(archive.read(member), f"{name}>{member}", depth + 1)
    if data[:5] == b"%PDF-":
        reader = pypdf.PdfReader(io.BytesIO(data))
        yield f"{name}>text", "\n".join(page.extract_text() for page in reader.pages).encode()
        yield f"{name}>about", repr(reader.metadata).encode()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        for start in (found.end() for found in re.finditer(b"zTXt|iTXt|tEXt", data)):
            yield f"{name}>note", data[start : start + 4096]
    for found in re.finditer(rb"base64,([A-Za-z0-9+/=\\n]{64,})", data):
        with_padding = found[1].replace(b"\\n", b"")
        inner = base64.b64decode(with_padding + b"=" * (-len(with_padding) % 4))
        yield from layers_of(inner, f"{name}>base64", depth + 1)
    for found in re.finditer(rb"x\x9c", data[: 1 << 20] if data[:5] == b"%PDF-" else b""):
        try:
            yield f"{name}>stream", zlib.decompressobj().decompress(data[found.start() :])
        except zlib.error:
            continue


def found_in(folder: Path, words: Sequence[str]) -> list[tuple[str, bytes]]:
    search = Search(words)
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for name, data in layers_of(path.read_bytes(), path.relative_to(folder).as_posix()):
                if one := search.first(data):
                    found.append((name, one))
    return found


def test_nobody_stands_in_any_file_of_the_demonstration(demo: tuple[Workspace, list[str]]) -> None:
    ws, words = demo
    files = [path for path in ws.settings.folder.rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files}
    # What must have been made for the search to say anything.
    wanted = {
        ".sqlite",
        ".ipynb",
        ".html",
        ".pdf",
        ".png",
        ".geojson",
        ".gpkg",
        ".parquet",
        ".csv",
        ".jsonl",
        ".json",
    }
    assert wanted <= suffixes
    assert len(words) > 500
    assert found_in(ws.settings.folder, words) == []


def test_nobody_stands_in_the_backup_of_a_ledger_that_knows_them(
    demo: tuple[Workspace, list[str]], tmp_path: Path
) -> None:
    ws, _ = demo
    (backup,) = (path for path in (ws.settings.folder / "backups").iterdir() if path.is_dir())
    fk.restore(backup, tmp_path / "new")
    new = fk.open(tmp_path / "new")
    (new.settings.keys / "vault.key").write_bytes((ws.settings.keys / "vault.key").read_bytes())
    # The people are there for whoever may see them, and in the backup as of before the forgetting.
    assert new.ledger.complainant(new.case("C-1").id, reason="a test") == CANARY
    new.ledger.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda words: words.encode(),
        lambda words: words.encode("utf-16"),
        lambda words: words.encode("gb18030"),
        lambda words: b"x" + base64.b64encode(b"12" + words.encode()),
        lambda words: b"x" + base64.b64encode(b"1" + words.encode()),
        lambda words: json.dumps(words).encode(),
        lambda words: gzip.compress(words.encode()),
        lambda words: zipped(words.encode()),
        lambda words: zipped(gzip.compress(base64.b64encode(words.encode()))),
        lambda words: b'<img src="data:image/png;base64,' + base64.b64encode(zipped(words.encode())) + b'">',
        lambda words: words.encode().hex().encode(),
    ],
)
@pytest.mark.parametrize("field", list(Person.__dataclass_fields__))
def test_the_search_finds_a_person_wherever_it_is_hidden(tmp_path: Path, write: object, field: str) -> None:
    word = getattr(CANARY, field)
    (tmp_path / "file.bin").write_bytes(write(f"before {word} after"))  # type: ignore[operator]
    assert found_in(tmp_path, [word])


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return buffer.getvalue()


def test_the_search_finds_a_person_in_a_plain_table(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "plain.sqlite") as file:
        file.execute("CREATE TABLE complainant (name TEXT)")
        file.execute("INSERT INTO complainant VALUES (?)", (CANARY.name,))
    file.close()
    assert found_in(tmp_path, [CANARY.name])


def test_a_ledger_without_its_keys_tells_nothing(demo: tuple[Workspace, list[str]]) -> None:
    ws, _ = demo
    bare = Ledger(ws.settings.ledger, origin="bare", actor=ws.actor)
    number = next(event.subject for event in bare.events(kind="complaint_received"))
    with pytest.raises(fk.FieldkitError, match=r"vault\.key"):
        bare.complainant(number, reason="a test")
    bare.close()

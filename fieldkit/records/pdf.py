"""The record as a PDF for print and archive (PDF/A-2b), set by Typst with its fonts inside."""

from __future__ import annotations

import base64
import json
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit import fonts
from fieldkit.errors import RecordError
from fieldkit.records.document import footing
from fieldkit.records.parts import wordings

if TYPE_CHECKING:
    import typst

_TEMPLATE = Path(__file__).with_name("record.typ")

# A run without a place to break, such as an address of a web page, would run out of its column; a word is shorter.
_LONG_RUN = re.compile(r"[!-~]{18,}")
_BREAK_EVERY = re.compile(r"[!-~]{12}(?=[!-~])")


class PdfRecord:
    """An A4 document with the case's number on every page, tables that go over pages, and the versions at the foot.

    Text enters Typst as data only. A character that no font here can draw is printed as its code, e.g. ``[U+1F600]``.
    The same document gives the same bytes.
    """

    title: str = "PDF for print and archive"
    suffix: str = ".pdf"

    def render(self, document: Mapping[str, Any]) -> bytes:
        """Render the *document* of :func:`fieldkit.records.document.read_document`; raises :class:`RecordError`."""
        import typst

        with tempfile.TemporaryDirectory(prefix="fieldkit-pdf-") as folder:
            data = _page_data(document, Path(folder))
            compiler = typst.Compiler(
                _TEMPLATE.read_bytes(),
                root=folder,
                font_paths=_fonts(),
                ignore_system_fonts=True,
                sys_inputs={"document": json.dumps(data, ensure_ascii=False)},
            )
            try:
                pdf = compiler.compile(
                    format="pdf", pdf_standards="a-2b", timestamp=_timestamp(document["meta"])
                )
            except typst.TypstError as error:
                raise RecordError(f"Typst cannot set the record: {error.message}.") from error
        if not isinstance(pdf, bytes):
            raise RecordError("Typst gave no PDF for the record. Install the package typst again.")
        return pdf


def _timestamp(meta: Mapping[str, Any]) -> datetime:
    # The time of the data, not of the run: the same data must give the same bytes.
    try:
        return datetime.fromisoformat(str(meta.get("as_of"))).astimezone(UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)


def _page_data(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    language, meta = document["language"], document["meta"]
    title = wordings(document["title"], language)
    number = str(meta.get("number", ""))
    head: dict[str, Any] = {
        "title": title,
        "page_title": " · ".join(filter(None, (title[0], number))),
        "running": title[0],
        "number": number,
        "office": str(meta.get("office", "")),
        "footing": footing(meta, language),
        "lang": "en" if language == "en" else "zh",
        "region": "GB" if language == "en" else "CN",
    }
    settable: dict[str, Any] = _settable(head)
    return settable | {
        "parts": [_page_part(part, index, language, folder) for index, part in enumerate(document["parts"])],
    }


def _page_part(part: Mapping[str, Any], index: int, language: str, folder: Path) -> dict[str, Any]:
    words: dict[str, Any] = _without_pictures(part)
    if part["kind"] not in ("heading", "paragraph", "list", "text"):
        words = _worded(words, language)
    shown: dict[str, Any] = _settable(words)
    if part["kind"] == "picture":
        name = f"picture-{index}.png"
        (folder / name).write_bytes(base64.b64decode(part["png"]))
        shown |= {"file": name, "alternative": " ".join(filter(None, shown["alternative"]))}
    elif part["kind"] == "exhibits":
        for number, (item, placed) in enumerate(zip(part["items"], shown["items"], strict=True)):
            placed["file"] = ""
            if item["jpeg"]:
                placed["file"] = f"exhibit-{index}-{number}.jpg"
                (folder / placed["file"]).write_bytes(base64.b64decode(item["jpeg"]))
    return shown | {"kind": part["kind"]}


def _without_pictures(value: Any) -> Any:
    if isinstance(value, Mapping):
        left_out = ("kind", "png", "jpeg")
        return {name: _without_pictures(inner) for name, inner in value.items() if name not in left_out}
    return [_without_pictures(inner) for inner in value] if isinstance(value, list) else value


def _worded(value: Any, language: str) -> Any:
    """Wordings as pairs; in lists and rows too, numbers and names of kinds as they are."""
    if isinstance(value, str):
        return [value, ""]
    if isinstance(value, Mapping):
        if set(value) == {"zh", "en"}:
            return list(wordings(value, language))
        return {name: _worded(inner, language) for name, inner in value.items()}
    if isinstance(value, list):
        return [_worded(inner, language) for inner in value]
    return value


def _settable(value: Any) -> Any:
    if isinstance(value, str):
        return _LONG_RUN.sub(
            lambda run: _BREAK_EVERY.sub("\\g<0>\u200b", run.group()), "".join(_drawn(value))
        )
    if isinstance(value, Mapping):
        return {name: _settable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_settable(inner) for inner in value]
    return value


def _drawn(text: str) -> list[str]:
    characters = []
    for character in text:
        kind = unicodedata.category(character)
        if character in "\n\t" or ord(character) in _covered():
            characters.append(character)
        elif kind in ("Cc", "Cf") or "\ufe00" <= character <= "\ufe0f":
            continue  # draws nothing by itself
        else:
            characters.append(f"[U+{ord(character):04X}]")
    return characters


@cache
def _second_folder() -> Path:
    """The folder of DejaVu, which matplotlib carries: scripts beyond Chinese and Latin, symbols, some emoji."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@cache
def _fonts() -> typst.Fonts:
    import typst

    folders: list[str] = [str(fonts.folder()), str(_second_folder())]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)


@cache
def _covered() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    found: set[int] = set()
    for path in (*sorted(fonts.folder().glob("*.otf")), _second_folder() / "DejaVuSans.ttf"):
        with TTFont(path, lazy=True) as font:
            found.update(font.getBestCmap())
    return frozenset(found)

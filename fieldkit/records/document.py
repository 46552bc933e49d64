"""Read an executed notebook into the document that a record is rendered from: parts and prose, in the cells' order."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fieldkit.errors import RecordError
from fieldkit.records.parts import KINDS, MIME, Wording

#: A Markdown cell with this tag speaks to the person at the screen and is not printed.
GUIDE_TAG = "guide"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_document(notebook: Mapping[str, Any], *, language: str = "both") -> dict[str, Any]:
    """Make the document of an executed *notebook*: ``title``, ``language``, ``parts`` and ``meta``.

    Parts are the data of :mod:`fieldkit.records.parts`, plus ``heading`` (level, text), ``paragraph`` (text) and
    ``list`` (ordered, items) from Markdown, of which only these three are kept and only as text, and ``text``
    (what a cell printed). Markdown cells tagged ``guide`` are left out; one tagged ``zh`` or ``en`` is left out of a
    record in the other language alone. Raises :class:`RecordError` naming the cell whose part is malformed.
    """
    parts: list[dict[str, Any]] = []
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            if _is_printed(cell, language):
                parts.extend(_prose(_joined(cell["source"])))
        elif cell["cell_type"] == "code":
            for output in cell.get("outputs", []):
                parts.extend(_shown(output, index))
    meta = dict(notebook.get("metadata", {}).get("fieldkit", {}))
    return {
        "title": meta.get("title") or _first_title(parts),
        "language": language,
        "parts": parts,
        "meta": meta,
    }


def all_text(document: Mapping[str, Any]) -> str:
    """Every character that the document shows, for choosing fonts."""
    return "".join(_texts({k: v for k, v in document.items() if k != "png"}))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("png", "jpeg"):
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _is_printed(cell: Mapping[str, Any], language: str) -> bool:
    tags = set(cell.get("metadata", {}).get("tags", []))
    if GUIDE_TAG in tags:
        return False
    spoken = tags & {"zh", "en"}
    return not spoken or language == "both" or language in spoken


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _first_title(parts: list[dict[str, Any]]) -> Wording:
    for part in parts:
        found: Wording = part.get("title") or (part.get("text", "") if part["kind"] == "heading" else "")
        if found:
            return found
    return ""


def _prose(source: str) -> Iterator[dict[str, Any]]:
    import mistune

    blocks = mistune.create_markdown(renderer=None)(source)
    for block in blocks if isinstance(blocks, list) else []:
        kind = block["type"]
        if kind == "heading":
            yield {"kind": "heading", "level": int(block["attrs"]["level"]), "text": _plain(block)}
        elif kind == "list":
            ordered = bool(block.get("attrs", {}).get("ordered"))
            yield {
                "kind": "list",
                "ordered": ordered,
                "items": [_plain(item).strip() for item in block["children"]],
            }
        elif kind == "block_code":
            yield {"kind": "text", "text": str(block.get("raw", "")).rstrip("\n")}
        elif text := _plain(block).strip():
            # Quotes, tables, HTML and whatever else Markdown knows come out as the text they hold.
            yield {"kind": "paragraph", "text": text}


def _plain(node: Mapping[str, Any]) -> str:
    if node["type"] == "linebreak":
        return "\n"
    if node["type"] == "softbreak":
        return " "
    if "children" in node:
        inner = "".join(_plain(child) for child in node["children"])
        return inner + "\n" if node["type"] in ("paragraph", "block_text", "list_item") else inner
    return str(node.get("raw", ""))


def _shown(output: Mapping[str, Any], cell: int) -> Iterator[dict[str, Any]]:
    if output["output_type"] == "stream":
        if output.get("name") == "stdout" and (text := _ANSI.sub("", _joined(output["text"])).strip("\n")):
            yield {"kind": "text", "text": text}
        return
    data = output.get("data", {})
    if MIME in data:
        yield _checked(data[MIME], cell)
    elif "image/png" in data:
        png = "".join(_joined(data["image/png"]).split())
        bare = {"title": "", "alternative": "", "caption": "", "width_mm": 150.0}
        yield _checked({"kind": "picture", "png": png, **bare}, cell)
    elif "text/plain" in data:
        yield {"kind": "text", "text": _ANSI.sub("", _joined(data["text/plain"]))}


def _checked(part: Any, cell: int) -> dict[str, Any]:
    """The part with every field in place and of its type, so that no template meets a surprise."""
    try:
        return _normal(part)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            f"Cell {cell + 1} of the notebook shows a part that cannot be printed: {type(error).__name__}: {error}. "
            "Make parts with the functions of fieldkit.records.parts."
        ) from error


def _normal(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part["kind"]
    if kind not in KINDS:
        raise ValueError(f"the kind {kind!r} is not one of {', '.join(KINDS)}")
    normal: dict[str, Any] = {"kind": kind, "title": _wording(part.get("title", ""))}
    if kind == "facts":
        fields = ("label", "value", "remark")
        normal["rows"] = [{name: _wording(row.get(name, "")) for name in fields} for row in part["rows"]]
    elif kind == "paragraphs":
        names = ("label", "text", "below")
        normal["items"] = [{name: _wording(item.get(name, "")) for name in names} for item in part["items"]]
    elif kind == "gaps":
        normal |= {
            "items": [_wording(item) for item in part["items"]],
            "none": _wording(part.get("none", "")),
        }
    elif kind == "table":
        normal |= _normal_table(part)
    elif kind == "exhibits":
        normal |= _normal_exhibits(part)
    else:
        normal |= {name: _wording(part.get(name, "")) for name in ("alternative", "caption")}
        normal |= {
            "png": _encoded(part["png"], _PNG, "PNG"),
            "width_mm": min(170.0, max(20.0, float(part.get("width_mm", 150)))),
        }
    return normal


def _normal_table(part: Mapping[str, Any]) -> dict[str, Any]:
    columns = [_wording(column) for column in part["columns"]]
    rows = [[_wording(cell) for cell in row] for row in part["rows"]]
    widths = [float(width) for width in part.get("widths") or [1.0] * len(columns)]
    if not columns or len(widths) != len(columns) or any(len(row) != len(columns) for row in rows):
        raise ValueError("its rows, widths and columns differ in number")
    if min(widths) <= 0:
        raise ValueError("a column has no width")
    marked = [int(row) for row in part.get("marked", [])]
    return {
        "columns": columns,
        "rows": rows,
        "widths": widths,
        "marked": marked,
        "note": _wording(part.get("note", "")),
    }


def _normal_exhibits(part: Mapping[str, Any]) -> dict[str, Any]:
    items = [
        {
            "title": _wording(item.get("title", "")),
            "rows": [
                {name: _wording(row.get(name, "")) for name in ("label", "value")} for row in item["rows"]
            ],
            "jpeg": _encoded(item["jpeg"], _JPEG, "JPEG") if item.get("jpeg") else "",
            "sort": str(item.get("sort", "")),
            "alarm": _wording(item.get("alarm", "")),
        }
        for item in part["items"]
    ]
    return {"items": items} | {name: _wording(part.get(name, "")) for name in ("none", "alarm")}


def _wording(text: Any) -> Wording:
    if isinstance(text, str):
        return text
    if isinstance(text, Mapping):
        return {"zh": str(text.get("zh", "")), "en": str(text.get("en", ""))}
    raise TypeError(f"{text!r} is neither text nor a Chinese and an English text")


def _encoded(encoded: Any, beginning: bytes, kind: str) -> str:
    try:
        start = base64.b64decode(encoded, validate=True)[: len(beginning)]
    except (binascii.Error, TypeError) as error:
        raise ValueError(f"the picture is not base64: {error}") from error
    if start != beginning:
        raise ValueError(f"the picture is not a {kind}")
    return str(encoded)


def footing(meta: Mapping[str, Any], language: str) -> list[str]:
    """What stands at the foot of every page: versions of the data and the kit, and the start of the inputs' digest."""
    zh = language != "en"
    lines = []
    for name, chinese, english, length in (
        ("data_version", "数据版本", "data", 16),
        ("code_version", "软件版本", "fieldkit", 16),
        ("input_hash", "输入摘要", "inputs", 12),
    ):
        if value := str(meta.get(name, ""))[:length]:
            label = chinese if language == "zh" else f"{chinese} {english}" if zh else english
            lines.append(f"{label} {value}")
    return lines

"""The parts a record is made of: facts, a table, a picture, paragraphs, gaps, exhibits.

A part is what a cell of an investigation notebook shows. It carries itself twice: as HTML for the screen, with all
text escaped, and as plain data (:data:`MIME`) from which the HTML and PDF records are rendered.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

#: The MIME type under which a notebook keeps a part's data.
MIME = "application/vnd.fieldkit.part+json"

#: What a part can be.
KINDS = ("facts", "table", "picture", "paragraphs", "gaps", "exhibits")

#: Text that is either one for both languages or ``{"zh": …, "en": …}``.
Wording = str | Mapping[str, str]


def both(zh: str, en: str) -> dict[str, str]:
    """Say the same in Chinese and in English."""
    return {"zh": zh, "en": en}


def wordings(text: Wording, language: str) -> tuple[str, str]:
    """The text to show first and, where *language* is ``both`` and there are two, the one to show after it."""
    if isinstance(text, str):
        return text, ""
    zh, en = str(text.get("zh", "")), str(text.get("en", ""))
    if language == "zh" or not en:
        return zh or en, ""
    if language == "en" or not zh or zh == en:
        return en, ""
    return zh, en


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a record: its *kind*, its *title*, and the *data* that the kind needs.

    *language* (``zh``, ``en`` or ``both``) is what the notebook shows; a record chooses its own.
    """

    kind: str
    title: Wording
    data: Mapping[str, Any] = field(default_factory=dict)
    language: str = "both"

    def as_json(self) -> dict[str, Any]:
        """The part as plain data: ``kind``, ``title`` and what the kind needs."""
        return {"kind": self.kind, "title": self.title, **self.data}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002 - IPython's form
        return {MIME: self.as_json(), "text/html": self.as_html(), "text/plain": self.as_text()}

    def __repr__(self) -> str:
        return self.as_text()

    def as_html(self) -> str:
        """The part as a piece of HTML for a notebook; text that people wrote is escaped."""
        body = _HTML[self.kind](self.as_json(), self.language)
        return f'<section style="max-width:56em"><h3>{_span(self.title, self.language)}</h3>{body}</section>'

    def as_text(self) -> str:
        """The part as plain text for a terminal."""
        lines = _TEXT[self.kind](self.as_json(), self.language)
        return "\n".join([_line(self.title, self.language), *("  " + line for line in lines)])


def facts(title: Wording, rows: Sequence[tuple[Wording, Wording, Wording]], language: str = "both") -> Part:
    """Facts one under the other; a row is label, value, remark. Rows without a value are left out."""
    shown = [{"label": label, "value": value, "remark": remark} for label, value, remark in rows if value]
    return Part("facts", title, {"rows": shown}, language)


def table(
    title: Wording,
    columns: Sequence[Wording],
    rows: Sequence[Sequence[Wording]],
    *,
    widths: Sequence[float] = (),
    marked: Sequence[int] = (),
    note: Wording = "",
    language: str = "both",
) -> Part:
    """A table; *widths* are shares of the page for each column, *marked* the rows to set off, *note* stands below."""
    data = {
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "widths": [float(width) for width in widths] or [1.0] * len(columns),
        "marked": [int(row) for row in marked],
        "note": note,
    }
    return Part("table", title, data, language)


def picture(
    title: Wording,
    png: bytes,
    *,
    alternative: Wording = "",
    caption: Wording = "",
    width_mm: float = 160,
    language: str = "both",
) -> Part:
    """A PNG picture, *width_mm* millimetres wide in print, with the words for those who cannot see it."""
    data = {
        "png": base64.b64encode(png).decode("ascii"),
        "alternative": alternative or title,
        "caption": caption,
        "width_mm": float(width_mm),
    }
    return Part("picture", title, data, language)


def paragraphs(
    title: Wording, items: Sequence[tuple[Wording, Wording, Wording]], language: str = "both"
) -> Part:
    """Paragraphs, each a label, a text and what stands softer below it (a translation); line ends are kept."""
    shown = [{"label": label, "text": text, "below": below} for label, text, below in items]
    return Part("paragraphs", title, {"items": shown}, language)


def gaps(title: Wording, items: Sequence[Wording], *, none: Wording, language: str = "both") -> Part:
    """What is still missing, one line each; *none* is said when nothing is."""
    return Part("gaps", title, {"items": list(items), "none": none}, language)


def exhibit(
    title: Wording,
    rows: Sequence[tuple[Wording, Wording]],
    *,
    jpeg: bytes | None = None,
    sort: str = "",
    alarm: Wording = "",
) -> dict[str, Any]:
    """One item of :func:`exhibits`: its small picture or, where it has none, the *sort* of file in a word; *rows* of
    label and value, those without a value left out; *alarm* says what is wrong with it and is shown in red."""
    shown = [{"label": label, "value": value} for label, value in rows if value]
    picture = "" if jpeg is None else base64.b64encode(jpeg).decode("ascii")
    return {"title": title, "rows": shown, "jpeg": picture, "sort": sort, "alarm": alarm}


def exhibits(
    title: Wording,
    items: Sequence[Mapping[str, Any]],
    *,
    none: Wording,
    alarm: Wording = "",
    language: str = "both",
) -> Part:
    """Evidence, one :func:`exhibit` below the other; *alarm* stands over all in red, *none* is said of no items."""
    data = {"items": [dict(item) for item in items], "none": none, "alarm": alarm}
    return Part("exhibits", title, data, language)


def _span(text: Wording, language: str) -> str:
    first, second = wordings(text, language)
    shown = escape(first).replace("\n", "<br>")
    if not second:
        return shown
    return f'{shown} <span style="opacity:.65">{escape(second)}</span>'.replace("\n", "<br>")


def _line(text: Wording, language: str) -> str:
    return " · ".join(said for said in wordings(text, language) if said)


def _facts_html(part: Mapping[str, Any], language: str) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;white-space:nowrap">{_span(row["label"], language)}</th>'
        f'<td style="text-align:left">{_span(row["value"], language)}'
        + (f"<br><small>{_span(row['remark'], language)}</small>" if row["remark"] else "")
        + "</td></tr>"
        for row in part["rows"]
    )
    return f"<table>{rows}</table>"


def _table_html(part: Mapping[str, Any], language: str) -> str:
    head = "".join(
        f'<th style="text-align:left">{_span(column, language)}</th>' for column in part["columns"]
    )
    body = []
    for index, row in enumerate(part["rows"]):
        weight = ' style="font-weight:600"' if index in part["marked"] else ""
        cells = "".join(
            f'<td style="text-align:left;vertical-align:top">{_span(cell, language)}</td>' for cell in row
        )
        body.append(f"<tr{weight}>{cells}</tr>")
    note = f"<p><small>{_span(part['note'], language)}</small></p>" if part["note"] else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{note}"


def _picture_html(part: Mapping[str, Any], language: str) -> str:
    alternative = escape(_line(part["alternative"], language), quote=True)
    caption = f"<p>{_span(part['caption'], language)}</p>" if part["caption"] else ""
    return (
        f'<img alt="{alternative}" style="max-width:100%" src="data:image/png;base64,{part["png"]}">{caption}'
    )


def _paragraphs_html(part: Mapping[str, Any], language: str) -> str:
    shown = []
    for item in part["items"]:
        label = f"<small>{_span(item['label'], language)}</small><br>" if item["label"] else ""
        below = (
            f'<br><span style="opacity:.65">{_span(item["below"], language)}</span>' if item["below"] else ""
        )
        shown.append(f"<p>{label}{_span(item['text'], language)}{below}</p>")
    return "".join(shown)


def _gaps_html(part: Mapping[str, Any], language: str) -> str:
    if not part["items"]:
        return f"<p>{_span(part['none'], language)}</p>"
    return "<ul>" + "".join(f"<li>{_span(item, language)}</li>" for item in part["items"]) + "</ul>"


def _exhibits_html(part: Mapping[str, Any], language: str) -> str:
    if not part["items"]:
        return f"<p>{_span(part['none'], language)}</p>"
    shown = [_alarm_html(part["alarm"], language)]
    for item in part["items"]:
        title = _span(item["title"], language)
        picture = f"<p>{escape(item['sort'])}</p>"
        if item["jpeg"]:
            alternative = escape(_line(item["title"], language), quote=True)
            picture = f'<img alt="{alternative}" style="max-width:20em" src="data:image/jpeg;base64,{item["jpeg"]}">'
        rows = "".join(
            f"<tr><th>{_span(row['label'], language)}</th><td>{_span(row['value'], language)}</td></tr>"
            for row in item["rows"]
        )
        alarm = _alarm_html(item["alarm"], language)
        shown.append(f"<h4>{title}</h4>{alarm}{picture}<table>{rows}</table>")
    return "".join(shown)


def _alarm_html(alarm: Wording, language: str) -> str:
    if not alarm:
        return ""
    return f'<p style="color:#b3261e;font-weight:700">{_span(alarm, language)}</p>'


def _facts_text(part: Mapping[str, Any], language: str) -> list[str]:
    return [
        f"{_line(row['label'], language)}: {_line(row['value'], language)}"
        + (f" ({_line(row['remark'], language)})" if row["remark"] else "")
        for row in part["rows"]
    ]


def _table_text(part: Mapping[str, Any], language: str) -> list[str]:
    rows = [part["columns"], *part["rows"]]
    lines = [" | ".join(_line(cell, language).replace("\n", " ") for cell in row) for row in rows]
    return [*lines, _line(part["note"], language)] if part["note"] else lines


def _picture_text(part: Mapping[str, Any], language: str) -> list[str]:
    return [_line(part["caption"] or part["alternative"], language)]


def _paragraphs_text(part: Mapping[str, Any], language: str) -> list[str]:
    names = ("label", "text", "below")
    return [
        " | ".join(filter(None, (_line(item[name], language) for name in names))) for item in part["items"]
    ]


def _gaps_text(part: Mapping[str, Any], language: str) -> list[str]:
    return [f"- {_line(item, language)}" for item in part["items"]] or [_line(part["none"], language)]


def _exhibits_text(part: Mapping[str, Any], language: str) -> list[str]:
    lines = [_line(part["alarm"], language)] if part["alarm"] else []
    for item in part["items"]:
        lines.append(_line(item["title"], language))
        lines += [f"  {_line(item['alarm'], language)}"] if item["alarm"] else []
        lines += [
            f"  {_line(row['label'], language)}: {_line(row['value'], language)}" for row in item["rows"]
        ]
    return lines or [_line(part["none"], language)]


_HTML = {
    "facts": _facts_html,
    "table": _table_html,
    "picture": _picture_html,
    "paragraphs": _paragraphs_html,
    "gaps": _gaps_html,
    "exhibits": _exhibits_html,
}
_TEXT = {
    "facts": _facts_text,
    "table": _table_text,
    "picture": _picture_text,
    "paragraphs": _paragraphs_text,
    "gaps": _gaps_text,
    "exhibits": _exhibits_text,
}

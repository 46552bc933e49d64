"""Print tables and JSON to a terminal, where Chinese characters are two columns wide and text is never a command."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from fieldkit.fonts import cut, width


def echo_json(value: Any) -> None:
    """Print *value* as indented JSON; times in ISO 8601, paths as text."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | set):
        return list(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def echo_table(
    columns: Mapping[str, Sequence[object]], *, widest: int = 48, right: Sequence[str] = ()
) -> None:
    """Print *columns* (title to values) as a table; cells wider than *widest* are cut, those in *right* align right."""
    cells = {title: [cut(clean(value), widest) for value in values] for title, values in columns.items()}
    widths = {title: max([width(title), *map(width, values)]) for title, values in cells.items()}
    click.secho("  ".join(_pad(title, widths[title], title in right) for title in cells).rstrip(), bold=True)
    for row in zip(*cells.values(), strict=True):
        line = (_pad(cell, widths[title], title in right) for title, cell in zip(cells, row, strict=True))
        click.echo("  ".join(line).rstrip())


def clean(value: object) -> str:
    """*value* as one line of text without control characters: a complaint must not steer the terminal."""
    if value is None or value != value:  # NaN and NaT differ from themselves
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = " ".join(str(value).split())
    return "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


def _pad(text: str, to: int, right: bool) -> str:
    space = " " * (to - width(text))
    return space + text if right else text + space

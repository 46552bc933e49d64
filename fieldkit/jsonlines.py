"""JSON read strictly, and files of one JSON object a line: no doubled key, no NaN, one spelling, no endless line.

What comes from elsewhere is read by these rules, so that two programs can never understand the same bytes differently.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: A longer line is refused before it is read to its end.
LONGEST_LINE = 16 << 20

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class JsonRefused(ValueError):
    """What the strict rules forbid, in a few words without a full stop."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise JsonRefused(
            f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object"
        )
    return result


def _constant(name: str) -> Any:
    raise JsonRefused(f"{name} is no JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonRefused(f"the number {text[:20]} is too large")
    return value


#: Decodes by the strict rules; raises :class:`JsonRefused` or another :class:`ValueError`, or :class:`RecursionError`.
DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)


def strict_json(text: str) -> Any:
    """The value that *text* is the JSON of; raises :class:`JsonRefused` for anything doubtful."""
    try:
        return DECODER.decode(text)
    except JsonRefused:
        raise
    except ValueError as error:
        raise JsonRefused(f"it is no JSON ({str(error)[:80]})") from error
    except RecursionError as error:
        raise JsonRefused("it is nested too deeply") from error


def line_of(value: dict[str, Any]) -> bytes:
    """*value* as a line of a file: the one spelling that :func:`lines_in` accepts, with its line end."""
    return f"{_encode(value)}\n".encode()


def lines_in(path: Path) -> Iterator[tuple[int, dict[str, Any] | JsonRefused]]:
    """Yield the number (from 1) and the object of every line, or what is wrong with the line instead.

    A line too long ends the reading: what stands behind it is not looked at. Raises :class:`OSError`.
    """
    with path.open("rb") as file:
        number = 0
        while data := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(data) > LONGEST_LINE:
                yield number, JsonRefused(f"it is longer than {LONGEST_LINE >> 20} MiB")
                return
            try:
                yield number, _object(data)
            except JsonRefused as refused:
                yield number, refused


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = strict_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise JsonRefused("it is no UTF-8") from error
    if not isinstance(value, dict):
        raise JsonRefused("it is no object")
    try:
        same = line_of(value) == data
    except UnicodeEncodeError:  # half of a character, spelled out
        same = False
    if not same:
        raise JsonRefused("it is not spelled as the kit writes it")
    return value

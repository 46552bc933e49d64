"""What a map's script reads: text, numbers and outlines as one compact block of JSON, and how it is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

#: Coordinates travel as whole numbers of this fraction of a degree (about a metre), as steps from the one before.
STEPS_PER_DEGREE = 100_000

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
#: Characters that mean something to HTML, JavaScript, a template literal or a template; none is needed raw.
_TELLING = re.compile("[<>&'`${}%#\u007f-\u009f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def json_block(value: Mapping[str, Any]) -> str:
    """*value* as JSON that is inert wherever it stands: in HTML, in a script, in a template.

    Inside strings every character that could end a script or open markup, a template or a template literal
    is written as ``\\uXXXX``; what the reader gets back is the same text.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _STRING.sub(lambda match: _TELLING.sub(_escape, match[0]), text)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def texts_in(value: Any) -> Iterable[str]:
    """Every string in *value*, however deep: what a page's font has to draw."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, (list, tuple)):
        # Long columns of numbers hold no text.
        if value and isinstance(value[0], (int, float)) and not isinstance(value[-1], (str, list, Mapping)):
            return
        for item in value:
            yield from texts_in(item)


def both(text: str | Mapping[str, str] | None, fallback: str = "") -> dict[str, str]:
    """*text* as a pair ``{"zh": …, "en": …}``; a plain string stands for both languages."""
    if isinstance(text, Mapping):
        zh, en = str(text.get("zh") or ""), str(text.get("en") or "")
        return {"zh": zh or en, "en": en or zh}
    plain = str(text) if text is not None and str(text) else fallback
    return {"zh": plain, "en": plain}


def outline_steps(polygons: Sequence[Any]) -> list[list[list[int]]]:
    """The rings of each polygon in WGS-84 as ``[lon, lat, step east, step north, …]`` in whole steps.

    Holes are rings like the others: they are drawn by the even-odd rule. No geometry gives no rings.
    """
    return [[_steps(ring) for part in _polygons_of(shape) for ring in _rings(part)] for shape in polygons]


def _polygons_of(shape: Any) -> list[Any]:
    if shape is None or shape.is_empty:
        return []
    if shape.geom_type == "Polygon":
        return [shape]
    return [
        part for part in shapely.get_parts(shape).tolist() if part.geom_type in ("Polygon", "MultiPolygon")
    ]


def _rings(polygon: Any) -> list[Any]:
    if polygon.geom_type == "MultiPolygon":
        return [ring for part in polygon.geoms for ring in _rings(part)]
    return [polygon.exterior, *polygon.interiors]


def _steps(ring: Any) -> list[int]:
    points = np.rint(shapely.get_coordinates(ring)[:-1] * STEPS_PER_DEGREE).astype(np.int64)
    steps: list[int] = np.diff(points, axis=0, prepend=np.zeros((1, 2), dtype=np.int64)).ravel().tolist()
    return steps


def point_steps(lons: np.ndarray[Any, Any], lats: np.ndarray[Any, Any]) -> dict[str, list[int]]:
    """Points in WGS-84 as ``{"lon": [first, step, …], "lat": [first, step, …]}`` in whole steps."""
    return {"lon": _column_steps(lons), "lat": _column_steps(lats)}


def _column_steps(degrees: np.ndarray[Any, Any]) -> list[int]:
    whole = np.rint(np.asarray(degrees, dtype=float) * STEPS_PER_DEGREE).astype(np.int64)
    steps: list[int] = np.diff(whole, prepend=np.int64(0)).tolist()
    return steps


def column(label: tuple[str, str], values: Iterable[Any]) -> dict[str, Any]:
    """One line of the popups: its *label* (zh, en) and a value an item; repeated texts are kept once."""
    plain = [_plain(value) for value in values]
    if any(isinstance(value, str) for value in plain):
        words = list(dict.fromkeys(value for value in plain if value not in (None, "")))
        place = {word: number for number, word in enumerate(words)}
        return {"label": both({"zh": label[0], "en": label[1]}), "words": [str(word) for word in words],
                "values": [place.get(value, -1) for value in plain]}  # fmt: skip
    return {"label": both({"zh": label[0], "en": label[1]}), "values": plain}


def _plain(value: Any) -> Any:
    """*value* as JSON knows it: text, a number of at most four digits of precision, or None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "✓" if value else ""
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return float(f"{number:.4g}") if math.isfinite(number) else None
    return str(value)

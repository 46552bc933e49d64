"""Analyses: complaints in, an answer out, and how the answer was come by in its ``attrs``.

Here stands what every analysis shares: the checks of the frame and of the options, and the attributes that a
result carries: ``method``, ``parameters``, ``seed``, ``tests``, ``correction``, ``data_version``, ``source``,
``sentence``, ``sentence_zh`` and ``warnings``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fieldkit.errors import AnalysisError

#: The caution that every picture of complaints needs, in English and Chinese.
CAUTION = "It shows who calls, not what happens."
CAUTION_ZH = "它反映的是谁在投诉，而不是实际发生了什么。"

#: The precisions at which a time says the hour; complaints known to the day, month or year only have none.
EXACT_TO_THE_HOUR = ("second", "hour")

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def require_columns(frame: pd.DataFrame, *names: str) -> None:
    """Raise :class:`AnalysisError` unless *frame* has the columns *names*."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise AnalysisError(
            f"The frame has no column {missing[0]!r}. This analysis needs {', '.join(names)}; "
            "ws.complaints() gives a frame that has them."
        )


def located(frame: pd.DataFrame) -> pd.DataFrame:
    """The complaints that have a place, numbered afresh, with ``lon`` and ``lat`` as floats in degrees of WGS-84.

    Raises :class:`AnalysisError` when a coordinate is no number or lies off the globe.
    """
    require_columns(frame, "lon", "lat")
    try:
        lon, lat = (
            pd.to_numeric(frame[name]).to_numpy(dtype=float, na_value=np.nan) for name in ("lon", "lat")
        )
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"lon and lat must be numbers in degrees, and one is not: {error}.") from error
    known = np.isfinite(lon) & np.isfinite(lat)
    astray = np.flatnonzero(known & ((np.abs(lat) > 90) | (np.abs(lon) > 180)))
    if astray.size:
        lon_0, lat_0 = float(lon[astray[0]]), float(lat[astray[0]])
        raise AnalysisError(
            f"{astray.size} points lie off the globe, the first at lon {lon_0:g}, lat {lat_0:g}. Longitude is between "
            "-180 and 180, latitude between -90 and 90: are they swapped, or in metres?"
        )
    plain = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
    points: pd.DataFrame = plain[known].reset_index(drop=True)
    points["lon"], points["lat"] = lon[known], lat[known]
    return points


def texts(frame: pd.DataFrame, column: str) -> pd.Series[str]:
    """The *column* as plain text, trimmed, with '' where a value or the whole column is missing."""
    if column not in frame.columns:
        return pd.Series([""] * len(frame), index=frame.index, dtype=object)
    values = frame[column]
    codes, known = pd.factorize(values)
    words = np.array([*(str(value).strip() for value in known), ""], dtype=object)
    return pd.Series(words[codes], index=frame.index, dtype=object)


def moments(frame: pd.DataFrame, column: str = "received_at") -> pd.Series[Any]:
    """The *column* as times, NaT where missing; a frame without it, or all empty, gives NaT.

    Raises :class:`AnalysisError` when the column holds something else than times.
    """
    if column not in frame.columns or frame[column].isna().all():
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    values = frame[column]
    if not isinstance(values.dtype, pd.DatetimeTZDtype) and not pd.api.types.is_datetime64_dtype(
        values.dtype
    ):
        raise AnalysisError(
            f"The column {column!r} holds {values.dtype}, not times of one time zone. "
            "Convert it first, e.g. with pandas.to_datetime(…).dt.tz_convert(…)."
        )
    return values


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """Return *value* as an int; raises :class:`AnalysisError` unless it is a whole number from *low* to *high*."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise AnalysisError(f"{name} is {value!r}. Give a whole number from {low} to {high:,}.")
    return int(value)


def number_between(name: str, value: Any, low: float, high: float) -> float:
    """Return *value* as a float; raises :class:`AnalysisError` unless it is a number above *low* and below *high*."""
    fits = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or not low < value < high:
        raise AnalysisError(f"{name} is {value!r}. Give a number above {low:g} and below {high:g}.")
    return float(value)


def one_of(name: str, value: Any, accepted: Sequence[str]) -> str:
    """Return *value*; raises :class:`AnalysisError` unless it is one of the words *accepted*."""
    if value not in accepted:
        raise AnalysisError(f"{name} is {value!r}. Use one of: {', '.join(accepted)}.")
    return str(value)


def checked_options(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options*; raises :class:`AnalysisError` naming the accepted ones when *function* takes no such option."""
    accepted = [name for name in inspect.signature(function).parameters if name not in ("frame", "seed")]
    for name in options:
        if name not in accepted:
            listed = ", ".join(accepted) or "none"
            raise AnalysisError(f"This analysis has no option {name!r}. Its options are: {listed}.")
    return dict(options)


def describe(result: pd.DataFrame, frame: pd.DataFrame, **attributes: Any) -> None:
    """Write into ``result.attrs`` how the result was come by; what is not given is filled in as 'does not apply'."""
    filled: dict[Hashable, Any] = {
        "method": "",
        "parameters": {},
        "seed": None,
        "tests": 0,
        "correction": "none",
        "data_version": frame.attrs.get("data_version", ""),
        "time_zone": frame.attrs.get("time_zone", ""),
        "source": "",
        "sentence": "",
        "sentence_zh": "",
        "warnings": [],
    }
    if "as_of" in frame.attrs:
        filled["as_of"] = frame.attrs["as_of"]
    filled.update(attributes)
    result.attrs = filled

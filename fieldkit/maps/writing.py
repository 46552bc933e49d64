"""Write the result of an analysis to a file: a map, a picture, or data for other programs, by the suffix."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from fieldkit.errors import MapError
from fieldkit.files import replacing, write_bytes
from fieldkit.formulas import protect
from fieldkit.maps.drawing import draw_map
from fieldkit.maps.layers import in_wgs84
from fieldkit.maps.payload import both
from fieldkit.maps.still import still_result

if TYPE_CHECKING:
    from fieldkit.places import Areas

Title = str | Mapping[str, str]

SUFFIXES = (".html", ".png", ".geojson", ".gpkg", ".parquet", ".csv")


def write_map(
    frame: pd.DataFrame,
    out: Path,
    *,
    title: Title,
    areas: Areas | gpd.GeoDataFrame | None = None,
    language: str = "both",
) -> Path:
    """Write *frame*, the result of an analysis, to *out* and return it; the suffix says what is wanted.

    ``.html`` a map that opens without a network, ``.png`` a still map (both over the outlines of *areas*),
    ``.geojson``, ``.gpkg`` and ``.parquet`` data in WGS-84 with the result's ``attrs`` beside them, ``.csv`` a
    table. The old file stays until the new one is complete. Raises :class:`MapError` for another suffix, for a
    frame that has no places where places are needed, or when a package for the format is missing.
    """
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise MapError(
            f"Nothing writes {out.suffix or out.name!r}. The file's suffix is one of: {', '.join(SUFFIXES)}."
        )
    try:
        _WRITERS[suffix](frame, out, title, areas, language)
    except OSError as error:
        raise MapError(f"{out} cannot be written: {error.strerror or error}.") from error
    return out


def write_layers(frames: Mapping[str, gpd.GeoDataFrame], out: Path) -> Path:
    """Write *frames* as the layers of one GeoPackage, by name, in WGS-84; the old file stays until it is complete.

    GeoPackage knows times in UTC only, and QGIS shows them so: each is written twice, as ISO 8601 text of its own zone
    under its name and, for the temporal controller, in UTC under its name with ``_utc``.
    """
    try:
        with replacing(out) as temporary:
            for layer, frame in frames.items():
                plain: Any = _plain(_placed(frame, out))
                for name in plain.select_dtypes("datetimetz").columns:
                    plain[f"{name}_utc"] = plain[name].dt.tz_convert("UTC")
                    plain[name] = [None if pd.isna(time) else time.isoformat() for time in plain[name]]
                plain.to_file(temporary, driver="GPKG", engine="pyogrio", layer=layer)
    except OSError as error:
        raise MapError(f"{out} cannot be written: {error.strerror or error}.") from error
    return out


def _placed(frame: pd.DataFrame, out: Path) -> gpd.GeoDataFrame:
    if not isinstance(frame, gpd.GeoDataFrame) or frame.active_geometry_name is None:
        raise MapError(
            f"This result has no places, so {out.name} cannot be written. Write it as .csv or .parquet."
        )
    return in_wgs84(frame)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """*frame* with columns that every format knows: text, numbers, truth, times, geometry."""
    plain = frame.copy()
    geometry = getattr(frame, "active_geometry_name", None)
    for name in plain.columns:
        values = plain[name]
        if (
            isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype))
            or values.dtype.kind not in "iufbM"
        ):
            if name != geometry:
                plain[name] = pd.Series([_text(value) for value in values], index=plain.index, dtype="str")
        elif values.dtype.kind in "iu" and pd.api.types.is_extension_array_dtype(values):
            # Whole numbers with gaps: not every format has them.
            plain[name] = values.astype("float64" if values.isna().any() else "int64")
    return plain


def _text(value: Any) -> str | None:
    if isinstance(value, (list, tuple, np.ndarray)):
        return "|".join(map(str, value))
    if isinstance(value, (set, frozenset)):
        return "|".join(sorted(map(str, value)))
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None if value is None or pd.isna(value) else str(value)


def _said(frame: pd.DataFrame, title: Title) -> dict[str, Any]:
    """The title and how the result was found, as JSON knows it."""
    said: dict[str, Any] = json.loads(json.dumps({"title": both(title), **frame.attrs}, default=_json_value))
    return said


def _json_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


def _geojson(frame: gpd.GeoDataFrame, title: Title) -> str:
    """RFC 7946, with the title and the ``attrs`` as the foreign member ``fieldkit``."""
    plain = _plain(frame)
    outlines = shapely.to_geojson(_rounded(plain.geometry))
    table = plain.drop(columns=plain.active_geometry_name)
    for name in table.columns:
        if pd.api.types.is_datetime64_any_dtype(table[name]):
            table[name] = [None if pd.isna(value) else value.isoformat() for value in table[name]]
    features = [
        f'{{"type":"Feature","properties":{_json(row)},"geometry":{outline or "null"}}}'
        for row, outline in zip(table.to_dict(orient="records"), outlines, strict=True)
    ]
    head = f'{{"type":"FeatureCollection","fieldkit":{_json(_said(frame, title))},"features":[\n'
    return head + ",\n".join(features) + "\n]}\n"


def _rounded(shapes: gpd.GeoSeries) -> np.ndarray[Any, Any]:
    # A ten-millionth of a degree is a centimetre.
    result: np.ndarray[Any, Any] = shapely.transform(shapes.to_numpy(), lambda points: points.round(7))
    return result


def _json(values: Mapping[Any, Any]) -> str:
    known = {name: _finite(value) for name, value in values.items()}
    return json.dumps(known, ensure_ascii=False, default=_json_value, separators=(",", ":"))


def _finite(value: Any) -> Any:
    return None if isinstance(value, (float, np.floating)) and not math.isfinite(value) else value


def _csv(frame: pd.DataFrame) -> str:
    """A table for spreadsheets: points become lon and lat, other geometry is left out, text is no formula."""
    plain = _plain(frame)
    geometry = getattr(frame, "active_geometry_name", None)
    if geometry is not None:
        plain = pd.DataFrame(plain.drop(columns=geometry))
    for name in plain.columns:
        if pd.api.types.is_string_dtype(plain[name]):
            plain[name] = plain[name].map(protect, na_action="ignore")
    numbered = isinstance(frame.index, pd.RangeIndex)
    buffer = io.StringIO()
    plain.to_csv(buffer, index=not numbered, lineterminator="\r\n")
    return buffer.getvalue()


def _write_geopackage(frame: gpd.GeoDataFrame, out: Path, title: Title) -> None:
    said = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in _said(frame, title).items()
    }
    plain: Any = _plain(frame)
    plain = plain.rename(columns={name: f"{name}_" for name in plain.columns if str(name).lower() == "fid"})
    for name in plain.select_dtypes("datetimetz").columns:
        # GeoPackage knows times in UTC only.
        plain[name] = plain[name].dt.tz_convert("UTC")
    with replacing(out) as temporary:
        plain.to_file(temporary, driver="GPKG", engine="pyogrio", layer=out.stem, layer_metadata=said)


def _write_parquet(frame: pd.DataFrame, out: Path) -> None:
    plain = _plain(frame)
    plain.attrs = json.loads(json.dumps(frame.attrs, default=_json_value))
    try:
        with replacing(out) as temporary:
            plain.to_parquet(temporary)
    except ImportError:
        raise MapError(
            'Parquet needs the package pyarrow. Install it: pip install "fieldkit-casework[parquet]"'
        ) from None


def _write_page(
    frame: pd.DataFrame, out: Path, title: Title, areas: Areas | gpd.GeoDataFrame | None, language: str
) -> None:
    write_bytes(out, draw_map(title, _placed(frame, out), areas=areas, language=language).encode("utf-8"))


def _write_still(
    frame: pd.DataFrame, out: Path, title: Title, areas: Areas | gpd.GeoDataFrame | None, language: str
) -> None:
    write_bytes(out, still_result(_placed(frame, out), areas=areas, title=title, language=language))


_WRITERS: dict[str, Callable[[pd.DataFrame, Path, Title, Any, str], None]] = {
    ".html": _write_page,
    ".png": _write_still,
    ".geojson": lambda frame, out, title, *_: write_bytes(
        out, _geojson(_placed(frame, out), title).encode("utf-8")
    ),
    ".csv": lambda frame, out, *_: write_bytes(out, _csv(frame).encode("utf-8-sig")),
    ".gpkg": lambda frame, out, title, *_: _write_geopackage(_placed(frame, out), out, title),
    ".parquet": lambda frame, out, *_: _write_parquet(frame, out),
}

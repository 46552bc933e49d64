"""Read the ledger out into frames, column by column, without ever naming a complainant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import places
from fieldkit.errors import LedgerError
from fieldkit.events import microseconds
from fieldkit.ledger import tables

if TYPE_CHECKING:
    import geopandas as gpd

_CATEGORICAL = (
    "source",
    "channel",
    "precision",
    "category",
    "subcategory",
    "reported_type",
    "district",
    "community",
    "place_method",
    "relation",
    "state",
)
_TIMES = ("received_at", "occurred_at", "closed_at", "first_at", "last_at")
_FLOATS = ("lon", "lat", "place_score")

#: The columns of the complaints frame, before ``geometry``; the first two are the complaint's and the case's ids.
COLUMNS = (
    "complaint",
    "case",
    "number",
    "source",
    "channel",
    "received_at",
    "precision",
    "occurred_at",
    "closed_at",
    "category",
    "subcategory",
    "categories",
    "reported_type",
    "text",
    "translation",
    "address",
    "district",
    "community",
    "suspected_source",
    "place_method",
    "place_score",
    "needs_confirming",
    "lon",
    "lat",
    "cell",
    "relation",
    "state",
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which complaints: every filter given must hold; *since* is included, *until* is not, *near* is in metres."""

    category: str | None = None
    channel: str | None = None
    district: str | None = None
    since: date | datetime | None = None
    until: date | datetime | None = None
    case: str | None = None
    near: tuple[float, float, float] | None = None


def complaints_frame(
    connection: Connection, filters: Filters, columns: Iterable[str] | None, zone: ZoneInfo
) -> gpd.GeoDataFrame:
    """The complaints that pass *filters*, ordered by receipt, as a GeoDataFrame in EPSG:4326 with times in *zone*.

    Raises :class:`LedgerError` for a column that does not exist.
    """
    import geopandas as gpd

    wanted = _wanted(columns)
    complaint, case = tables.complaint, tables.case
    source: Any = complaint
    if "state" in wanted:
        source = complaint.join(case, case.c.id == complaint.c.case_id)
    selected = {name: _column(name) for name in wanted}
    for name in ("lon", "lat"):
        selected.setdefault(name, complaint.c[name])
    statement = (
        sa.select(*(column.label(name) for name, column in selected.items()))
        .select_from(source)
        .where(*_conditions(filters, zone))
        .order_by(complaint.c.received_at, complaint.c.id)
    )
    frame = _columnar(connection, statement, zone)
    if filters.near is not None:
        lon, lat, radius_m = filters.near
        inside = places.distances_m(lon, lat, frame["lon"].to_numpy(), frame["lat"].to_numpy()) <= radius_m
        frame = frame[inside].reset_index(drop=True)
    lons, lats = frame["lon"].to_numpy(), frame["lat"].to_numpy()
    geometry = gpd.points_from_xy(lons, lats)
    geometry[np.isnan(lons)] = None
    return gpd.GeoDataFrame(frame[list(wanted)], geometry=geometry, crs="EPSG:4326")


def cases_frame(connection: Connection, filters: Filters, zone: ZoneInfo) -> pd.DataFrame:
    """The cases that hold a complaint passing *filters*, newest complaint first; merged ones are left out."""
    case = tables.case
    statement = sa.select(case.c.id.label("case"), *(c for c in case.columns if c.name != "id")).where(
        case.c.state != "MERGED"
    )
    conditions = _conditions(filters, zone)
    if conditions:
        statement = statement.where(case.c.id.in_(sa.select(tables.complaint.c.case_id).where(*conditions)))
    return _columnar(connection, statement.order_by(case.c.last_at.desc(), case.c.id), zone)


def _wanted(columns: Iterable[str] | None) -> tuple[str, ...]:
    if columns is None:
        return COLUMNS
    wanted = tuple(columns)
    for name in wanted:
        if name not in COLUMNS:
            raise LedgerError(f"Complaints have no column {name!r}. Columns are: {', '.join(COLUMNS)}.")
    return wanted


def _column(name: str) -> Any:
    complaint = tables.complaint
    renamed = {"complaint": complaint.c.id, "case": complaint.c.case_id, "state": tables.case.c.state}
    return renamed[name] if name in renamed else complaint.c[name]


def _conditions(filters: Filters, zone: ZoneInfo) -> list[Any]:
    complaint = tables.complaint.c
    conditions: list[Any] = []
    for name in ("category", "channel", "district"):
        value = getattr(filters, name)
        if value is not None:
            conditions.append(complaint[name] == value)
    if filters.case is not None:
        conditions.append(complaint.case_id == filters.case)
    if filters.since is not None:
        conditions.append(complaint.received_at >= _microseconds(filters.since, zone))
    if filters.until is not None:
        conditions.append(complaint.received_at < _microseconds(filters.until, zone))
    if filters.near is not None:
        conditions.append(complaint.cell.in_(places.cells_within(*filters.near)))
    return conditions


def _microseconds(moment: date | datetime, zone: ZoneInfo) -> int:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min, zone)
    elif moment.utcoffset() is None:
        moment = moment.replace(tzinfo=zone)
    return microseconds(moment)


def _columnar(connection: Connection, statement: sa.Select[Any], zone: ZoneInfo) -> pd.DataFrame:
    names = [column.name for column in statement.selected_columns]
    parts: dict[str, list[Any]] = {name: [] for name in names}
    codes: dict[str, dict[str, int]] = {name: {} for name in names if name in _CATEGORICAL}
    result = connection.execution_options(stream_results=True, yield_per=20_000).execute(statement)
    for rows in result.partitions():
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            parts[name].append(_array(name, values, codes))
    return pd.DataFrame({name: _series(name, parts[name], codes, zone) for name in names})


def _array(name: str, values: tuple[Any, ...], codes: Mapping[str, dict[str, int]]) -> Any:
    if name in codes:
        known = codes[name]
        return np.fromiter(
            (-1 if not v else known.setdefault(v, len(known)) for v in values), "int32", len(values)
        )
    if name in _TIMES:
        missing = np.iinfo("int64").min  # what NumPy takes for "not a time"
        return np.fromiter((missing if v is None else v for v in values), "int64", len(values))
    if name in _FLOATS:
        return np.fromiter((np.nan if v is None else v for v in values), "float64", len(values))
    if name in ("complaints", "needs_confirming"):
        return np.array(values, dtype="int64" if name == "complaints" else "bool")
    return np.array(values, dtype="object")


def _series(name: str, arrays: list[Any], codes: Mapping[str, dict[str, int]], zone: ZoneInfo) -> Any:
    if name in codes:
        joined = np.concatenate(arrays) if arrays else np.empty(0, "int32")
        labels = sorted(codes[name])
        order = np.empty(len(labels) + 1, "int32")
        order[-1] = -1  # the code of a missing value indexes the last place
        for new, text in enumerate(labels):
            order[codes[name][text]] = new
        return pd.Categorical.from_codes(order[joined], categories=pd.Index(labels, dtype="str"))
    if name in _TIMES:
        joined = np.concatenate(arrays) if arrays else np.empty(0, "int64")
        return pd.DatetimeIndex(joined.view("datetime64[us]")).tz_localize("UTC").tz_convert(zone)
    if name in _FLOATS:
        return np.concatenate(arrays) if arrays else np.empty(0, "float64")
    if name in ("complaints", "needs_confirming"):
        return np.concatenate(arrays) if arrays else np.empty(0, "int64" if name == "complaints" else "bool")
    return pd.array(np.concatenate(arrays) if arrays else np.empty(0, "object"), dtype="str")

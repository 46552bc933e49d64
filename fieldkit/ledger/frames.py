"""Read the ledger out into frames, column by column, without ever naming a complainant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit import places, vocabulary
from fieldkit.errors import LedgerError
from fieldkit.events import kept, microseconds
from fieldkit.ledger import tables

if TYPE_CHECKING:
    import geopandas as gpd

_Columns = sa.ColumnCollection[str, Any]

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
_WHOLE = {"complaints": "int64", "needs_confirming": "bool"}
#: How many rows are turned into columns at a time.
_PART = 20_000
# Above this many metres a box of degrees finds the neighbourhood; so many cells would not fit into one statement.
_FEW_CELLS_M = 3_000.0

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
    connection: Connection,
    filters: Filters,
    columns: Iterable[str] | None,
    zone: ZoneInfo,
    as_of: int | None,
) -> gpd.GeoDataFrame:
    """The complaints that pass *filters*, ordered by receipt, as a GeoDataFrame in EPSG:4326 with times in *zone*.

    They are as they stood at *as_of* (microseconds since 1970 in UTC), or as they stand now.

    Raises :class:`LedgerError` for a column that does not exist.
    """
    import geopandas as gpd

    wanted = _wanted(columns)
    complaint = tables.known(tables.complaint, as_of)
    source: sa.FromClause = complaint
    renamed: dict[str, Any] = {"complaint": complaint.c.id, "case": complaint.c.case_id}
    if "state" in wanted:
        states = []
        for case, during in tables.known_parts(tables.case, as_of):
            source = source.outerjoin(case, sa.and_(case.c.id == complaint.c.case_id, *during))
            states.append(case.c.state)
        renamed["state"] = states[0] if len(states) == 1 else sa.func.coalesce(*states)
    selected = {name: renamed[name] if name in renamed else complaint.c[name] for name in wanted}
    for name in ("lon", "lat"):
        selected.setdefault(name, complaint.c[name])
    statement = (
        sa.select(*(column.label(name) for name, column in selected.items()))
        .select_from(source)
        .where(*_conditions(complaint.c, filters, zone))
        .order_by(complaint.c.received_at, complaint.c.id)
    )
    frame = _columnar(connection, statement, zone)
    if filters.near is not None:
        lon, lat, radius_m = filters.near
        inside = places.distances_m(lon, lat, frame["lon"].to_numpy(), frame["lat"].to_numpy()) <= radius_m
        frame = frame[inside].reset_index(drop=True)
        for name in set(_CATEGORICAL).intersection(frame.columns):
            frame[name] = frame[name].cat.remove_unused_categories()
    lons, lats = frame["lon"].to_numpy(), frame["lat"].to_numpy()
    geometry = gpd.points_from_xy(lons, lats)
    geometry[np.isnan(lons)] = None
    return gpd.GeoDataFrame(frame[list(wanted)], geometry=geometry, crs="EPSG:4326")


def cases_frame(
    connection: Connection,
    filters: Filters,
    zone: ZoneInfo,
    as_of: int | None,
    *,
    only_open: bool = False,
    limit: int | None = None,
) -> pd.DataFrame:
    """The cases that hold a complaint passing *filters*, newest complaint first; merged ones are left out.

    At most *limit* of them, and with *only_open* only those that are not closed. Raises :class:`LedgerError` for a
    limit below 0.
    """
    if limit is not None and limit < 0:
        raise LedgerError(f"The limit {limit} is not a number of cases. Give 0 or more, or None for all.")
    if filters == Filters():
        few = as_of is not None and limit is not None and _few_before(connection, as_of)
        statement = _all_cases(as_of is not None, limit is not None, only_open, few)
        given = {"as_of": as_of, "limit": limit}
        known = {name: value for name, value in given.items() if value is not None}
        return _columnar(connection, statement, zone, known)
    complaint = tables.known(tables.complaint, as_of)
    held = sa.select(complaint.c.case_id).where(*_conditions(complaint.c, filters, zone))
    # Of both parts of the past, looked for once.
    holding = held if as_of is None else sa.select(held.cte().c.case_id)

    def where(case: sa.Table) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = [case.c.id.in_(holding)]
        if filters.case is not None:
            found.append(case.c.id == kept(filters.case))  # which follows, but lets the database begin here
        return found

    return _columnar(connection, _cases(as_of, limit, only_open, where), zone)


@cache
def _all_cases(as_of: bool, limit: bool, only_open: bool, few: bool) -> sa.Select[Any]:
    """The statement without filters; made once, which takes longer than to read thirty cases."""
    moment = sa.bindparam("as_of", type_=sa.BigInteger) if as_of else None
    number = sa.bindparam("limit", type_=sa.Integer) if limit else None
    return _cases(moment, number, only_open, few=few)


def _cases(
    as_of: Any,
    limit: Any,
    only_open: bool,
    where: Callable[[sa.Table], list[sa.ColumnElement[bool]]] | None = None,
    *,
    few: bool = False,
) -> sa.Select[Any]:
    parts = []
    for case, known in tables.known_parts(tables.case, as_of):
        shown = [case.c[column.name] for column in tables.case.c if column.name not in ("id", "known_from")]
        part = sa.select(case.c.id.label("case"), *shown).where(*known)
        if where is not None:
            part = part.where(*where(case))
        if only_open:
            part = part.where(case.c.state != "CLOSED")
        if few and case is tables.case_before:
            # The limit cuts nothing off, but keeps SQLite from going by the order of the whole instead.
            parts.append(part.where(case.c.complaints > 0).limit(_FEW))
            continue
        # A merged case has no complaint, and so no last one; in these words the index of the last ones serves.
        part = part.where(case.c.last_at.is_not(None))
        if as_of is None or limit is None or where is not None:
            parts.append(_newest(part, limit))
            continue
        # What is known by then was received by then, so that nothing newer is stepped over; what a clock made an
        # exception of has an index of its own.
        received = part.where(case.c.last_at <= as_of)
        ahead = part.where(case.c.last_at > as_of, case.c.last_at > case.c.known_from)
        parts += [_newest(received, limit), _newest(ahead, limit)]
    if len(parts) == 1:
        return parts[0]
    # Each part gives its own newest, by its own index, before they are put together.
    both = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    return _newest(sa.select(both), limit)


def _few_before(connection: Connection, as_of: int) -> bool:
    """Whether so few earlier states were still known at *as_of* that to sort them is quicker than to look for them."""
    return len(connection.execute(_STILL_KNOWN, {"as_of": as_of}).all()) <= _FEW


_FEW = 300
_STILL_KNOWN = (
    sa.select(tables.case_before.c.known_until)
    .where(tables.case_before.c.known_until > sa.bindparam("as_of", type_=sa.BigInteger))
    .limit(_FEW + 1)
)


def _newest(cases: sa.Select[Any], limit: Any) -> sa.Select[Any]:
    columns = cases.selected_columns
    return cases.order_by(columns["last_at"].desc(), columns["case"]).limit(limit)


def _wanted(columns: Iterable[str] | None) -> tuple[str, ...]:
    if columns is None:
        return COLUMNS
    wanted = tuple(name for name in dict.fromkeys(columns) if name != "geometry")  # which is always there
    for name in wanted:
        if name not in COLUMNS:
            raise LedgerError(f"Complaints have no column {name!r}. Columns are: {', '.join(COLUMNS)}.")
    return wanted


def _conditions(complaint: _Columns, filters: Filters, zone: ZoneInfo) -> list[Any]:
    conditions: list[Any] = []
    if filters.category is not None:
        conditions.append(_category(complaint, filters.category))
    if filters.channel is not None:
        if filters.channel not in vocabulary.channels():
            known = ", ".join(vocabulary.channels())
            raise LedgerError(f"The channel {filters.channel!r} is not known. Use one of: {known}.")
        conditions.append(complaint.channel == filters.channel)
    if filters.district is not None:
        conditions.append(complaint.district == kept(filters.district))
    if filters.case is not None:
        conditions.append(complaint.case_id == kept(filters.case))
    if filters.since is not None:
        conditions.append(complaint.received_at >= _microseconds(filters.since, zone))
    if filters.until is not None:
        conditions.append(complaint.received_at < _microseconds(filters.until, zone))
    if filters.near is not None:
        conditions.append(_near(complaint, *filters.near))
    return conditions


def _category(complaint: _Columns, code: str) -> Any:
    if code in vocabulary.main_categories():
        return complaint.category == code
    if code not in vocabulary.categories():
        known = ", ".join(vocabulary.main_categories())
        raise LedgerError(
            f"The category {code!r} is not known. Use one of: {known}, or a finer one of theirs."
        )
    return (complaint.subcategory == code) | complaint.subcategory.startswith(f"{code}.", autoescape=True)


def _near(complaint: _Columns, lon: float, lat: float, radius_m: float) -> Any:
    places.check_lon_lat(lon, lat)
    if not radius_m >= 0:
        raise LedgerError(f"The radius {radius_m} is not a distance. Give metres, 0 or more.")
    if radius_m <= _FEW_CELLS_M:
        return complaint.cell.in_(places.cells_within(lon, lat, radius_m))
    # A little wider than the circle, whose complaints are told by their distance afterwards.
    d_lat = math.degrees(radius_m / places.EARTH_RADIUS_M) * 1.001
    box = complaint.lat.between(lat - d_lat, lat + d_lat)
    furthest = max(abs(lat - d_lat), abs(lat + d_lat))
    if furthest >= 90:
        return box
    ratio = math.sin(min(radius_m / places.EARTH_RADIUS_M, math.pi / 2)) / math.cos(math.radians(lat))
    d_lon = math.degrees(math.asin(min(1.0, ratio))) * 1.001
    if lon - d_lon < -180 or lon + d_lon > 180:
        return box
    return box & complaint.lon.between(lon - d_lon, lon + d_lon)


def _microseconds(moment: date | datetime, zone: ZoneInfo) -> int:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min, zone)
    elif moment.utcoffset() is None:
        moment = moment.replace(tzinfo=zone)
    return microseconds(moment)


def _columnar(
    connection: Connection,
    statement: sa.Select[Any],
    zone: ZoneInfo,
    given: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    names = [column.name for column in statement.selected_columns]
    columns = {name: _kind(name, zone) for name in names}
    for rows in _parts(connection, statement, given or {}):
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            columns[name].take(values)
    return pd.DataFrame({name: column.joined() for name, column in columns.items()}, copy=False)


def _parts(
    connection: Connection, statement: sa.Select[Any], given: Mapping[str, Any]
) -> Iterator[Sequence[Any]]:
    if connection.dialect.name == "sqlite":
        # The driver's own cursor: at a million rows SQLAlchemy's row objects take longer than the database.
        result = connection.execute(statement, given)
        while rows := result.cursor.fetchmany(_PART):
            yield rows
    else:
        yield from (
            connection.execution_options(stream_results=True, yield_per=_PART)
            .execute(statement, given)
            .partitions()
        )


def _kind(name: str, zone: ZoneInfo) -> _Column:
    if name in _CATEGORICAL:
        return _Labels()
    if name in _TIMES:
        return _Times(zone)
    if name in _FLOATS:
        return _Column("float64")
    if name in _WHOLE:
        return _Column(_WHOLE[name])
    return _Texts()


class _Column:
    """One column being read, part by part; the parts are small arrays, so that no row outlives its part."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._parts: list[Any] = [self._part(())]

    def take(self, values: tuple[Any, ...]) -> None:
        self._parts.append(self._part(values))

    def _part(self, values: tuple[Any, ...]) -> Any:
        return np.array(values, dtype=self._dtype)

    def joined(self) -> Any:
        parts, self._parts = self._parts, []
        return np.concatenate(parts)


class _Texts(_Column):
    def __init__(self) -> None:
        super().__init__("str")

    def _part(self, values: tuple[Any, ...]) -> Any:
        return pd.Series(np.array(values, dtype="object"), dtype="str")

    def joined(self) -> Any:
        parts, self._parts = self._parts, []
        return pd.concat(parts, ignore_index=True)


class _Times(_Column):
    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__("int64")
        self._zone = zone

    def _part(self, values: tuple[Any, ...]) -> Any:
        if None in values:
            missing = np.iinfo("int64").min  # what NumPy takes for "not a time"
            values = tuple([missing if value is None else value for value in values])
        return super()._part(values)

    def joined(self) -> Any:
        moments = super().joined().view("datetime64[us]")
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(self._zone)


class _Labels(_Column):
    """A column with few different texts; an empty text is a missing value."""

    def __init__(self) -> None:
        self._codes: dict[str | None, int] = {None: -1, "": -1}
        super().__init__("int32")

    def _part(self, values: tuple[Any, ...]) -> Any:
        codes = self._codes
        for value in set(values) - codes.keys():
            codes[value] = len(codes) - 2
        return super()._part(tuple([codes[value] for value in values]))

    def joined(self) -> Any:
        labels = sorted(label for label in self._codes if label)
        order = np.empty(len(labels) + 1, "int32")
        order[-1] = -1  # the code of a missing value indexes the last place
        for new, label in enumerate(labels):
            order[self._codes[label]] = new
        return pd.Categorical.from_codes(order[super().joined()], categories=pd.Index(labels, dtype="str"))

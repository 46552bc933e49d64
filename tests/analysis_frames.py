"""Small frames of complaints for the tests of the analyses."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

#: Text as the public may write it; none of it may be taken for code, a formula or a separator.


def frame_of(lons: Any, lats: Any, *, zone: str = "Asia/Shanghai", **columns: Any) -> gpd.GeoDataFrame:
    """Complaints at the given points, received an hour apart from 2017-06-01 on; further columns as given."""
    lons, lats = np.asarray(lons, dtype=float), np.asarray(lats, dtype=float)
    start = pd.Timestamp("2017-06-01 00:30", tz=zone)
    values = {
        "complaint": [f"C{i:011d}" for i in range(len(lons))],
        "received_at": (start + pd.to_timedelta(np.arange(len(lons)), unit="h")).as_unit("us"),
        "category": pd.Categorical(["noise"] * len(lons), categories=["air", "noise", "water"]),
        "lon": lons,
        "lat": lats,
        **columns,
    }
    points = gpd.points_from_xy(lons, lats)
    points[np.isnan(lons)] = None
    frame = gpd.GeoDataFrame(values, geometry=points, crs="EPSG:4326")
    frame.attrs = {"data_version": "abc123", "time_zone": zone}
    return frame


def town(seed: int = 7, *, background: int = 300, extra: int = 60) -> gpd.GeoDataFrame:
    """Complaints all over a town of about 9 × 9 km in Guangyuan, with *extra* more within 400 m of (105.83, 32.44)."""
    generator = np.random.default_rng(seed)
    lons = generator.uniform(105.78, 105.88, background)
    lats = generator.uniform(32.40, 32.48, background)
    lons = np.concatenate([lons, 105.83 + generator.uniform(-0.004, 0.004, extra)])
    lats = np.concatenate([lats, 32.44 + generator.uniform(-0.0036, 0.0036, extra)])
    community = np.where((abs(lons - 105.83) < 0.006) & (abs(lats - 32.44) < 0.005), "821 Community", "")
    return frame_of(
        lons,
        lats,
        community=pd.Categorical(
            np.where(community == "", None, community), categories=["821 Community", "unused"]
        ),
        district=pd.Categorical(["Lizhou"] * len(lons), categories=["Lizhou", "unused"]),
        address=[f"{i} Riverside Road" for i in range(len(lons))],
    )

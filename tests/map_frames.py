"""Small frames that look like the results of analyses, for the tests of maps; places are made up."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import shapely

CENTRE = (105.83, 32.43)

#: Text as people and files bring it; none of it may be run, and all of it is shown as it is.
HOSTILE = [
    "{{7*7}}",
    "{{ 7 * 7 }}",
    "{% set x=1 %}{{x}}",
    "{% for i in (7,) %}{{i*7}}{% endfor %}",
    "{# a comment #}",
    "{{ ''.__class__ }}",
    "${7*7}",
    "${alert(1)}",
    "#{7*7}",
    "<%= 7*7 %>",
    "`${alert(1)}`",
    "`",
    "';alert(1);//",
    '";alert(1);//',
    "\\';alert(1);//",
    "</script><script>alert(1)</script>",
    "</SCRIPT ><script>alert(1)</script>",
    "<script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "]]>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<iframe src=javascript:alert(1)>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<a href=javascript:alert(1)>press</a>",
    "<style>@import url(https://example.org/x.css)</style>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<meta http-equiv=refresh content=0;url=https://example.org>",
    "<base href=https://example.org/>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cimg src=x onerror=alert(1)\\u003e",
    "\\x3cimg src=x onerror=alert(1)\\x3e",
    "\u2028alert(1)\u2029",
    "javascript:alert(1)",
    "C:\\new\\table",
    "=1+1",
    "#strong[x]",
    "$x$ $\\frac{1}{0}$",
    "__proto__",
    "constructor",
    "مرحبا \u202eabc",
    "夜间噪声😀扰民",
    "a\x00b\x07c",
]

#: Half of a character, as damaged files have it; a column of text cannot hold it, a string can.
LONE_SURROGATE = "\ud800 lone"


def cells(names: list[str] | None = None, **attrs: Any) -> gpd.GeoDataFrame:
    """The result of an analysis of hot spots: 37 cells, the middle 7 hot, named by turns with *names*."""
    middle = h3.latlng_to_cell(CENTRE[1], CENTRE[0], 8)
    inner = set(h3.grid_disk(middle, 1))
    found = sorted(h3.grid_disk(middle, 3))
    hot = np.array([cell in inner for cell in found])
    named = iter((names or ["821社区", "皇都第一社区"]) * 37)
    frame = gpd.GeoDataFrame(
        {
            "cell": found,
            "complaints": np.where(hot, 12, 1)
            * np.array([h3.grid_distance(cell, middle) < 3 for cell in found]),
            "neighbours": 6,
            "z_score": np.where(hot, 4.25, -0.3),
            "p_value": np.where(hot, 0.00002, 0.6),
            "q_value": np.where(hot, 0.0004, 0.9),
            "hot": hot,
            "name": [next(named) if is_hot else "" for is_hot in hot],
            "district": pd.Categorical(["利州区"] * len(found)),
        },
        geometry=[shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]) for cell in found],
        crs="EPSG:4326",
    )
    frame.attrs = {
        "method": "Getis-Ord Gi*",
        "parameters": {"alpha": 0.05, "rings": 1},
        "tests": len(frame),
        "correction": "Benjamini-Hochberg",
        "source": "Getis and Ord 1992",
        "data_version": "abc123",
        "sentence": "Complaints concentrate here; that is no proof of a cause.",
        "sentence_zh": "投诉在此集中，但不证明原因。",
        **attrs,
    }
    return frame


def complaints(count: int = 40, texts: list[str] | None = None) -> gpd.GeoDataFrame:
    """Complaints as a workspace gives them, the last two without a place."""
    rng = np.random.default_rng(7)
    lon, lat = CENTRE[0] + rng.normal(0, 0.004, count), CENTRE[1] + rng.normal(0, 0.003, count)
    lon[-2:] = lat[-2:] = np.nan
    times = pd.date_range("2017-03-01", periods=count, freq="31h", tz="Asia/Shanghai")
    points = [None if np.isnan(x) else shapely.Point(x, y) for x, y in zip(lon, lat, strict=True)]
    words = texts or ["利州区东坝街道"]
    return gpd.GeoDataFrame(
        {
            "complaint": [f"C{number:011d}" for number in range(count)],
            "case": "AAAAAAAAAAAA",
            "category": pd.Categorical(rng.choice(["noise", "air", "water"], count)),
            "channel": pd.Categorical(["telephone"] * count),
            "received_at": times,
            "precision": pd.Categorical(["second"] * (count - 1) + ["month"]),
            "address": [words[number % len(words)] for number in range(count)],
            "community": pd.Categorical([words[number % len(words)] for number in range(count)]),
            "lon": lon,
            "lat": lat,
        },
        geometry=points,
        crs="EPSG:4326",
    )


def places(names: list[str] | None = None) -> gpd.GeoDataFrame:
    """The result of an analysis of repeats or clusters: places with a count."""
    names = names or ["821社区变压器", "皇都第一社区配电房"]
    count = len(names)
    lon = CENTRE[0] + 0.003 * np.arange(count)
    return gpd.GeoDataFrame(
        {
            "name": names,
            "complaints": np.arange(count, 0, -1) + 2,
            "cases": pd.array([None] + [1] * (count - 1), dtype="Int64"),
            "first_at": pd.date_range("2017-01-01", periods=count, tz="Asia/Shanghai"),
            "channels": "telephone|online",
            "category": "noise",
            "complaint_ids": [("A", "B")] * count,
        },
        geometry=gpd.points_from_xy(lon, np.full(count, CENTRE[1])),
        crs="EPSG:4326",
    )


def districts(names: tuple[str, str] = ("利州区", "昭化区")) -> gpd.GeoDataFrame:
    """Two districts side by side, the border running through the middle."""
    lon, lat = CENTRE
    boxes = [
        shapely.box(lon - 0.3, lat - 0.2, lon, lat + 0.2),
        shapely.box(lon, lat - 0.2, lon + 0.3, lat + 0.2),
    ]
    return gpd.GeoDataFrame(
        {"name": list(names), "name_en": ["Lizhou", "Zhaohua"]}, geometry=boxes, crs="EPSG:4326"
    )

"""Hot spots as a meeting speaks of them: the hot cells of one name that hang together are one place."""

from __future__ import annotations

from typing import Any

import h3.api.basic_str as h3
import pandas as pd

from fieldkit.dashboards.panels import rows_of


def with_spots(hot: pd.DataFrame) -> pd.DataFrame:
    """The hot cells of :func:`~fieldkit.analysis.hotspots.find_hotspots` with a column ``spot``: the place of each.

    Cells of one name are one place when a chain of touching hot cells, of whatever name, leads from one to the other:
    a street's name may return at the other end of the city. A spot is called by its cell with most complaints.
    """
    ranked = hot.sort_values(["complaints", "q_value", "cell"], ascending=[False, True, True])
    patch = _patches(ranked["cell"].tolist())
    spots: dict[tuple[int, str], str] = {}
    of_cell = {
        cell: spots.setdefault((patch[cell], str(name)), str(cell))
        for cell, name in zip(ranked["cell"], ranked["name"], strict=True)
    }
    return hot.assign(spot=hot["cell"].map(of_cell).astype(object))


def _patches(cells: list[str]) -> dict[str, int]:
    """The number of the patch of touching *cells* that each belongs to."""
    waiting, patch = dict.fromkeys(cells), dict[str, int]()
    while waiting:
        number, edge = len(patch), [waiting.popitem()[0]]
        while edge:
            cell = edge.pop()
            patch[cell] = number
            for beside in h3.grid_disk(cell, 1):
                if beside in waiting:
                    del waiting[beside]
                    edge.append(beside)
    return patch


def spots_of(hot: pd.DataFrame) -> pd.DataFrame:
    """One row a spot, most complaints first: ``spot``, ``name``, ``cells``, ``complaints``, smallest ``q_value``."""
    grouped = hot.groupby("spot", sort=False)
    table = pd.DataFrame(
        {
            "name": grouped["name"].first(),
            "cells": grouped.size(),
            "complaints": grouped["complaints"].sum(),
            "q_value": grouped["q_value"].min(),
        }
    ).reset_index()
    return table.sort_values(
        ["complaints", "q_value", "spot"], ascending=[False, True, True], ignore_index=True
    )


def cells_to_draw(hot: pd.DataFrame, names: dict[str, str]) -> list[dict[str, Any]]:
    """The hot cells for the map: ring, q, the spot that a click lists, and what stands beside the mouse."""
    return [
        {
            "id": str(row.cell),
            "spot": str(row.spot),
            "ring": [[round(x, 6), round(y, 6)] for x, y in row.geometry.exterior.coords],
            "q": float(row.q_value),
            "label": f"{names[row.spot]} · {int(row.complaints):,} · q = {row.q_value:.4f}",
        }
        for row in rows_of(hot)
    ]

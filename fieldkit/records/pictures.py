"""The pictures of a record: the place with its neighbours, and the rhythm of complaints."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from fieldkit import fonts
from fieldkit.errors import MapError
from fieldkit.records.parts import both, wordings

if TYPE_CHECKING:
    import pandas as pd

    from fieldkit.records.investigation import Investigation


def draw_place(found: Investigation) -> bytes:
    """Draw the place of a case and the earlier complaints around it as a PNG of 170 x 88 mm.

    Raises :class:`~fieldkit.errors.MapError` when the case has no place or the radius is none.
    """
    from fieldkit.maps import still_map

    place = found.case.place
    if place is None:
        raise MapError(f"The case {found.case.number} has no place. Confirm one, then draw the map.")
    own: Any = found.complaints[found.complaints["case"] == found.case.id]
    around: Any = found.neighbours
    name = found.case.first.suspected_source or found.case.community or found.case.address
    return still_map(
        own,
        centre=(place.lon, place.lat),
        radius_m=found.radius_m,
        areas=found.workspace.areas(),
        others=None if around.empty else around,
        names=[(name, place.lon, place.lat)] if name else [],
        language=found.language,
        size_mm=(170.0, 88.0),
    )


def draw_rhythm(counts: pd.DataFrame, language: str) -> bytes:
    """Draw a table of 7 weekdays by 24 hours as a PNG of 165 x 62 mm, the night (22 to 6 h) marked at its edges."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    from fieldkit.analysis.rhythm import SHORT_WEEKDAYS

    fonts.register_with_matplotlib()
    values = counts.to_numpy()
    highest = int(values.max())
    figure = Figure(figsize=(165 / 25.4, 62 / 25.4), dpi=200, layout="constrained")
    axes: Any = figure.subplots()
    shades = LinearSegmentedColormap.from_list("calm", ["#f3f6f8", "#7fb0be", "#1b5e73", "#0d2f3d"])
    axes.imshow(values, cmap=shades, vmin=0, vmax=max(1, highest), aspect="auto")
    for day in range(7):
        for hour in range(24):
            if count := int(values[day, hour]):
                ink = "white" if count > 0.45 * highest else "#1f2933"
                axes.text(hour, day, str(count), ha="center", va="center", fontsize=6.5, color=ink)
    for edge in (5.5, 21.5):
        axes.axvline(edge, color="#b7791f", linewidth=1)
    days = [" ".join(filter(None, wordings(both(zh, en), language))) for zh, en in SHORT_WEEKDAYS]
    axes.set_yticks(range(7), days, fontsize=7.5)
    axes.set_xticks(range(0, 24, 2), [f"{hour:02d}" for hour in range(0, 24, 2)], fontsize=7.5)
    under = both("时（两条竖线之外为夜间 22–6 时）", "hour (outside the two lines is the night, 22 to 6 h)")
    axes.set_xlabel("  ".join(filter(None, wordings(under, language))), fontsize=7.5, color="#5d6b78")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([hour + 0.5 for hour in range(23)], minor=True)
    axes.set_yticks([day + 0.5 for day in range(6)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()

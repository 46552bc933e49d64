"""The symposium dashboard: where, when and through which channel people complain, for a room with a projector."""

from __future__ import annotations

import hashlib
import re
import traceback
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fieldkit.dashboards import panels
from fieldkit.dashboards.alarms import evidence_alarms
from fieldkit.dashboards.board import Board, changed_traits
from fieldkit.dashboards.panels import Panel, words
from fieldkit.dashboards.point_map import MOST_POINTS, bounds_of
from fieldkit.dashboards.selection import Choice, CodedComplaints
from fieldkit.dashboards.spots import cells_to_draw, spots_of, with_spots
from fieldkit.errors import FieldkitError
from fieldkit.files import make_folder

if TYPE_CHECKING:
    from fieldkit.workspace import Workspace

#: What a dashboard reads of each complaint. Texts, the heaviest columns, are read when a list is opened.
COLUMNS = (
    "complaint", "case", "number", "channel", "received_at", "precision", "occurred_at", "category", "subcategory",
    "address", "district", "community", "suspected_source", "lon", "lat", "cell",
)  # fmt: skip

#: As many as a saved analysis takes: with fewer, no cell of a large city could pass the correction for many tests.
PERMUTATIONS = 99_999

#: Among more complaints than this nearly every street of a city is part of some cluster: filter first.
MOST_CLUSTERED = 100_000

#: A list shows so many complaints, the newest.
LONGEST_LIST = 60

#: Answers kept, so that going back to a filter is immediate.
_KEPT = 32

#: So many clusters, the largest, are drawn, and so many of them carry their name: more would cover the map.
_RINGS = 40
_NAMED = 3

_CASE = re.compile(r"[A-Z2-7]{12}")


def symposium(
    ws: Workspace, *, permutations: int = PERMUTATIONS, as_of: date | datetime | None = None
) -> Board:
    """The symposium dashboard of the workspace *ws*, as a widget for Voila or JupyterLab.

    Filters for category, channel, district and period change every panel: the headline, the map of hot spots and
    clusters, counts by channel and category against the same period a year before, the rhythm by weekday and hour,
    and the places with most complaints. A click on a hot spot, cluster, point or place lists its complaints, and a
    case's record opens from there. *permutations* is the number behind the hot spots' significance. With *as_of* the
    page shows what was known at that moment, or at the end of that day, and says so beside its title.

    A panel that cannot be computed says so in a sentence; details go to ``dashboard.log`` in the workspace's
    ``out`` folder.
    """
    return Symposium(ws.at(as_of), permutations=permutations, wait_for_page=True).board


class Symposium:
    """The state behind one viewer's symposium page: the complaints, the present choice and the board it is shown on.

    With *wait_for_page* the first analyses are made when the page says that it is there, so that it shows its figures
    without waiting for them.
    """

    def __init__(
        self, ws: Workspace, *, permutations: int = PERMUTATIONS, wait_for_page: bool = False
    ) -> None:
        self.ws = ws
        self.wait_for_page = wait_for_page
        self.permutations = permutations
        self.board = Board(title=self._title(), language=ws.settings.language)
        self._analysed: OrderedDict[Choice, dict[str, Any]] = OrderedDict()
        self._known_names: dict[str, frozenset[str]] = {}
        try:
            self.data = CodedComplaints(ws.complaints(columns=COLUMNS))
        except FieldkitError as error:
            self._log("the ledger")
            self.board.status = _problem(error)
            return
        if not len(self.data):
            self.board.status = words(
                "台账中还没有投诉。请先运行：fieldkit import 文件",
                "The ledger holds no complaints yet. Run: fieldkit import FILE",
            )
            return
        self._open()

    def _title(self) -> str:
        if self.ws.as_of is None:
            return self.ws.settings.title
        until = " ".join(self._say(words("截至", "as of")).split())
        return f"{self.ws.settings.title} · {until} {self.ws.as_of_text}"

    def _open(self) -> None:
        periods = panels.period_options(self.data)
        start = panels.opening_period(self.data, periods)
        board = self.board
        board.options = panels.filter_options(self.data) | {"period": periods}
        board.chosen = {"serial": 0, "since": start["since"], "until": start["until"]}
        board.whole = bounds_of(self.data.lon, self.data.lat)
        self._guarded("areas", lambda: board.show_areas(self.ws.areas()))
        self._show(choice_of(board.chosen))
        if not self.wait_for_page:
            self._finish(0)
        board.observe(lambda change: self.choose(change["new"]), "chosen")
        board.observe(lambda change: self._clicked(change["new"]), "clicked")

    # What the filters leave ------------------------------------------------------------------------------------

    def choose(self, chosen: dict[str, Any]) -> None:
        """Show what the filters in *chosen* leave: first what is quickly counted, then what has to be analysed."""
        self._show(choice_of(chosen))
        serial = chosen.get("serial", 0)
        self._finish(serial if isinstance(serial, int) else 0)

    def _show(self, choice: Choice) -> None:
        self.choice = choice
        self.mask = self.data.mask(choice)
        quick = self._guarded("counts", lambda: self._counted(choice)) or {}
        with self.board.hold_sync():
            self.board.panels = {**self.board.panels, **quick}
            self.board.detail, self.board.marked = {}, ""
            self._guarded("points", self._show_points)

    def _finish(self, serial: int) -> None:
        results = self._analyse(self.choice)
        changed_traits(self.board, self._drawn(results) | {"answered": serial})

    def _counted(self, choice: Choice) -> dict[str, Any]:
        data, mask, earlier = self.data, self.mask, choice.year_before
        before_mask = data.mask(earlier) if data.covers(earlier) else None
        before = None if before_mask is None else int(before_mask.sum())

        def counts(codes: Any) -> tuple[dict[str, int], dict[str, int] | None]:
            return codes.count(mask), None if before_mask is None else codes.count(before_mask)

        return {
            "headline": self._panel("headline", lambda: panels.headline(data, mask, before)),
            "channels": self._panel(
                "channels", lambda: {"rows": panels.by_channel(*counts(data.channel), choice.channel)}
            ),
            "categories": self._panel(
                "categories", lambda: {"rows": panels.by_category(*counts(data.category))}
            ),
            "rhythm": self._panel("rhythm", lambda: panels.rhythm(*data.rhythm(mask))),
        }

    def _show_points(self) -> None:
        self._rows = np.flatnonzero(self.mask & self.data.located)
        self.board.show_points(self.data.lon[self._rows], self.data.lat[self._rows])

    # What has to be analysed -----------------------------------------------------------------------------------

    def _analyse(self, choice: Choice) -> dict[str, Any]:
        if choice in self._analysed:
            self._analysed.move_to_end(choice)
            return self._analysed[choice]
        frame = self.data.frame[self.mask]
        results = {
            "hotspots": self._panel("hot spots", lambda: self._hotspots(frame)),
            "clusters": self._panel("clusters", lambda: self._clusters(frame)),
            "places": self._panel("places", lambda: self._places(frame)),
        }
        self._analysed[choice] = results
        if len(self._analysed) > _KEPT:
            self._analysed.popitem(last=False)
        return results

    def _hotspots(self, frame: pd.DataFrame) -> Panel:
        from fieldkit.analysis.hotspots import find_hotspots

        found = find_hotspots(frame, permutations=self.permutations)
        hot = with_spots(found[found["hot"]].sort_values("q_value", kind="stable"))
        spots = spots_of(hot)
        spots["name"] = spots["name"].map(self._place_name)
        rows = panels.hot_spots(spots, self.ws.settings.language)
        return {"frame": hot, "tested": len(found), "spots": spots, "rows": rows}

    def _clusters(self, frame: pd.DataFrame) -> Panel:
        if len(frame) > MOST_CLUSTERED:
            return {"too_many": True}
        from fieldkit.analysis.clusters import find_clusters

        found = find_clusters(frame)
        found["name"] = found["name"].map(self._place_name)
        return {"frame": found}

    def _places(self, frame: pd.DataFrame) -> Panel:
        from fieldkit.analysis.repeats import rank_places

        ranked = rank_places(frame, top=12)
        ranked["name"] = ranked["name"].map(self._place_name)
        return {"frame": ranked, "rows": panels.places(ranked, self.data.known_to)}

    def _drawn(self, results: dict[str, Any]) -> dict[str, Any]:
        hot, clusters = results["hotspots"].get("frame"), results["clusters"].get("frame")
        bounds = self._bounds(hot, clusters)
        return {
            "cells": [] if hot is None else self._cells(results["hotspots"]),
            "clusters": [] if clusters is None else _rings(clusters),
            "legend": self._legend(results),
            "panels": {**self.board.panels, **_without_frames(results)},
            **({"bounds": bounds} if bounds else {}),
        }

    def _cells(self, hotspots: Panel) -> list[dict[str, Any]]:
        spots = hotspots["spots"]
        return cells_to_draw(hotspots["frame"], dict(zip(spots["spot"], spots["name"], strict=True)))

    def _place_name(self, name: str) -> str:
        """*name*, with the word for what it is when it is a bare number: "43" may be the 43rd community."""
        if not name.isdigit():
            return name
        for column, word in (
            ("community", words("社区", "community")),
            ("district", words("区", "district")),
        ):
            if name in self._names_in(column):
                return " ".join([*self._say(word).split(), name])
        return name

    def _names_in(self, column: str) -> frozenset[str]:
        if column not in self._known_names:
            values = self.data.frame[column].dropna().unique() if column in self.data.frame else ()
            self._known_names[column] = frozenset(map(str, values))
        return self._known_names[column]

    def _bounds(self, hot: Any, clusters: Any) -> list[list[float]]:
        lons: list[float] = []
        lats: list[float] = []
        if hot is not None and len(hot):
            corners = hot.bounds
            lons += [*corners["minx"], *corners["maxx"]]
            lats += [*corners["miny"], *corners["maxy"]]
        if clusters is not None:
            named = _largest(clusters).head(_NAMED)
            lons += named["lon"].tolist()
            lats += named["lat"].tolist()
        if lons:
            return bounds_of(lons, lats)
        return bounds_of(self.data.lon[self._rows], self.data.lat[self._rows], 0.9)

    def _legend(self, results: dict[str, Any]) -> list[dict[str, str]]:
        say = self._say
        rows = []
        if (hot := results["hotspots"].get("frame")) is not None:
            n = results["hotspots"]["tested"]
            strong, weak = (hot["q_value"] < 0.01).any(), (hot["q_value"] >= 0.01).any()
            if strong:
                text = words("极显著热点（错误发现率 < 1 %）", "hot spot, false discovery rate < 1 %")
                rows.append({"key": "hot1", "label": say(text)})
            if weak:
                text = words("显著热点（< 5 %）", "< 5 %")
                if not strong:
                    text = words("显著热点（错误发现率 < 5 %）", "hot spot, false discovery rate < 5 %")
                rows.append({"key": "hot2", "label": say(text)})
            if not len(hot):
                text = words(f"检验 {n:,} 格，无显著热点", f"{n:,} cells tested, none is hot")
                rows.append({"key": "none", "label": say(text)})
        else:
            rows.append({"key": "none", "label": say(results["hotspots"]["problem"])})
        if (clusters := results["clusters"].get("frame")) is not None and len(clusters):
            text = words("投诉聚集点", "cluster of complaints")
            if len(clusters) > _RINGS:
                text = words(
                    f"最大的 {_RINGS} 个投诉聚集点（共 {len(clusters):,} 个）",
                    f"the {_RINGS} largest of {len(clusters):,} clusters",
                )
            rows.append({"key": "cluster", "label": say(text)})
        if results["clusters"].get("too_many"):
            limit = f"{MOST_CLUSTERED:,}"
            hint = words(f"筛选到 {limit} 件以内时显示聚集点", f"clusters are shown below {limit} complaints")
            rows.append({"key": "none", "label": say(hint)})
        located, drawn = self._rows.size, self.board.drawn.size
        one = words("一点一件投诉", "one dot, one complaint")
        if drawn < located:
            share = f"{located / MOST_POINTS:.1f}"
            one = words(f"一点约 {share} 件", f"one dot, about {share} complaints")
        return [*rows, {"key": "point", "label": say(one)}] if located else rows

    def _say(self, wording: dict[str, str]) -> str:
        language = self.ws.settings.language
        return wording[language] if language in wording else f"{wording['zh']}  {wording['en']}".strip()

    # What was clicked ------------------------------------------------------------------------------------------

    def _clicked(self, what: dict[str, Any]) -> None:
        kind, key = what.get("kind"), what.get("id")
        if kind == "ready":
            if self.choice not in self._analysed:
                self._finish(0)
        elif kind == "font":
            self._guarded("font", self.board.send_font)
        elif kind == "record":
            self._guarded("record", lambda: self._open_record(str(key)))
        elif kind in ("hotspot", "cluster", "place", "point"):
            self._guarded("list", lambda: self._list(kind, key))

    def _list(self, kind: str, key: Any) -> None:
        title, rows = self.members(kind, key)
        rows = rows.iloc[::-1]
        shown = rows.head(LONGEST_LIST)
        listed = panels.complaint_rows(
            shown,
            self._texts(shown),
            self._has_record,
            evidence_alarms(self.ws, shown["case"].dropna().unique()),
        )
        with self.board.hold_sync():
            self.board.marked = str(key) if kind == "hotspot" else ""
            self.board.detail = {"kind": kind, "id": key, "title": title, "total": len(rows), "rows": listed}

    def members(self, kind: str, key: Any) -> tuple[str, pd.DataFrame]:
        """The name and the complaints, oldest first, of the hot spot, cluster, place or point *key*."""
        results = self._analysed[self.choice]
        if kind == "point":
            return self._at_point(int(self._rows[self.board.drawn[int(key)]]))
        chosen = self.data.frame[self.mask]
        if kind == "hotspot":
            hot, spots = results["hotspots"]["frame"], results["hotspots"]["spots"]
            spot = spots[spots["spot"] == key].iloc[0]
            cells = hot[hot["spot"] == key]
            many = words(f"（{len(cells)} 格）", f"({len(cells)} cells)")
            title = f"{spot['name']} {self._say(many)}" if len(cells) > 1 else str(spot["name"])
            return title, self._in_cells(cells)
        if kind == "cluster":
            found = results["clusters"]["frame"]
            row = found[found["cluster"].astype(str) == str(key)].iloc[0]
        else:
            row = results["places"]["frame"].iloc[int(key)]
        return str(row["name"]), chosen[chosen["complaint"].isin(_ids(row["complaint_ids"]))]

    def _in_cells(self, cells: pd.DataFrame) -> pd.DataFrame:
        from fieldkit.analysis.study_area import cells_at

        wanted = [int(cell, 16) for cell in cells["cell"]]
        corners = cells.bounds
        edge = (corners["maxy"] - corners["miny"]).max()
        lon, lat = self.data.lon, self.data.lat
        # Wider than the cells: a coarse cell's complaints are those of its fine cells, which reach over its edge.
        near = (
            self.mask
            & (lon > corners["minx"].min() - edge)
            & (lon < corners["maxx"].max() + edge)
            & (lat > corners["miny"].min() - edge)
            & (lat < corners["maxy"].max() + edge)
        )
        rows = self.data.frame[near]
        resolution = int(cells["cell"].iloc[0][1], 16)  # the second hexadecimal digit of an H3 index
        inside: pd.DataFrame = rows[np.isin(cells_at(rows.reset_index(drop=True), resolution), wanted)]
        return inside

    def _at_point(self, row: int) -> tuple[str, pd.DataFrame]:
        from fieldkit.places import distances_m

        at = self.data.frame.iloc[row]
        away = distances_m(self.data.lon[row], self.data.lat[row], self.data.lon, self.data.lat)
        name = next(
            (str(at[c]) for c in ("community", "address", "district") if c in at and _filled(at[c])), ""
        )
        return name, self.data.frame[self.mask & (away <= 30)]

    def _texts(self, rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
        columns = ("complaint", "text", "translation")
        if not len(rows):
            return {}
        if rows["lon"].notna().all():
            lon, lat = float(rows["lon"].mean()), float(rows["lat"].mean())
            radius = 50.0 + 111_320 * float(np.hypot(rows["lon"] - lon, rows["lat"] - lat).max())
            parts = [self.ws.complaints(near=(lon, lat, radius), columns=columns)] if radius < 5_000 else []
        else:
            parts = []
        parts = parts or [self.ws.complaints(case=case, columns=columns) for case in rows["case"].unique()]
        wanted = set(rows["complaint"])
        return {
            str(row.complaint): (str(row.text), str(row.translation))
            for part in parts
            for row in part[part["complaint"].isin(wanted)].itertuples(index=False)
        }

    # Records ---------------------------------------------------------------------------------------------------

    def _record_path(self, case: str) -> Any:
        if not _CASE.fullmatch(case):
            raise FieldkitError(f"{case!r} is not a case's id. Choose a case from the list.")
        return self.ws.settings.records / case / f"{case}.html"

    def _has_record(self, case: str) -> bool:
        path = self._record_path(case)
        if self.ws.as_of is None or not path.is_file():
            return bool(path.is_file())
        # It may have been written since, or written anew.
        record = self.ws.ledger.records(case).get(case, {})
        return bool(record.get("digests", {}).get("html") == hashlib.sha256(path.read_bytes()).hexdigest())

    def _open_record(self, case: str) -> None:
        path = self._record_path(case)
        numbers = self.data.frame["number"][(self.data.frame["case"] == case).to_numpy()]
        number = str(numbers.iloc[0]) if len(numbers) and _filled(numbers.iloc[0]) else case
        alarm = evidence_alarms(self.ws, [case]).get(case)
        if self._has_record(case):
            self.board.show_record(number, path.read_text(encoding="utf-8"), alarm)
            return
        if self.ws.as_of is not None:
            then = words(
                "当时的记录没有保存，或此后已重写。",
                "The record of that time is not kept, or was written anew since.",
            )
            self.board.say_in_place_of_record(number, then, alarm=alarm)
            return
        sentence = words(
            "此案还没有记录。在终端运行下面的命令即可生成：",
            "This case has no record yet. This command writes it:",
        )
        self.board.say_in_place_of_record(number, sentence, f"fieldkit records --case {case}", alarm)

    # What went wrong -------------------------------------------------------------------------------------------

    def _panel(self, name: str, make: Callable[[], Panel]) -> Panel:
        try:
            return make()
        except Exception as error:
            self._log(name)
            return {"problem": _problem(error)}

    def _guarded(self, name: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:
            self._log(name)
            self.board.status = _problem(error)
            return None

    def _log(self, name: str) -> None:
        try:
            make_folder(self.ws.settings.out)
            with (self.ws.settings.out / "dashboard.log").open("a", encoding="utf-8") as log:
                log.write(
                    f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {name}\n{traceback.format_exc()}\n"
                )
        except OSError:
            return  # a full disk must not take the page away either


def choice_of(chosen: dict[str, Any]) -> Choice:
    """The :class:`Choice` in what the page sent; what is no text or no date counts as not chosen."""
    texts = {
        name: value if isinstance(value := chosen.get(name), str) else ""
        for name in ("category", "channel", "district")
    }
    return Choice(**texts, since=_day(chosen.get("since")), until=_day(chosen.get("until")))


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _problem(error: Exception) -> dict[str, str]:
    if isinstance(error, FieldkitError):
        return words(f"无法计算：{error}", str(error))
    return words(
        "此项暂时无法显示，详情见日志 dashboard.log。",
        "This cannot be shown just now; details are in dashboard.log.",
    )


def _filled(value: Any) -> bool:
    return not pd.isna(value) and str(value) != ""


def _ids(joined: Any) -> set[str]:
    return set(joined.split("|")) if isinstance(joined, str) else {str(one) for one in joined}


def _without_frames(results: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in panel.items() if key not in ("frame", "spots")}
        for name, panel in results.items()
    }


def _rings(clusters: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.cluster),
            "at": [float(row.lon), float(row.lat)],
            "complaints": int(row.complaints),
            "label": f"{row.name} · {int(row.complaints):,}",
            "named": place < _NAMED,
        }
        for place, row in enumerate(panels.rows_of(_largest(clusters).head(_RINGS)))
    ]


def _largest(clusters: pd.DataFrame) -> pd.DataFrame:
    return clusters.sort_values("complaints", ascending=False, kind="stable")

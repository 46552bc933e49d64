"""The symposium's figures against pandas, its lists, its refusals, and what the notebook and template carry."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import h3.api.basic_str as h3
import numpy as np
import pandas as pd
import pytest
from hostile_texts import HOSTILE
from shapely import Point

from fieldkit.analysis.rhythm import count_rhythm
from fieldkit.complaints import Complaint
from fieldkit.dashboards import panels
from fieldkit.dashboards.point_map import MOST_POINTS, PointMap, area_outlines, bounds_of
from fieldkit.dashboards.selection import NONE, Choice, CodedComplaints, group_of, in_group
from fieldkit.dashboards.spots import spots_of, with_spots
from fieldkit.dashboards.symposium import COLUMNS, Symposium, choice_of
from fieldkit.events import RECORD_WRITTEN, Fact
from fieldkit.ledger import Receipt
from fieldkit.places import Areas, Place
from fieldkit.workspace import Workspace

ROOT = Path(__file__).parents[1]


@pytest.fixture
def page(sample: Workspace) -> Symposium:
    return Symposium(sample, permutations=999)


def everything(page: Symposium, **more: object) -> dict[str, object]:
    return {"since": "2016-01-01", "until": "2017-12-31", "serial": 1, **more}


@pytest.mark.parametrize(
    ("chosen", "query"),
    [
        ({}, "complaint == complaint"),
        ({"category": "noise"}, "category == 'noise'"),
        ({"category": NONE}, "category.isna()"),
        ({"channel": "wechat"}, "channel == 'wechat'"),
        ({"channel": in_group("online")}, "channel in ['web', 'wechat']"),
        ({"district": "东区"}, "district == '东区'"),
        ({"since": "2017-02-01", "until": "2017-07-31"}, "'2017-02-01' <= day <= '2017-07-31'"),
        (
            {"category": "noise", "channel": "visit", "since": "2017-07-01"},
            "category == 'noise' and channel == 'visit' and day >= '2017-07-01'",
        ),
        ({"category": "no-such"}, "category == 'no-such'"),
    ],
)
def test_a_filter_leaves_what_pandas_says(page: Symposium, sample: Workspace, chosen, query):
    frame = sample.complaints()
    frame["day"] = frame["received_at"].dt.strftime("%Y-%m-%d")
    expected = frame.query(query, engine="python")
    page.choose(everything(page, **chosen))
    figures = page.board.panels["headline"]["figures"]
    assert figures[0]["value"] == f"{len(expected):,}"
    assert figures[2]["value"] == f"{expected['case'].nunique():,}"
    assert figures[3]["value"] == f"{expected['lon'].notna().sum():,}"
    bars = {row["key"]: row["now"] for row in page.board.panels["categories"]["rows"]}
    counted = expected["category"].astype(object).fillna(NONE).value_counts()
    assert {key: count for key, count in bars.items() if count} == counted.to_dict()
    assert sum(row["now"] for row in page.board.panels["channels"]["rows"] if row["level"] == 0) == len(
        expected
    )
    rhythm = np.array([row["cells"] for row in page.board.panels["rhythm"]["rows"]])
    assert (rhythm == count_rhythm(expected).to_numpy()).all()
    assert len(page.board.points) == 8 * expected["lon"].notna().sum()
    assert page.board.answered == 1


def test_the_year_before_is_the_same_days_a_year_earlier(page: Symposium, sample: Workspace):
    frame = sample.complaints()
    page.choose({"since": "2017-02-01", "until": "2017-10-31"})
    before = frame[(frame.received_at >= "2016-02-01") & (frame.received_at < "2016-11-01")]
    assert page.board.panels["headline"]["figures"][1]["value"] == str(len(before))
    bars = {row["key"]: row["before"] for row in page.board.panels["categories"]["rows"]}
    assert bars["air"] == (before["category"] == "air").sum()


def test_a_ledger_that_does_not_reach_back_is_not_compared_with(page: Symposium):
    page.choose({"since": "2016-01-01", "until": "2016-12-31"})
    assert page.board.panels["headline"]["figures"][1]["value"] == "–"
    assert {row["before"] for row in page.board.panels["channels"]["rows"]} == {None}


def test_leap_days_and_changes():
    assert Choice(since=date(2016, 2, 29)).year_before.since == date(2015, 2, 28)
    assert panels.change_text(15, 10) == "+50 %"
    assert panels.change_text(95, 100) == "-5.0 %"
    assert panels.change_text(3, 0) == ""
    assert panels.change_text(3, 3) == "0 %"


def test_it_says_that_categories_do_not_add_up():
    frame = pd.DataFrame({"category": ["noise"] * 686 + [None] * 6})
    data = panels.Codes.of(frame, "category")
    sentence = panels.category_sentence(data, np.ones(692, dtype=bool))
    assert sentence["en"].startswith("686 of 692 carry a category; 6 have none.")
    assert sentence["zh"].startswith("692 件中 686 件有类别，6 件无类别")
    assert panels.category_sentence(data, np.arange(692) < 686) is None


def test_what_is_clicked_is_listed(page: Symposium, sample: Workspace):
    place = page.board.panels["places"]["rows"][0]
    page._clicked({"kind": "place", "id": place["id"]})
    detail = page.board.detail
    assert detail["total"] == place["count"] == len(detail["rows"])
    assert all("Station Road" in row["text"] for row in detail["rows"])
    assert [row["date"] for row in detail["rows"]] == sorted(
        (row["date"] for row in detail["rows"]), reverse=True
    )
    assert "Resident" not in json.dumps(detail)
    for cell in page.board.panels["hotspots"]["rows"]:
        page._clicked({"kind": "hotspot", "id": cell["id"]})
        assert page.board.detail["total"] == cell["count"]
        assert page.board.marked == cell["id"]
    page._clicked({"kind": "point", "id": 0})
    assert page.board.detail["total"] >= 1
    page.choose(everything(page))
    assert page.board.detail == {}


def test_a_record_opens_in_a_shut_frame_or_says_how_to_make_it(page: Symposium, sample: Workspace):
    page._clicked({"kind": "place", "id": 0})
    case = page.board.detail["rows"][0]["case"]
    page._clicked({"kind": "record", "id": case})
    assert page.board.record["command"] == f"fieldkit records --case {case}"
    assert page.board.record["title"] == sample.case(case).number
    path = sample.settings.records / case / f"{case}.html"
    path.parent.mkdir(parents=True)
    path.write_text("<html><body>the record 记录</body></html>", encoding="utf-8")
    page._clicked({"kind": "record", "id": case})
    assert page.board.record["page"].endswith("the record 记录</body></html>")
    assert "default-src 'none'" in page.board.record["page"]


def test_an_earlier_moment_is_named_and_shows_no_later_record(page: Symposium, sample: Workspace):
    page._clicked({"kind": "place", "id": 0})
    case = page.board.detail["rows"][0]["case"]
    path = sample.settings.records / case / f"{case}.html"
    path.parent.mkdir(parents=True)
    path.write_text("<html>the record</html>", encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sample.ledger.append([Fact(case, RECORD_WRITTEN, {"digests": {"html": digest}}, datetime.now(UTC))])
    moment = datetime.now(UTC)
    past = Symposium(sample.at(moment), permutations=99)
    day = moment.astimezone(sample.settings.zone).strftime("%Y-%m-%d %H:%M")
    assert past.board.title == f"Sample town · 截至 as of {day}"
    past._clicked({"kind": "record", "id": case})
    assert past.board.record["page"].endswith("the record</html>")
    path.write_text("<html>a later record</html>", encoding="utf-8")
    past._clicked({"kind": "record", "id": case})
    assert (
        past.board.record["sentence"]["en"]
        == "The record of that time is not kept, or was written anew since."
    )
    assert "page" not in past.board.record
    page._clicked({"kind": "record", "id": case})
    assert page.board.record["page"].endswith("a later record</html>")


@pytest.mark.parametrize(
    "case", ["../../etc/passwd", "", "A" * 11, "AAAAAAAAAAAA/../x", "c:\\windows", "AAAAAAAAAAA1"]
)
def test_a_record_is_asked_for_by_a_cases_id_only(page: Symposium, sample: Workspace, case):
    page._clicked({"kind": "record", "id": case})
    assert page.board.record == {}
    assert "not a case's id" in page.board.status["en"]


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"kind": "nothing"},
        {"kind": "place", "id": 999},
        {"kind": "point", "id": "x"},
        {"kind": "hotspot", "id": None},
    ],
)
def test_a_forged_click_does_no_harm(page: Symposium, what):
    page._clicked(what)
    page.choose(everything(page))
    assert page.board.panels["headline"]["figures"][0]["value"] == "60"


def test_a_forged_choice_counts_as_none():
    assert choice_of({"category": ["noise"], "since": "yesterday", "until": 7, "district": None}) == Choice()


def test_a_panel_that_fails_says_so_and_the_rest_stays(sample: Workspace, monkeypatch):
    import fieldkit.analysis.hotspots as hotspots

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(hotspots, "find_hotspots", fail)
    page = Symposium(sample, permutations=99)
    assert "dashboard.log" in page.board.panels["hotspots"]["problem"]["en"]
    assert page.board.panels["headline"]["figures"][0]["value"]
    assert page.board.panels["places"]["rows"]
    assert "secret" not in json.dumps(page.board.panels)
    assert "a secret detail" in (sample.settings.out / "dashboard.log").read_text(encoding="utf-8")


def test_too_few_points_is_a_sentence(page: Symposium):
    page.choose(everything(page, category="water"))
    assert "无法计算" in page.board.panels["hotspots"]["problem"]["zh"]


def test_an_empty_ledger_says_what_to_do(tmp_path):
    from fieldkit.workspace import init_workspace

    ws = init_workspace(tmp_path / "new")
    assert "fieldkit import" in Symposium(ws).board.status["en"]
    ws.ledger.close()


def test_hostile_text_is_passed_on_unchanged(sample: Workspace):
    with sample.ledger.receiving() as receiving:
        for number, text in enumerate(HOSTILE):
            complaint = Complaint(
                received_at=pd.Timestamp("2017-06-01 12:00", tz="Asia/Shanghai").to_pydatetime(),
                source="x",
                number=f"H{number}",
                channel="web",
                text=text,
                translation=text,
                address="Hostile Road 1",
                place=Place(105.80, 32.42),
            )
            receiving.add([Receipt(complaint, complaint, None)])
    page = Symposium(sample, permutations=99)
    page.choose(everything(page))
    rows = page.board.panels["places"]["rows"]
    page._clicked(
        {"kind": "place", "id": next(row["id"] for row in rows if row["name"].startswith("Hostile"))}
    )
    assert {row["text"] for row in page.board.detail["rows"]} == set(HOSTILE)


def test_many_points_are_thinned_evenly_and_it_is_said():
    points = PointMap()
    assert points.show_points(np.linspace(0, 1, 3 * MOST_POINTS), np.zeros(3 * MOST_POINTS)) == MOST_POINTS
    assert points.drawn[0] == 0
    assert points.drawn[-1] == 3 * MOST_POINTS - 1
    assert points.show_points([1.0, np.nan], [2.0, 3.0]) == 1
    offsets = np.frombuffer(points.points, dtype="<f4")
    assert (np.array(points.origin) + offsets).tolist() == [1.0, 2.0]


def test_outlines_and_bounds(sample: Workspace):
    outlines = area_outlines(sample.areas())
    assert [outline["name"] for outline in outlines] == ["西区", "东区"]
    assert area_outlines(Areas([], [])) == []
    (west, south), (east, north) = bounds_of([105.8], [32.4])
    assert east - west == pytest.approx(0.02)
    assert north - south == pytest.approx(0.02)
    assert bounds_of([np.nan], [np.nan]) == []


def test_the_maps_script_and_style_ask_for_nothing():
    addresses = re.findall(r"url\(([^)]*)\)", PointMap._css)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    for name in ("board.js", "point_map.js"):
        script = (ROOT / "fieldkit" / "dashboards" / name).read_text(encoding="utf-8")
        assert "innerHTML" not in script
        assert "insertAdjacentHTML" not in script
        assert "http" not in script


def test_the_template_has_no_outside_link():
    folder = ROOT / "fieldkit" / "dashboards" / "jupyter" / "voila" / "templates" / "fieldkit"
    assert json.loads((folder / "conf.json").read_text()) == {"base_template": "lab"}
    assert "://" not in (folder / "index.html.j2").read_text(encoding="utf-8")


def test_plain_voila_serves_no_file():
    settings = json.loads((ROOT / "voila.json").read_text())["VoilaConfiguration"]
    assert settings["file_allowlist"] == []
    assert settings["file_denylist"] == [".*"]
    assert settings["template"] == "fieldkit"


def test_codes_of_a_bare_frame():
    frame = pd.DataFrame(
        {"received_at": pd.to_datetime(["2017-01-01", "2017-01-02"]).tz_localize("Asia/Shanghai")}
    )
    data = CodedComplaints(frame)
    assert data.mask(Choice()).tolist() == [True, True]
    assert data.mask(Choice(since=date(2017, 1, 2))).tolist() == [False, True]
    assert data.category.count(data.mask(Choice())) == {NONE: 2}
    assert not data.located.any()
    assert group_of("wechat") == "online"
    assert set(COLUMNS) >= {"complaint", "lon", "lat"}


def test_hot_cells_of_one_name_that_hang_together_are_one_spot():
    middle = h3.latlng_to_cell(32.44, 105.83, 8)
    ring = sorted(set(h3.grid_disk(middle, 1)) - {middle})
    far = h3.latlng_to_cell(32.60, 105.99, 8)
    cells = [middle, ring[0], ring[1], far]
    hot = gpd.GeoDataFrame(
        {
            "cell": cells,
            "name": ["Old Town", "Old Town", "New Town", "Old Town"],
            "complaints": [88, 8, 20, 5],
            "q_value": [0.02, 0.001, 0.02, 0.04],
        },
        geometry=[Point(h3.cell_to_latlng(cell)[::-1]).buffer(0.004) for cell in cells],
        crs="EPSG:4326",
    )
    spots = spots_of(with_spots(hot))
    assert spots["name"].tolist() == ["Old Town", "New Town", "Old Town"]
    assert spots["complaints"].tolist() == [96, 20, 5]
    assert spots["cells"].tolist() == [2, 1, 1]
    assert spots["q_value"].tolist() == [0.001, 0.02, 0.04]
    assert spots["spot"].tolist() == [middle, ring[1], far]
    rows = panels.hot_spots(spots, "en")
    assert [row["note"] for row in rows] == ["2 cells · q < 0.01", "q < 0.05", "q < 0.05"]
    assert with_spots(hot.head(0)).empty
    assert spots_of(with_spots(hot.head(0))).empty


def test_a_bare_number_is_called_what_the_ledger_holds_it_as(page: Symposium):
    page._known_names = {"community": frozenset({"43"}), "district": frozenset({"7"})}
    assert [page._place_name(name) for name in ("43", "7", "8", "43 Street")] == [
        "社区 community 43",
        "区 district 7",
        "8",
        "43 Street",
    ]


def test_without_an_hour_there_is_no_rhythm_and_it_is_said():
    panel = panels.rhythm(np.zeros((7, 24), dtype=int), 12)
    assert panel["most"] == 0
    assert "no rhythm" in panel["note"]["en"]


@pytest.mark.parametrize(
    ("precision", "last", "note"),
    [("year", date(2017, 12, 31), "2017"), ("month", date(2017, 2, 28), "2017-02")],
)
def test_what_is_known_to_the_year_or_month_reaches_to_its_end(precision, last, note):
    day = pd.Timestamp("2017-02-01", tz="Asia/Shanghai")
    data = CodedComplaints(pd.DataFrame({"received_at": [day], "precision": [precision]}))
    assert (data.first_day, data.last_day, data.known_to) == (date(2017, 2, 1), last, precision)
    ranked = pd.DataFrame({"name": ["x"], "complaints": [2], "first_at": [day], "last_at": [day]})
    assert panels.places(ranked, data.known_to)[0]["note"] == note


def test_no_period_is_offered_twice(page: Symposium):
    spans = [(option["since"], option["until"]) for option in panels.period_options(page.data)]
    assert len(spans) == len(set(spans))


def test_clusters_of_too_many_complaints_are_left_out_and_it_is_said(page: Symposium, monkeypatch):
    monkeypatch.setattr("fieldkit.dashboards.symposium.MOST_CLUSTERED", 59)
    page.choose(everything(page))
    assert page.board.clusters == []
    assert any("59" in row["label"] for row in page.board.legend)

"""The demonstration from end to end: the report's figures, the maps, the records, and that going on adds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldkit.demo.story import PERIOD, cases_that_matter, make_demo, summary
from fieldkit.errors import SettingsError
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Iterator[Workspace]:
    ws = make_demo(tmp_path_factory.mktemp("demo") / "city", records=2, say=told.append, progress=False)
    yield ws
    ws.ledger.close()


def test_the_period_has_the_figures_of_the_report(demo: Workspace) -> None:
    frame = demo.complaints(since=PERIOD[0], until=PERIOD[1])
    assert len(frame) == 692
    assert dict(frame["category"].value_counts()) == {
        "air": 216,
        "water": 169,
        "noise": 156,
        "other": 107,
        "solid_waste": 27,
        "radiation": 11,
    }
    assert frame["category"].isna().sum() == 6


def test_it_says_that_the_categories_do_not_add_up(demo: Workspace, told: list[str]) -> None:
    assert any("686 of 692" in line for line in summary(demo))
    assert any("686 of 692" in line for line in told)


def test_the_distribution_room_is_one_matter_of_many_complaints(demo: Workspace) -> None:
    case = demo.case(cases_that_matter(demo, 1)[0])
    assert case.community == "皇都一社区"
    assert len(case.complaints) > 10
    assert {c.relation for c in case.complaints} >= {"", "follow_up", "recurrence"}
    assert len({c.complaint.channel for c in case.complaints}) > 3


def test_rows_without_coordinates_were_placed_or_kept(demo: Workspace) -> None:
    frame = demo.complaints()
    assert (frame["place_method"] == "gazetteer").sum() > 50
    assert frame.loc[frame["place_method"] == "gazetteer", "needs_confirming"].any()
    assert 0 < frame["lon"].isna().sum() < 60


def test_maps_and_records_are_where_it_says(demo: Workspace, told: list[str]) -> None:
    named = [line.split(maxsplit=1)[1] for line in told if line.startswith("Map")]
    assert len(named) == 3
    assert all(Path(path).is_file() for path in named)
    records = demo.records()
    assert len(records) == 2
    for manifest in records.values():
        for path in manifest["files"].values():
            assert (demo.settings.records.parent / str(path)).is_file() or Path(str(path)).is_file()


def test_going_on_adds_nothing_and_writes_nothing_again(demo: Workspace) -> None:
    before = demo.ledger.count(), demo.ledger.state_hash()
    told: list[str] = []
    make_demo(demo.settings.folder, records=2, say=told.append, progress=False)
    assert (demo.ledger.count(), demo.ledger.state_hash()) == before
    assert any("1,350 were there already" in line for line in told)


def test_another_workspace_is_left_alone(tmp_path: Path) -> None:
    ws = sample_workspace(tmp_path / "office")
    before = ws.ledger.state_hash()
    with pytest.raises(SettingsError, match="not the demonstration's"):
        make_demo(tmp_path / "office", progress=False)
    assert ws.ledger.state_hash() == before


def test_an_offices_own_ledger_is_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Workspace
) -> None:
    before = sample.ledger.count()
    monkeypatch.setenv("FIELDKIT_LEDGER", sample.settings.ledger)
    with pytest.raises(SettingsError, match="FIELDKIT_LEDGER"):
        make_demo(tmp_path / "city", progress=False)
    assert sample.ledger.count() == before

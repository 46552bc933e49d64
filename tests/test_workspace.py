"""A workspace: made, opened, asked; and nobody who complained is in what it gives out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

import fieldkit as fk
from fieldkit.errors import PluginError, SettingsError, UnknownCase
from fieldkit.testing import sample_complaints
from fieldkit.workspace import Workspace, init_workspace, open_workspace


def test_a_new_workspace_is_empty_and_opens_again(tmp_path: Path) -> None:
    made = init_workspace(tmp_path / "office", title="局 <b>", time_zone="Asia/Shanghai")
    made.ledger.close()
    assert sorted(path.name for path in (tmp_path / "office").iterdir()) == [
        "fieldkit.toml",
        "layers",
        "ledger.sqlite",
        "maps",
        "out",
        "records",
    ]
    ws = fk.open(tmp_path / "office")
    assert ws.settings.title == "局 <b>"
    assert len(ws.complaints()) == len(ws.cases()) == 0
    assert ws.areas() is None
    assert ws.gazetteer_path.read_text(encoding="utf-8").startswith("name,alias,kind,")
    assert ws.records() == {}
    ws.ledger.close()


def test_a_workspace_is_not_made_twice(sample: Workspace) -> None:
    with pytest.raises(SettingsError, match="already is a workspace"):
        init_workspace(sample.settings.folder)
    assert len(sample.complaints()) == 60


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="cannot be made a workspace"):
        init_workspace(tmp_path / "file" / "office")


def test_what_a_notebook_asks_first(sample: Workspace) -> None:
    ws = open_workspace(sample.settings.folder)
    frame = ws.complaints(category="noise", since=date(2017, 7, 1), until=date(2017, 8, 1))
    assert len(frame) == 20
    assert set(frame["category"]) == {"noise"}
    case = ws.case("S-001")
    assert [c.number for c in case.complaints] == ["S-001", "S-007", "S-004", "S-010"]
    assert ws.case(case.id) == case
    assert len(ws.complaints(case="S-001")) == 4
    assert len(ws.complaints(near=(105.8436, 32.4355, 1.0))) >= 19
    areas = ws.areas()
    assert areas is not None
    assert areas.names == ["西区", "东区"]
    with pytest.raises(UnknownCase, match="There is no case 'S-999'"):
        ws.complaints(case="S-999")
    ws.ledger.close()


def test_nobody_who_complained_is_given_out(sample: Workspace) -> None:
    told = sample.complaints().to_csv() + sample.cases().to_csv() + repr(sample.case("S-001"))
    told += repr(sample) + repr(sample.ledger) + repr(list(sample.ledger.events()))
    for _, person in sample_complaints():
        assert person.name not in told
        assert person.phone not in told


def test_an_unknown_analysis_is_named(sample: Workspace) -> None:
    with pytest.raises(PluginError, match="There is no analyses plugin 'horoscope'"):
        sample.analyse("horoscope")


def test_an_analysis_in_one_call(sample: Workspace) -> None:
    result = sample.analyse("rhythm")
    assert result.shape == (7, 24)


def test_the_account_acts_when_nobody_is_named(sample: Workspace) -> None:
    import dataclasses

    named = Workspace(dataclasses.replace(sample.settings, actor="张三"))
    assert named.actor == "张三"
    assert isinstance(sample.actor, str)
    assert {event.actor for event in sample.ledger.events()} == {sample.actor}


def test_a_table_that_does_not_follow_from_the_events_is_found_by_a_thorough_look(sample: Workspace) -> None:
    assert sample.verify(thorough=True) == []
    sample.ledger.close()
    with closing(sqlite3.connect(sample.settings.folder / "ledger.sqlite")) as connection:
        connection.execute("UPDATE complaint SET district = 'Elsewhere' WHERE number = 'S-005'")
        connection.commit()
    assert sample.verify() == []
    (problem,) = sample.verify(thorough=True)
    assert problem.message.startswith("The tables that are read differ from the events.")
    sample.ledger.rebuild()
    assert sample.verify(thorough=True) == []
    assert [path.name for path in sample.settings.folder.glob(".fieldkit-*")] == []


def test_an_index_that_was_damaged_is_found_by_a_thorough_look(sample: Workspace) -> None:
    """The chain is whole, and yet a case would be looked for in vain."""
    sample.ledger.close()
    path = sample.settings.folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        page, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
        )
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_event_subject'"
        ).fetchone()[0]
    assert page > root
    data = bytearray(path.read_bytes())
    start = (root - 1) * size
    data[start + size - 10] ^= 1  # within the last key of the page
    path.write_bytes(data)
    assert any("file is damaged" in problem.message for problem in sample.verify(thorough=True))

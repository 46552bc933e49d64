"""The sample ledger is always the same, and the checks for plugins fail where they should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fieldkit.complaints import Complaint, Entry
from fieldkit.testing import (
    SAMPLE_SIZE,
    PluginConformance,
    ReaderConformance,
    sample_complaints,
    sample_frame,
)
from fieldkit.workspace import Workspace


def test_the_sample_is_always_the_same(sample: Workspace) -> None:
    assert list(sample_complaints()) == list(sample_complaints())
    counts = sample.ledger.count()
    assert counts["complaints"] == SAMPLE_SIZE == 60
    assert counts["with_place"] == 58
    assert counts["cases"] == 57
    assert sample.ledger.verify() == []


def test_the_sample_has_a_hot_spot_on_summer_nights(sample: Workspace) -> None:
    frame = sample.complaints()
    hot = frame[frame["community"] == "Station Community"]
    assert len(hot) == 20
    assert set(hot["received_at"].dt.month) == {7}
    assert set(hot["received_at"].dt.hour) == {22}


def test_the_sample_frame_is_that_of_the_ledger(sample: Workspace) -> None:
    assert sample_frame()["complaint"].tolist() == sample.complaints()["complaint"].tolist()


class Lines:
    """A reader of times, one a line."""

    title = "Lines"
    moments = 2

    def open(self, path: Path, options: Mapping[str, Any]) -> Any:
        return self

    def __iter__(self) -> Iterator[Entry]:
        for row in range(self.moments):
            moment = datetime(2017, 7, 1 + row, tzinfo=UTC)
            yield Entry(row + 1, Complaint(received_at=moment, source="lines"), None, (), {})


class TestLines(ReaderConformance):
    plugin = Lines
    path = Path("unused")


class Untitled:
    title = ""


def test_a_plugin_that_lacks_something_fails() -> None:
    checks = PluginConformance()
    checks.group, checks.plugin = "fieldkit.readers", Untitled
    with pytest.raises(AssertionError, match="lacks part of"):
        checks.test_follows_the_protocol()
    with pytest.raises(AssertionError):
        checks.test_has_a_title()


def test_a_reader_that_reads_nothing_fails() -> None:
    class Empty(Lines):
        moments = 0

    checks = ReaderConformance()
    checks.plugin, checks.path = Empty, Path("unused")
    with pytest.raises(AssertionError):
        checks.test_reads_the_file_twice_alike()

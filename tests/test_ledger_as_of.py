"""As of any past moment the ledger answers as a replay of the events that had been recorded until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_deeds import NOON, ZONE, complaint, deeds, do, emptied, fact_of, receive, rows_of

from fieldkit.cases import Case
from fieldkit.errors import LedgerError, UnknownCase
from fieldkit.events import (
    COMPLAINT_LINKED,
    COMPLAINT_UNLINKED,
    EPOCH,
    PLACE_CONFIRMED,
    RECORD_WRITTEN,
    Event,
    Fact,
)
from fieldkit.ledger import Ledger, frames, projection, store, tables
from fieldkit.ledger.frames import Filters
from fieldkit.places import Place
from fieldkit.workspace import Workspace

TABLES = (tables.complaint, tables.case)
#: Seconds by which the clock moves before each deed: it may stand still, go back, or be put right by ten years.
TICKS = st.sampled_from([0, 1, 1, 60, 3600, -1, -60, -86_400, 315_000_000, -315_000_000])
DAY = 24 * 3600
#: Filters, whether only open cases are asked for, how many, and by which of two ways they are looked for.
LISTS = [
    (filters, only_open, limit, few)
    for filters in (Filters(), Filters(district="D1"))
    for only_open, limit in ((False, 2), (True, 1))
    for few in (True, False)
]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Ledger, Clock, Ledger]]:
    """A ledger, its clock, and another one for the replay."""
    clock = Clock()
    ledger = Ledger("sqlite://", origin="device", clock=clock)
    replay = Ledger("sqlite://", origin="device")
    yield ledger, clock, replay
    ledger.close()
    replay.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clocked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ledger, Clock]]:
    clock = Clock()
    if request.param == "postgres":
        make: Callable[[], str] = request.getfixturevalue("postgres_database")
        url = make()
    else:
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, origin="device", clock=clock)
    yield ledger, clock
    ledger.close()


def replayed(replay: Ledger, history: Sequence[Event]) -> Ledger:
    """*replay* with the state that *history* alone gives."""
    emptied(replay)
    with store.writing(replay._engine) as connection:
        store.insert(
            connection, tables.event, [[getattr(e, c.name) for c in tables.event.columns] for e in history]
        )
    replay.rebuild()
    return replay


def known_rows(ledger: Ledger, table: sa.Table, as_of: datetime) -> list[tuple[object, ...]]:
    moment = (as_of - EPOCH) // timedelta(microseconds=1)
    with store.reading(ledger._engine) as connection:
        return sorted(tuple(row) for row in connection.execute(sa.select(tables.known(table, moment))))


def folded(ledger: Ledger, name: str, as_of: datetime | None) -> Case | None:
    try:
        return ledger.case(name, as_of=as_of)
    except UnknownCase:
        return None


@settings(max_examples=60, deadline=None)
@given(done=deeds, moves=st.lists(TICKS, min_size=25, max_size=25), probe=st.integers(-2, 2))
@example(
    done=[("receive", 1, False), ("receive", 2, False), ("link", 1, 2), ("unlink", 1, 0)],
    moves=[0, 60, -DAY, 2 * DAY, *[0] * 21],
    probe=0,
)
def test_the_state_at_any_moment_is_that_of_a_replay(
    pair: tuple[Ledger, Clock, Ledger], done: list[tuple[str, int, int]], moves: list[int], probe: int
) -> None:
    ledger, clock, replay = pair
    emptied(ledger)
    clock.now = NOON
    for deed, seconds in zip(done, moves, strict=False):
        clock.move(seconds)
        do(ledger, deed)
    history = list(ledger.events())
    recorded = sorted({event.recorded_at for event in history})
    for at in recorded[:: max(1, len(recorded) // 4)]:
        moment = EPOCH + timedelta(microseconds=at + probe)
        until = [event for event in history if event.recorded_at <= at + probe]
        then = replayed(replay, until)
        for table in TABLES:
            assert known_rows(ledger, table, moment) == rows_of(then, table)
        pd.testing.assert_frame_equal(
            ledger.complaints(Filters(), zone=ZONE, as_of=moment), then.complaints(Filters(), zone=ZONE)
        )
        pd.testing.assert_frame_equal(
            ledger.cases(Filters(category="noise"), zone=ZONE, as_of=moment),
            then.cases(Filters(category="noise"), zone=ZONE),
        )
        for filters, only_open, limit, few in LISTS:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(frames, "_few_before", lambda *_, few=few: few)
                listed = ledger.cases(filters, zone=ZONE, as_of=moment, only_open=only_open, limit=limit)
            wanted = then.cases(filters, zone=ZONE, only_open=only_open, limit=limit)
            pd.testing.assert_frame_equal(listed, wanted)
        assert ledger.count(as_of=moment) == then.count()
        assert list(ledger.events(as_of=moment)) == until
        assert ledger.records(as_of=moment) == then.records()
        for n in (0, 1, 2):
            assert folded(ledger, f"N{n}", moment) == folded(then, f"N{n}", None)
    before = ledger.state_hash()
    assert ledger.rebuild() == before


@settings(max_examples=80, deadline=None)
@given(done=deeds, moves=st.lists(TICKS, min_size=25, max_size=25), sizes=st.lists(st.integers(1, 6)))
@example(done=[("receive", 1, 0), ("surer", 1, 0), ("surer", 1, 1)], moves=[60] * 25, sizes=[])
@example(
    # The last two in one moment, and only the complaint's row shows the first of them.
    done=[("receive", 1, 0), ("receive", 3, 0), ("link", 3, 1), ("again", 3, 1), ("link", 3, 1)],
    moves=[60] * 4 + [0] * 21,
    sizes=[],
)
@example(
    # The same, and only the case's row shows it.
    done=[("receive", 1, 0), ("receive", 3, 0), ("link", 3, 1), ("place", 1, 5)],
    moves=[60] * 3 + [0] * 22,
    sizes=[],
)
@example(
    done=[("receive", n, 0) for n in range(3)] + [("link", 1, 2), ("link", 2, 0), ("unlink", 1, 0)],
    moves=[60] * 25,
    sizes=[3],
)
def test_deeds_of_one_moment_come_to_what_their_history_gives(
    pair: tuple[Ledger, Clock, Ledger],
    done: list[tuple[str, int, int]],
    moves: list[int],
    sizes: list[int],
) -> None:
    """Several at once, too: the short way from the present rows and the long one by the history are one."""
    ledger, clock, _ = pair
    emptied(ledger)
    clock.now = NOON
    left, lengths = list(done), iter(sizes)
    for seconds in moves:
        clock.move(seconds)
        if left and left[0][0] == "receive":
            do(ledger, left.pop(0))
        else:
            number = next((n for n, deed in enumerate(left) if deed[0] == "receive"), len(left))
            number = min(number, next(lengths, 1))
            ledger.append([fact_of(deed) for deed in left[:number]])
            del left[:number]
        before = ledger.state_hash()
        assert ledger.rebuild() == before


def test_what_comes_last_asks_for_no_history(
    clocked: tuple[Ledger, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, clock = clocked
    receive(ledger, *map(complaint, range(4)))
    asked: list[str] = []
    ways = {"short": projection._advanced, "long": projection.project}
    for name, way in ways.items():
        monkeypatch.setattr(
            projection, way.__name__, lambda *of, name=name, way=way: asked.append(name) or way(*of)
        )
    for seconds, deed, wanted in (
        (60, ("link", 1, 0), ["short"]),
        (60, ("place", 1, 3), ["short"]),
        (60, ("place", 1, 3), ["short", "long"]),
        (60, ("unlink", 1, 0), ["short"]),
        (0, ("link", 1, 2), ["short", "long"]),
        (-60, ("link", 3, 2), ["short", "long"]),
        (3600, ("link", 3, 0), ["short"]),
        (60, ("link", 6, 0), ["short", "long"]),
        (60, ("record", 1, 0), []),
    ):
        asked.clear()
        clock.move(seconds)
        do(ledger, deed)
        assert asked == wanted, deed
    assert ledger.state_hash() == ledger.rebuild()


def test_each_earlier_state_is_kept(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    start = clock.now
    receive(ledger, complaint(1), complaint(2))
    one, two = ledger.find_case("N1"), ledger.find_case("N2")
    clock.move(DAY)
    ledger.append([Fact(two, COMPLAINT_LINKED, {"case": one, "relation": "duplicate"}, NOON)])
    clock.move(DAY)
    ledger.append([Fact(two, COMPLAINT_UNLINKED, {}, NOON)])

    def merged(as_of: datetime | None) -> list[int]:
        return sorted(ledger.cases(Filters(), zone=ZONE, as_of=as_of)["complaints"])

    assert merged(start - timedelta(seconds=1)) == []
    assert merged(start) == [1, 1]
    assert merged(start + timedelta(days=1.5)) == [2]
    assert merged(None) == merged(start + timedelta(days=2)) == [1, 1]
    assert ledger.case_of(two, as_of=start + timedelta(days=1)) == one
    assert ledger.case_of(two) == two
    with pytest.raises(UnknownCase, match="There is no case 'N1'"):
        ledger.case("N1", as_of=start - timedelta(days=1))
    assert ledger.rebuild() == ledger.state_hash()


def test_a_place_that_changes_often_is_the_surest_of_each_moment(clocked: tuple[Ledger, Clock]) -> None:
    """Of one complaint with many states the present one counts, known or not."""
    ledger, clock = clocked
    receive(ledger, complaint(1, place=Place(105.8, 32.4, method="gazetteer")), complaint(2))
    one, two = ledger.find_case("N1"), ledger.find_case("N2")
    ledger.append([Fact(two, COMPLAINT_LINKED, {"case": one, "relation": "duplicate"}, NOON)])
    seen = []
    for n in range(5):
        clock.move(60)
        where = {"lon": 105.0 + n, "lat": 32.0, "method": "confirmed"}
        ledger.append([Fact((one, two)[n % 2], PLACE_CONFIRMED, {"place": where}, NOON)])
        place = ledger.case("N1").place
        assert place is not None
        seen.append((clock.now, place.lon))
    for moment, lon in seen:
        cases = ledger.cases(Filters(), zone=ZONE, as_of=moment)
        assert list(cases["lon"]) == [lon]
    assert ledger.rebuild() == ledger.state_hash()


def test_the_data_version_of_then_is_what_it_was(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    versions = []
    for n in range(3):
        receive(ledger, complaint(n))
        ledger.append([Fact(ledger.find_case(f"N{n}"), RECORD_WRITTEN, {"files": {}}, NOON)])
        versions.append((clock.now, ledger.data_version()))
        clock.move(60)
    assert len({version for _, version in versions}) == 3
    assert [ledger.data_version(as_of=moment) for moment, _ in versions] == [v for _, v in versions]


def test_a_frame_of_then_says_its_version(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    receive(ledger, complaint(1))
    first, version = clock.now, ledger.data_version()
    clock.move(1)
    receive(ledger, complaint(2))
    then = ledger.complaints(Filters(), zone=ZONE, as_of=first)
    assert len(then) == 1
    assert then.attrs["data_version"] == version
    assert then.attrs["as_of"] == first.isoformat()
    assert "as_of" not in ledger.complaints(Filters(), zone=ZONE).attrs


def test_filters_hold_then_as_they_do_now(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    receive(ledger, complaint(1, district="West"), complaint(2, district="East"))
    moment = clock.now
    clock.move(1)
    receive(ledger, complaint(3, district="West"))

    def west(as_of: datetime | None) -> list[str]:
        return list(ledger.complaints(Filters(district="West"), zone=ZONE, as_of=as_of)["number"])

    assert west(moment) == ["N1"]
    assert west(None) == ["N1", "N3"]


def test_a_moment_without_a_zone_is_refused(clocked: tuple[Ledger, Clock]) -> None:
    with pytest.raises(LedgerError, match=r"As of 2017-07-01 00:00:00 has no time zone\. Give"):
        clocked[0].count(as_of=datetime(2017, 7, 1))


def test_a_day_is_meant_to_its_end_in_the_offices_zone(sample: Workspace) -> None:
    """The sample was recorded today."""
    recorded = next(sample.ledger.events()).recorded_at
    today = (EPOCH + timedelta(microseconds=recorded)).astimezone(sample.settings.zone).date()
    assert len(sample.complaints(as_of=today - timedelta(days=1))) == 0
    assert len(sample.complaints(as_of=today)) == 60
    assert len(sample.cases(as_of=today)) == 57
    assert sample.case("S-001", as_of=today).number == "S-001"
    assert sample.records(as_of=today) == {}
    assert len(sample.complaints(as_of=datetime(2017, 1, 1))) == 0
    assert len(sample.complaints(as_of=datetime.now(UTC))) == 60
    assert len(sample.analyse("rhythm", as_of=date(2100, 1, 1))) == len(sample.analyse("rhythm"))


# --- clocks -----------------------------------------------------------------------------------------------------


def test_what_is_undone_stays_undone_when_the_clock_goes_back(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    receive(ledger, complaint(1), complaint(2))
    one, two = ledger.find_case("N1"), ledger.find_case("N2")
    ledger.append([Fact(two, COMPLAINT_LINKED, {"case": one, "relation": "duplicate"}, NOON)])
    clock.move(-3650 * DAY)
    ledger.append([Fact(two, COMPLAINT_UNLINKED, {}, NOON)])
    assert ledger.case_of(two) == two
    assert ledger.case("N2").state == "REGISTERED"
    assert ledger.rebuild() == ledger.state_hash()
    assert ledger.verify() == []


def test_the_time_shown_is_what_the_clock_said(clocked: tuple[Ledger, Clock]) -> None:
    ledger, clock = clocked
    receive(ledger, complaint(1))
    clock.move(-DAY)
    receive(ledger, complaint(2))
    first, second = ledger.events()
    assert second.recorded_at < first.recorded_at
    assert second.tick == first.tick + 1
    assert first.tick == first.recorded_at


@settings(max_examples=40, deadline=None)
@given(moves=st.lists(TICKS, min_size=2, max_size=12))
def test_ticks_only_rise(pair: tuple[Ledger, Clock, Ledger], moves: list[int]) -> None:
    ledger, clock, _ = pair
    emptied(ledger)
    clock.now = NOON
    for n, seconds in enumerate(moves):
        clock.move(seconds)
        receive(ledger, complaint(n))
    written = list(ledger.events())
    assert len(written) == len(moves)
    assert sorted(written, key=lambda event: event.order) == written
    assert len({event.tick for event in written}) == len(moves)
    assert ledger.verify() == []

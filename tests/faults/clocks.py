"""Set the clocks of two devices wrong, back and forth: every event stays, and each device's order of writing counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from fieldkit import events
from fieldkit.events import Fact
from fieldkit.ledger import Ledger, store, tables

from . import stores
from .totals import Step, Totals, no_step

_ZONE = ZoneInfo(
    "America/New_York"
)  # it changes its clocks; the laptop's may be set by hand at the wrong hour
_COMPLAINTS = 4
DEVICES = ("device-a", "device-b")


@dataclass(frozen=True, slots=True)
class Deed:
    """What a device did with a complaint, and what its clock showed: *what* is ``link``, ``unlink`` or ``place``."""

    device: int
    clock: datetime
    complaint: int
    what: str
    other: int


_RIGHT = datetime(2018, 3, 11, 6, 59, 59, tzinfo=UTC)  # a second before New York's clocks go forward
_shifts = st.one_of(
    st.just(timedelta()),
    st.integers(-3650, 3650).map(lambda days: timedelta(days=days)),
    st.sampled_from([timedelta(days=1), timedelta(days=-1), timedelta(hours=1), timedelta(hours=-1)]),
    st.integers(-3, 3).map(lambda n: timedelta(microseconds=n)),
)
_moments = st.one_of(
    _shifts.map(lambda shift: _RIGHT + shift),
    st.sampled_from([0, 1]).map(lambda fold: datetime(2018, 11, 4, 1, 30, tzinfo=_ZONE, fold=fold)),
    st.just(datetime(2018, 3, 11, 2, 30, tzinfo=_ZONE)),  # an hour that there was not
)
#: What two devices do, each moment by a clock that may show anything.
deeds = st.lists(
    st.builds(
        Deed,
        st.integers(0, 1),
        _moments,
        st.integers(1, _COMPLAINTS - 1),
        st.sampled_from(["link", "unlink", "place"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)


_now = [_RIGHT]
_ledgers: list[Ledger] = []


def _emptied() -> list[Ledger]:
    """Both devices' ledgers, without anything in them; made once, for making them takes longest."""
    if not _ledgers:
        _ledgers.extend(Ledger("sqlite://", origin=origin, clock=lambda: _now[0]) for origin in DEVICES)
        _ledgers[0].count()
        _ledgers[1]._opened = _ledgers[0]._opened  # both write into the one store
    with store.writing(_ledgers[0]._engine) as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.delete(table))
    return _ledgers


def check(done: list[Deed]) -> None:
    """Do the deeds on an empty store and look: nothing is missing, and what a device did last is what holds of its."""
    ledgers = _emptied()
    _now[0] = _RIGHT
    with ledgers[0].receiving() as receiving:
        receiving.add([replace(one, person=None) for one in stores.receipts(0, _COMPLAINTS)])
    for deed in done:
        _now[0] = deed.clock
        ledgers[deed.device].append([_fact(deed)])
    _look(ledgers[0], done)


def _fact(deed: Deed) -> Fact:
    subject = stores.complaint_id(deed.complaint)
    if deed.what == "link":
        payload = {"case": stores.complaint_id(0), "relation": "duplicate"}
        return Fact(subject, events.COMPLAINT_LINKED, payload, deed.clock)
    if deed.what == "unlink":
        return Fact(subject, events.COMPLAINT_UNLINKED, {}, deed.clock)
    place = {"lon": 105.0 + deed.other / 10, "lat": 32.0, "method": "confirmed"}
    return Fact(subject, events.PLACE_CONFIRMED, {"place": place}, deed.clock)


def _look(ledger: Ledger, done: list[Deed]) -> None:
    assert ledger.verify() == []
    assert ledger.state_hash() == ledger.rebuild()
    assert ledger.count()["events"] == _COMPLAINTS + len(done)
    for complaint in range(1, _COMPLAINTS):
        subject = stores.complaint_id(complaint)
        case = ledger.case(ledger.case_of(subject))
        (folded,) = [one for one in case.complaints if one.id == subject]
        linked = folded.case == stores.complaint_id(0)
        about = [deed for deed in done if deed.complaint == complaint]
        links = list(_last_of_each(deed for deed in about if deed.what != "place"))
        assert linked in ([deed.what == "link" for deed in links] or [False]), (complaint, about)
        places = list(_last_of_each(deed for deed in about if deed.what == "place"))
        assert folded.complaint.place is not None
        if places:
            assert folded.complaint.place.lon in [105.0 + deed.other / 10 for deed in places], (
                complaint,
                about,
            )


def _last_of_each(done: Iterator[Deed]) -> Iterator[Deed]:
    """Between two devices either may hold; of one device, only what it wrote last."""
    last: dict[int, Deed] = {}
    for deed in done:
        last[deed.device] = deed
    yield from last.values()


def run(seed: int, examples: int, step: Step = no_step) -> Totals:
    """Try so many lists of deeds; the first that fails is told."""
    totals = Totals("clocks")

    @hypothesis_seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(deeds)
    def tried(done: list[Deed]) -> None:
        check(done)
        totals.attempts += 1
        totals.calls += len(done)
        totals.acknowledged += len(done)
        step()

    with totals.timed():
        try:
            tried()
        except AssertionError as error:
            totals.half += 1
            totals.notes.append(
                f"clocks, seed {seed}: another state than that of the order of writing: {error}"
            )
    return totals

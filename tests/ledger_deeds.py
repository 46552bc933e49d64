"""What the tests of the ledger do to it: complaints, receipts, and random histories of deeds."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import sqlalchemy as sa
from hypothesis import strategies as st

from fieldkit import events
from fieldkit.complaints import Complaint, Person
from fieldkit.events import COMPLAINT_LINKED, COMPLAINT_UNLINKED, PLACE_CONFIRMED, RECORD_WRITTEN, Fact
from fieldkit.ledger import Ledger, Receipt, store, tables
from fieldkit.ledger.frames import Filters
from fieldkit.places import Place

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2017, 7, 1, 12, 0, tzinfo=ZONE)


def complaint(n: int = 1, **known: object) -> Complaint:
    return Complaint(
        **({"received_at": NOON + timedelta(hours=n), "source": "office", "number": f"N{n}"} | known)
    )


def receive(ledger: Ledger, *complaints: Complaint, person: Person | None = None) -> list[str]:
    with ledger.receiving() as receiving:
        outcomes = receiving.add([Receipt(one, one, person) for one in complaints])
    return [outcome.state for outcome in outcomes]


def emptied(ledger: Ledger) -> Ledger:
    """*ledger* without anything in it: making a new one for each example would take most of the time."""
    with store.writing(ledger._engine) as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.delete(table))
    return ledger


def rows_of(ledger: Ledger, table: sa.Table) -> list[tuple[object, ...]]:
    with store.reading(ledger._engine) as connection:
        return sorted(tuple(row) for row in connection.execute(sa.select(table)))


def frame(ledger: Ledger, columns: list[str] | None = None, **filters: object) -> pd.DataFrame:
    return ledger.complaints(Filters(**filters), columns=columns, zone=ZONE)


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(0, 7), st.booleans()),
        st.tuples(st.just("link"), st.integers(0, 7), st.integers(0, 7)),
        st.tuples(st.just("again"), st.integers(0, 7), st.integers(0, 7)),
        st.tuples(st.just("unlink"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("place"), st.integers(0, 7), st.integers(-90, 90)),
        st.tuples(st.just("surer"), st.integers(0, 7), st.integers(0, 1)),
        st.tuples(st.just("record"), st.integers(0, 7), st.just(0)),
    ),
    max_size=25,
)


def do(ledger: Ledger, deed: tuple[str, int, int]) -> None:
    what, n, other = deed
    if what == "receive":
        closed = NOON + timedelta(days=30) if other else None
        receive(ledger, complaint(n, closed_at=closed, place=Place(-0.0, n / 3) if n % 2 else None))
        return
    ledger.append([fact_of(deed)])


def fact_of(deed: tuple[str, int, int]) -> Fact:
    """What a deed other than a receipt writes."""
    what, n, other = deed
    subject = events.identifier(f"office\n#N{n}")
    case = events.identifier(f"office\n#N{other}")
    # No row tells how sure a place is, but the state does.
    surer = {"lon": 1.0, "lat": 2.0, "accuracy_m": float(other)}
    return {
        "link": Fact(subject, COMPLAINT_LINKED, {"case": case, "relation": "duplicate"}, NOON),
        "again": Fact(
            subject, COMPLAINT_LINKED, {"case": case, "relation": "recurrence", "cause": "late"}, NOON
        ),
        "unlink": Fact(subject, COMPLAINT_UNLINKED, {}, NOON),
        "place": Fact(subject, PLACE_CONFIRMED, {"place": {"lon": -0.0, "lat": other / 7}}, NOON),
        "surer": Fact(subject, PLACE_CONFIRMED, {"place": surer, "district": f"D{n % 2}"}, NOON),
        "record": Fact(subject, RECORD_WRITTEN, {"files": {"html": "x"}}, NOON),
    }[what]

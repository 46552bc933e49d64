"""Ledgers of any size for the benchmarks: months of complaints, a third of which something is said of later."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from fieldkit.complaints import Complaint, Person
from fieldkit.events import COMPLAINT_LINKED, COMPLAINT_UNLINKED, PLACE_CONFIRMED, RECORD_WRITTEN, Fact
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger, Receipt
from fieldkit.ledger.frames import Filters
from fieldkit.places import Place

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2015, 1, 1, tzinfo=UTC)
MONTHS = 24
PART = 5_000
DISTRICTS = ("利州区", "昭化区", "朝天区", "旺苍县", "青川县", "剑阁县", "苍溪县")
CATEGORIES = ("noise.construction", "noise.social.entertainment", "air.cooking_fume", "water.domestic")
CHANNELS = ("phone_12345", "wechat", "visit", "web")
STREETS = ("利州东路", "蜀门北路", "Riverside Road", "老城巷", "Station Road", "万源路")
WORDS = ("夜间施工噪声扰民", "油烟味很大", "河水发黑发臭", "变压器嗡嗡响", "垃圾堆放多日", "广场音响声音太大")


class Office:
    """The ledger of an office whose clock the benchmark sets; *url* is all that a server changes."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.now = START
        address = url or f"sqlite:///{folder / 'ledger.sqlite'}"
        keys = Keys(folder / "keys")
        self.ledger = Ledger(address, origin="bench", actor="Wang", clock=lambda: self.now, keys=keys)

    def grow(self, complaints: int, *, persons: bool = True, later: bool = True) -> None:
        """Take *complaints* in over :data:`MONTHS`; with *later* each month says something of a third of its own."""
        for month in range(MONTHS):
            ids = range(complaints * month // MONTHS, complaints * (month + 1) // MONTHS)
            if not ids:
                continue
            self.now = moment(month + 1)
            known = self.receive(ids, complaints, persons=persons)
            if later:
                self._say_more(month, known)

    def receive(self, numbers: range, complaints: int, *, persons: bool = True) -> list[str]:
        """One import of the complaints with these numbers, of so many that there are in all; returns their ids."""
        found: list[str] = []
        with self.ledger.receiving() as receiving:
            for first in range(numbers.start, numbers.stop, PART):
                some = range(first, min(first + PART, numbers.stop))
                receipts = [receipt(n, complaints, with_person=persons) for n in some]
                found += [outcome.complaint_id for outcome in receiving.add(receipts)]
        return found

    def _say_more(self, month: int, ids: list[str]) -> None:
        for day, facts in enumerate(later_facts(ids), start=1):
            self.now = moment(month + 1) + timedelta(days=day)
            for first in range(0, len(facts), PART):
                self.ledger.append(facts[first : first + PART])


def moment(month: int) -> datetime:
    """The first moment of the month with this number, all being equally long."""
    return START + timedelta(days=30 * month)


def receipt(n: int, complaints: int, *, with_person: bool = True) -> Receipt:
    """Complaint number *n* of *complaints*, always the same; every fifth person complains again and again."""
    chance = random.Random(n)  # noqa: S311 - data for a benchmark
    street = chance.choice(STREETS)
    one = Complaint(
        received_at=START + timedelta(days=30 * MONTHS) * (n / complaints),
        source="bench",
        number=f"B-{n:08}",
        channel=chance.choice(CHANNELS),
        text=f"{street}{chance.randrange(1, 400)}号，{chance.choice(WORDS)}，第{n}次反映，请尽快处理。",
        categories=(chance.choice(CATEGORIES),),
        address=f"{street}{chance.randrange(1, 400)}号",
        district=chance.choice(DISTRICTS),
        place=Place(round(105.70 + chance.random() / 2, 6), round(32.35 + chance.random() / 2, 6)),
        closed_at=START + timedelta(days=30 * MONTHS + 1) if n % 2 else None,
    )
    who = n % 100 if n % 5 == 0 else n
    person = Person(name=f"居民{who}", phone=f"139{who:08}", address=one.address) if with_person else None
    return Receipt(one, one, person)


def later_facts(ids: list[str]) -> Iterator[list[Fact]]:
    """What is said of a third of *ids*: links to the one before, confirmed places, and links taken back."""
    linked = [
        Fact(one, COMPLAINT_LINKED, {"case": ids[n - 1], "relation": "duplicate"}, START)
        for n, one in enumerate(ids)
        if n % 6 == 1
    ]
    placed = [
        Fact(one, PLACE_CONFIRMED, {"place": _confirmed(n)}, START) for n, one in enumerate(ids) if n % 6 == 3
    ]
    unlinked = [Fact(fact.subject, COMPLAINT_UNLINKED, {}, START) for fact in linked[::4]]
    yield from (linked, placed, unlinked)


def _confirmed(n: int) -> dict[str, object]:
    return {"lon": 105.70 + n * 37 % 5_000 / 1e4, "lat": 32.35 + n * 53 % 5_000 / 1e4, "method": "confirmed"}


FEW = ("case", "received_at", "category", "lon", "lat")
#: A record's manifest, as long as a real one.
MANIFEST = {
    "data_version": "0123456789ab",
    "notebook": "investigation",
    "files": {"html": "a" * 64, "pdf": "b" * 64},
    "kit": "0.1.0",
}


def operations(office: Office, complaints: int) -> dict[str, Callable[[], object]]:
    """What people wait for, on a ledger of so many complaints that :meth:`Office.grow` made; by name."""
    ledger = office.ledger
    middle = MONTHS // 2
    month = Filters(since=moment(middle), until=moment(middle + 1))
    # The first complaint is in every such ledger, however small.
    ids = ledger.cases(Filters(), zone=ZONE, limit=1)["case"]
    some = str(ids.iloc[0])
    fresh = iter(range(complaints, 10**9, 1_000))
    office.now = moment(MONTHS + 2)

    def take_in() -> object:
        first = next(fresh)
        return office.receive(range(first, first + 1_000), complaints)

    return {
        "append a record": lambda: ledger.append([Fact(some, RECORD_WRITTEN, MANIFEST, START)]),
        "confirm a place": lambda: ledger.append([Fact(some, PLACE_CONFIRMED, {"place": _place()}, START)]),
        "open a case": lambda: ledger.case(some),
        "newest 30 cases": lambda: ledger.cases(Filters(), zone=ZONE, limit=30),
        "a month": lambda: ledger.complaints(month, columns=FEW, zone=ZONE),
        "a month as of its end": lambda: ledger.complaints(
            month, columns=FEW, zone=ZONE, as_of=moment(middle + 2)
        ),
        "near (500 m)": lambda: ledger.complaints(Filters(near=(105.9, 32.5, 500.0)), columns=FEW, zone=ZONE),
        "count": ledger.count,
        "every complaint": lambda: ledger.complaints(Filters(), columns=FEW, zone=ZONE),
        "every case": lambda: ledger.cases(Filters(), zone=ZONE),
        "verify": lambda: _sound(ledger),
        "state hash": ledger.state_hash,
        "rebuild": ledger.rebuild,
        "import of 1,000": take_in,
    }


def timed(
    done: dict[str, Callable[[], object]], *, rounds: int, enough_s: float = 20.0
) -> dict[str, tuple[float, float]]:
    """The median wall and CPU seconds of each, in turns; one that takes longer than *enough_s* is run once."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in done}
    for turn in range(rounds + 1):
        for name, call in done.items():
            if taken[name] and max(wall for wall, _ in taken[name]) > enough_s:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            if turn == 1 and len(taken[name]) == 2:
                del taken[name][0]  # the first one warmed up
    return {
        name: (statistics.median(wall for wall, _ in one), statistics.median(cpu for _, cpu in one))
        for name, one in taken.items()
    }


def _sound(ledger: Ledger) -> None:
    if problems := ledger.verify():
        raise RuntimeError(problems[0].message)


_turns = iter(range(10**9))


def _place() -> dict[str, object]:
    return _confirmed(next(_turns))

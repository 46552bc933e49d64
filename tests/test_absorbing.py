"""Taking other devices' chains in: the union of all, in any order, and nothing that is not sound."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit.complaints import Complaint, Person
from fieldkit.errors import LedgerError
from fieldkit.events import (
    COMPLAINT_LINKED,
    COMPLAINT_RECEIVED,
    COMPLAINT_UNLINKED,
    DEVICE_ENROLLED,
    GENESIS,
    PLACE_CONFIRMED,
    Event,
    Fact,
    canonical,
    digest_of,
    event_of,
)
from fieldkit.keys import Keys
from fieldkit.ledger import Head, Ledger, Receipt, store, tables
from fieldkit.ledger.heads import head_statement
from fieldkit.testing import sample_complaints

NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)
ORIGINS = ("north", "south", "west")


class Device:
    """A ledger in memory with a clock of its own that can be set, and keys."""

    def __init__(self, origin: str, keys: Keys | None, url: str = "sqlite://") -> None:
        self.now = NOON
        self.ledger = Ledger(url, origin=origin, actor=origin, clock=lambda: self.now, keys=keys)

    def receive(self, n: int) -> None:
        one = Complaint(received_at=NOON + timedelta(hours=n), source="s", number=str(n))
        with self.ledger.receiving() as receiving:
            receiving.add([Receipt(one, one)])

    def do(self, deed: int, n: int, other: int) -> None:
        self.now += timedelta(seconds=(n - 2) * 40)  # forwards and back
        with self.ledger.receiving():
            pass
        ids = [identifier_of(number) for number in (n, other)]
        if deed == 0:
            self.receive(n)
        elif deed == 1 and n != other:
            self.ledger.append(
                [Fact(ids[0], COMPLAINT_LINKED, {"case": ids[1], "relation": "duplicate"}, NOON)]
            )
        elif deed == 2:
            self.ledger.append([Fact(ids[0], COMPLAINT_UNLINKED, {}, NOON)])
        elif deed == 3:
            place = {"lon": 105.8 + other / 100, "lat": 32.4, "method": "confirmed"}
            self.ledger.append(
                [Fact(ids[0], PLACE_CONFIRMED, {"place": place, "community": f"c{other}"}, NOON)]
            )


def identifier_of(number: int) -> str:
    from fieldkit.events import identifier

    return identifier(f"s\n#{number}")


def emptied(ledger: Ledger) -> Ledger:
    with store.writing(ledger._engine) as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.delete(table))
    return ledger


def rows_sealed(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for name, row in ledger.sealed():
        rows.setdefault(name, []).append(tuple(row.values()))
    return rows


def absorb(into: Ledger, other: Ledger) -> int:
    return into.absorb(other.events(), other.heads(), sealed=rows_sealed(other)).added


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keys | None]:
    folder = tmp_path_factory.mktemp("keys")
    # One of the devices has no keys and signs nothing.
    return {"north": Keys(folder / "north"), "south": Keys(folder / "south"), "west": None}


@pytest.fixture(scope="module")
def devices(keys: dict[str, Keys | None]) -> Iterator[dict[str, Device]]:
    made = {origin: Device(origin, keys[origin]) for origin in ORIGINS}
    yield made
    for device in made.values():
        device.ledger.close()


DEEDS = st.lists(
    st.tuples(st.sampled_from(ORIGINS), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


def states(into: Ledger, devices: dict[str, Device]) -> tuple[set[str], set[str]]:
    """The state and the data version after absorbing the devices in every order, each twice."""
    hashes, versions = set(), set()
    for order in itertools.permutations(ORIGINS):
        emptied(into)
        for origin in (*order, *order):
            absorb(into, devices[origin].ledger)
        assert into.verify() == []
        hashes |= {into.state_hash(), into.rebuild()}
        versions.add(into.data_version())
    return hashes, versions


@pytest.fixture(scope="module")
def gathered() -> Iterator[Ledger]:
    opened = Ledger("sqlite://", origin="office", clock=lambda: NOON)
    yield opened
    opened.close()


@settings(max_examples=40, deadline=None)
@given(
    deeds=DEEDS, exchanged=st.lists(st.tuples(st.sampled_from(ORIGINS), st.sampled_from(ORIGINS)), max_size=3)
)
def test_any_order_gives_the_same_state(
    devices: dict[str, Device],
    gathered: Ledger,
    deeds: list[tuple[str, int, int, int]],
    exchanged: list[tuple[str, str]],
) -> None:
    for device in devices.values():
        emptied(device.ledger)
        device.now = NOON
    for part in (deeds[::2], deeds[1::2]):
        for origin, *deed in part:
            devices[origin].do(*deed)
        # Devices that hear of each other on the way, and go on writing.
        for one, other in exchanged:
            if one != other:
                absorb(devices[one].ledger, devices[other].ledger)
    hashes, versions = states(gathered, devices)
    assert (len(hashes), len(versions)) == (1, 1)


@pytest.mark.postgres
def test_a_server_comes_to_the_same_state(
    postgres_database: Callable[[], str], keys: dict[str, Keys | None], gathered: Ledger
) -> None:
    devices = {origin: Device(origin, keys[origin]) for origin in ORIGINS}
    for turn in range(40):
        devices[ORIGINS[turn % 3]].do(turn * 7 % 4, turn * 5 % 5, turn * 3 % 5)
        if turn == 20:
            absorb(devices["north"].ledger, devices["south"].ledger)
    server = Ledger(postgres_database(), origin="office")
    try:
        assert states(server, devices) == states(gathered, devices)
        assert len(states(gathered, devices)[0]) == 1
    finally:
        server.close()
        for device in devices.values():
            device.ledger.close()


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.fixture
def north(tmp_path: Path) -> Iterator[Device]:
    device = Device("north", Keys(tmp_path / "north"))
    for n in range(4):
        device.receive(n)
    yield device
    device.ledger.close()


@pytest.fixture
def office() -> Iterator[Ledger]:
    opened = Ledger("sqlite://", origin="office", clock=lambda: NOON)
    yield opened
    opened.close()


def refused(into: Ledger, events: Sequence[Event], heads: Sequence[Head], match: str, **known: Any) -> None:
    before = (into.state_hash(), into.heads(), list(into.events()), rows_sealed(into))
    with pytest.raises(LedgerError, match=match) as caught:
        into.absorb(events, heads, **known)
    assert "\n" not in str(caught.value)
    assert (into.state_hash(), into.heads(), list(into.events()), rows_sealed(into)) == before


def redone(event: Event, **changed: Any) -> Event:
    """*event* changed, with a digest that is right again."""
    other = replace(event, **changed)
    fields = (getattr(other, name) for name in Event.__dataclass_fields__)
    return replace(other, digest=digest_of(*tuple(fields)[:10]))


def test_the_same_again_adds_nothing(north: Device, office: Ledger) -> None:
    first = office.absorb(north.ledger.events(), north.ledger.heads())
    again = office.absorb(north.ledger.events(), north.ledger.heads())
    assert (first.added, first.known, first.origins) == (5, 0, ("north",))
    assert (again.added, again.known, again.origins) == (0, 5, ())
    north.receive(9)
    assert office.absorb(list(north.ledger.events())[3:], north.ledger.heads()).added == 1


@pytest.mark.parametrize("field", list(Event.__dataclass_fields__))
def test_a_changed_field_is_refused(north: Device, office: Ledger, field: str) -> None:
    events = list(north.ledger.events())
    value = getattr(events[2], field)
    other = {
        str: lambda: value + "x",
        int: lambda: value + 1,
        bytes: lambda: bytes([value[0] ^ 1]) + value[1:],
    }
    events[2] = replace(events[2], **{field: other[type(value)]()})
    refused(office, events, north.ledger.heads(), r"[Ee]vents? ")


def test_gaps_forks_and_cut_tails_are_named(north: Device, office: Ledger) -> None:
    events, heads = list(north.ledger.events()), north.ledger.heads()
    refused(office, events[1:], heads, "Events 1 to 1 of north are neither here")
    refused(office, [*events[:2], *events[3:]], heads, "Event 4 of north does not follow event 2")
    refused(office, [events[0], events[2], events[1], *events[3:]], heads, "Event 3 of north does not follow")
    refused(office, [*events[:2], events[1], *events[2:]], heads, "Event 2 of north does not follow")
    refused(office, events[:-1], heads, "head of north names an event 5")
    refused(office, events, [], "end of the chain of north, event 5, is not signed")
    office.absorb(events, heads)
    fork = redone(events[4], payload=events[4].payload.replace('"4"', '"5"').replace('"3"', '"5"'))
    assert fork.digest != events[4].digest
    refused(office, [*events[:4], fork], [], "Event 5 of north is another here .* forked")
    refused(office, [redone(fork, sequence=6)], [], "Event 6 of north does not follow event 5 .* forked")


def test_a_forged_signature_is_refused(north: Device, office: Ledger, tmp_path: Path) -> None:
    events, (head,) = list(north.ledger.events()), north.ledger.heads()
    mallory = Keys(tmp_path / "mallory")
    for forged in (
        replace(head, signature=bytes(64)),
        replace(head, signature=b"", key=b""),
        replace(
            head,
            key=mallory.public,
            signature=mallory.sign(head_statement("north", head.sequence, head.digest)),
        ),
    ):
        refused(office, events, [forged], "head of north at event 5 is not signed with that device's key")
    refused(office, events, [replace(head, digest=bytes(32))], "head of north names an event 5")
    refused(office, events, [replace(head, sequence=1 << 70)], "impossible event")
    refused(office, events, [head, head], "given two ends")


def test_who_copies_a_chain_cannot_go_on_with_it_under_another_key(
    north: Device, office: Ledger, tmp_path: Path
) -> None:
    office.absorb(north.ledger.events(), north.ledger.heads())
    copy = Device("north", Keys(tmp_path / "mallory"))
    copy.ledger.fill_from(north.ledger)
    copy.receive(7)
    events, heads = list(copy.ledger.events()), copy.ledger.heads()
    refused(office, events, heads, "Event 6 of north changes the key of the device")
    # A device whose key was lost: the office has asked, and vouches for the new one.
    assert office.absorb(events, heads, trusted={"north": copy.ledger.heads()[0].key}).added == 2
    assert office.verify() == []
    copy.ledger.close()


PLACE = {"lon": 105.8, "lat": 32.4, "method": "given"}
RECEIVED = {"received_at": "2017-07-01T12:00:00+00:00", "source": "s"}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (COMPLAINT_RECEIVED, "[]"),
        (COMPLAINT_RECEIVED, "{}"),
        (COMPLAINT_RECEIVED, '{"source":"s","source":"t"}'),
        (COMPLAINT_RECEIVED, "[" * 100_000),
        (COMPLAINT_RECEIVED, '{"x":NaN}'),
        (COMPLAINT_RECEIVED, '{"x":1e999}'),
        (COMPLAINT_RECEIVED, '{"x":' + "1" * 5_000 + "}"),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "text": 5})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "text": ["a"]})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "unheard": "of"})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "received_at": "yesterday"})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "received_at": "2017-07-01T12:00:00"})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "closed_at": 7})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "channel": "telepathy"})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "categories": "noise"})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "categories": [{}]})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "details": []})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "place": 5})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "place": {**PLACE, "lat": 200}})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "place": {**PLACE, "lon": "105"}})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "place": {**PLACE, "lon": True}})),
        (COMPLAINT_RECEIVED, canonical({**RECEIVED, "place": {**PLACE, "original": [1]}})),
        (COMPLAINT_LINKED, "{}"),
        (COMPLAINT_LINKED, canonical({"case": "A" * 13, "relation": "duplicate"})),
        (COMPLAINT_LINKED, canonical({"case": ["A"], "relation": "duplicate"})),
        (COMPLAINT_LINKED, canonical({"case": "A", "relation": "cousin"})),
        (COMPLAINT_LINKED, canonical({"case": "A", "relation": "duplicate", "cause": 1})),
        (PLACE_CONFIRMED, canonical({"place": PLACE, "district": 3})),
        (PLACE_CONFIRMED, canonical({"place": {}})),
        (DEVICE_ENROLLED, canonical({"key": "ab" * 32})),
        ("role_granted", canonical({"actor": ["x"], "role": "keeper"})),
        ("meeting_held", "{}"),
    ],
)
def test_what_no_kit_writes_is_refused_in_a_sentence(office: Ledger, kind: str, payload: str) -> None:
    event = redone(
        Event("north", 1, "A" * 12, kind, "", 0, 0, 0, payload, GENESIS, GENESIS),
    )
    head = Head("north", 1, event.digest)
    refused(office, [event], [head], "Event 1 of north cannot be taken in")


@pytest.mark.parametrize(
    "changed",
    [
        {"sequence": 0},
        {"sequence": 1 << 63},
        {"origin": "a\nb"},
        {"subject": "x" * 33},
        {"subject": "x" * 13},
        {"occurred_at": 1 << 62},
        {"recorded_at": -(1 << 62)},
        {"tick": 1 << 62},
        {"actor": "a\x00b"},
    ],
    ids=str,
)
def test_impossible_fields_are_refused(office: Ledger, changed: dict[str, Any]) -> None:
    plain = Event("north", 1, "A" * 12, COMPLAINT_UNLINKED, "", 0, 0, 0, "{}", GENESIS, GENESIS)
    event = redone(plain, **changed)
    refused(office, [event], [], "vent")
    assert office.absorb([redone(plain)], [Head("north", 1, redone(plain).digest)]).added == 1


@pytest.mark.parametrize("wrong", [5, None, "x", [], True, {"deep": 1}])
@pytest.mark.parametrize("name", ["origin", "sequence", "payload", "digest"])
def test_a_line_that_is_no_event_is_refused(name: str, wrong: object) -> None:
    plain = Event("north", 1, "A" * 12, COMPLAINT_UNLINKED, "", 0, 0, 0, "{}", GENESIS, GENESIS).plain()
    assert event_of(json.loads(json.dumps(plain))).plain() == plain
    if type(wrong) is type(plain[name]) and name != "digest":
        return
    with pytest.raises(LedgerError, match=f"no event: '{name}'"):
        event_of({**plain, name: wrong})
    with pytest.raises(LedgerError, match="no event: 'more'"):
        event_of({**plain, "more": 1})


# --- clocks and persons ----------------------------------------------------------------------------------------


def test_what_is_written_next_comes_after_all_that_was_absorbed(north: Device, office: Ledger) -> None:
    north.now = NOON + timedelta(days=400)  # a clock that is wrong
    north.receive(8)
    office.absorb(north.ledger.events(), north.ledger.heads())
    (event,) = office.append([Fact("A" * 12, COMPLAINT_UNLINKED, {}, NOON)])
    assert event.tick > max(one.tick for one in north.ledger.events())


def test_persons_come_along_sealed_and_who_was_forgotten_stays_so(tmp_path: Path) -> None:
    vault_keys = Keys(tmp_path / "keys")
    first = Ledger(f"sqlite:///{tmp_path / 'a.sqlite'}", origin="a", actor="officer", keys=vault_keys)
    with first.receiving() as receiving:
        receiving.add([Receipt(c, c, person) for c, person in itertools.islice(sample_complaints(), 3)])
    ids = sorted(event.subject for event in first.events(kind=COMPLAINT_RECEIVED))
    second = Ledger(f"sqlite:///{tmp_path / 'b.sqlite'}", origin="b", actor="officer", keys=vault_keys)
    assert absorb(second, first) == 5
    person = second.complainant(ids[0], reason="a test")
    assert isinstance(person, Person)
    assert person.name.startswith("Resident")
    old = rows_sealed(first)
    second.forget(ids[0], reason="asked to")
    # The first device hears of it, and forgets too; its old copy brings nobody back.
    result = first.absorb(second.events(), second.heads(), sealed=rows_sealed(second))
    assert result.forgotten == 1
    assert second.absorb(first.events(), first.heads(), sealed=old).forgotten == 1
    for ledger in (first, second):
        assert ledger.complainant(ids[0], reason="a test") is None
        assert ledger.complainant(ids[1], reason="a test") is not None
        assert ledger.verify() == []
        ledger.close()


def test_two_vaults_in_one_are_refused(office: Ledger, north: Device) -> None:
    events, heads = list(north.ledger.events()), north.ledger.heads()
    refused(office, events, heads, "two vaults", sealed={"vault": [(bytes(32),), (bytes([1] * 32),)]})

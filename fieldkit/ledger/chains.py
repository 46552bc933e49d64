"""Follow events outside any store: whole chains, or the few events of a case with gaps between them."""

from __future__ import annotations

from collections.abc import Iterator

from fieldkit.errors import LedgerError
from fieldkit.events import DEVICE_ENROLLED, GENESIS, Event
from fieldkit.jsonlines import JsonRefused, strict_json
from fieldkit.ledger.absorbing import check_event
from fieldkit.ledger.heads import Head
from fieldkit.ledger.verification import Problem


class LooseChains:
    """Checks events given in the order of origin and sequence, then the heads; every method yields what is wrong.

    With *whole* nothing may be missing; otherwise only events that are neighbours must follow one another.
    """

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._last: Event | None = None
        # The last event of each device, and its digests by sequence; what is followed here is small, or read once.
        self._ends: dict[str, Event] = {}
        self._keys: dict[str, bytes] = {}
        self._headed: set[str] = set()

    def follow(self, event: Event) -> Iterator[Problem]:
        """Check the next event."""
        try:
            check_event(event)
        except LedgerError as error:
            yield _problem(event, str(error))
        last, self._last = self._last, event
        if last is not None and (event.origin, event.sequence) <= (last.origin, last.sequence):
            yield _problem(event, f"Event {event.sequence} of {event.origin} is out of order.")
        before = self._ends.get(event.origin)
        known, digest = (0, GENESIS) if before is None else (before.sequence, before.digest)
        if event.sequence == known + 1:
            if event.previous != digest:
                yield _problem(
                    event, f"Event {event.sequence} of {event.origin} does not follow the one before it."
                )
        elif self._whole and event.sequence > known + 1:
            yield _problem(
                event, f"Events {known + 1} to {event.sequence - 1} of {event.origin} are missing."
            )
        self._ends[event.origin] = event
        if event.kind == DEVICE_ENROLLED:
            self._enrol(event)

    def _enrol(self, event: Event) -> None:
        try:
            self._keys[event.origin] = bytes.fromhex(strict_json(event.payload)["key"])
        except (JsonRefused, KeyError, TypeError, ValueError):
            return  # which check_event has named

    def end(self, head: Head) -> Iterator[Problem]:
        """Check a head against the events of its device."""
        last = self._ends.get(head.origin)
        key = self._keys.get(head.origin)
        if head.origin in self._headed:
            yield Problem(head.origin, head.sequence, f"The chain of {head.origin} is given two ends.")
        self._headed.add(head.origin)
        if (key or head.key or head.signature) and (head.key != key or not head.is_genuine):
            message = (
                f"The end of the chain of {head.origin} is not signed with the key that the device named."
            )
            yield Problem(head.origin, head.sequence, message)
        if last is None or last.sequence > head.sequence or (self._whole and last.sequence < head.sequence):
            at = 0 if last is None else last.sequence
            message = f"The chain of {head.origin} ends at event {at}, but its head names another ({head.sequence})."
            yield Problem(head.origin, at, message)
        elif last.sequence == head.sequence and last.digest != head.digest:
            message = f"Event {head.sequence} of {head.origin} is not the one that its head names."
            yield Problem(head.origin, head.sequence, message)

    def unsigned(self) -> Iterator[Problem]:
        """The devices whose events have no head."""
        for origin, event in self._ends.items():
            if origin not in self._headed:
                yield _problem(event, f"The chain of {origin} has events but no head.")


def _problem(event: Event, message: str) -> Problem:
    return Problem(event.origin, event.sequence, message)

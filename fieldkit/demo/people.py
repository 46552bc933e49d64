"""Invented people who complain in the demonstration city."""

from __future__ import annotations

from random import Random
from typing import Any

from fieldkit.complaints import Person
from fieldkit.demo.figures import load

#: The share of complaints that give neither name nor telephone number.
ANONYMOUS = 0.15

# Coprime to the number of telephone numbers, so that a running number visits every one of them before any twice.
_STRIDE = 7_919


class Dice(Random):
    """A seeded random number generator whose choices are quick: a million complaints make some thirty million."""

    def choice(self, seq: Any) -> Any:
        """One of *seq*, each equally likely."""
        return seq[int(self.random() * len(seq))]

    def randint(self, a: int, b: int) -> int:
        """A whole number from *a* to *b*, both included."""
        return a + int(self.random() * (b - a + 1))


class People:
    """Makes up one person after another: a common surname, given characters, and a number that nobody has.

    Telephone numbers read like ``139-0003-1234`` and are all different for the first two million people.
    """

    def __init__(self, rng: Random) -> None:
        names = load("names.toml")
        self._rng = rng
        self._surnames: str = names["surname"]
        self._given: str = names["given"]
        self._prefixes: list[str] = names["phone_prefix"]
        self._made = rng.randrange(100_000)

    def anonymous_or_new(self) -> Person:
        """A new person, or an empty one in :data:`ANONYMOUS` of all cases."""
        return Person() if self._rng.random() < ANONYMOUS else self.new()

    def new(self) -> Person:
        """A new person with a name, and in nine of ten cases a telephone number."""
        rng = self._rng
        name = rng.choice(self._surnames) + rng.choice(self._given)
        if rng.random() < 0.75:
            name += rng.choice(self._given)
        return Person(name=name, phone=self._phone() if rng.random() < 0.9 else "")

    def _phone(self) -> str:
        self._made += 1
        number = self._made * _STRIDE % (len(self._prefixes) * 100_000)
        prefix, rest = divmod(number, 100_000)
        return f"{self._prefixes[prefix]}-000{rest // 10_000}-{rest % 10_000:04d}"

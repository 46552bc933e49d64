"""When things happen in the demonstration city: hot and rainy days, weekends, examinations, busy months."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

from fieldkit.demo.texts import Kind, Pattern

#: Days of a month with rain and with real heat, January to December.
_RAINY = (3, 4, 6, 8, 10, 11, 14, 12, 13, 10, 6, 3)
_HOT = (0, 0, 0, 1, 5, 11, 19, 20, 7, 0, 0, 0)

# Items drawn at once: bounds the memory when the city is made a thousand times larger.
_BATCH = 100_000


class Weather:
    """Which days of the period from *first* to *last* are hot or rainy, drawn once."""

    def __init__(self, rng: Random, days: Sequence[date]) -> None:
        self.hot: set[date] = set()
        self.rain: set[date] = set()
        # The days before the first one are asked about too, since things are reported some days late.
        for day in [days[0] - timedelta(days=n) for n in range(20, 0, -1)] + list(days):
            if rng.random() < _RAINY[day.month - 1] / 30:
                self.rain.add(day)
            elif rng.random() < _HOT[day.month - 1] / 22:
                self.hot.add(day)

    def fits(self, pattern: Pattern, evening: date) -> bool:
        """Whether *pattern* can have happened on *evening* (the hours after midnight belong to the day before)."""
        if pattern.days == "weekend":
            return evening.weekday() in ((4, 5) if pattern.first >= 18 else (5, 6))
        if pattern.days == "hot":
            return evening in self.hot
        # Sewers run over and pits are emptied on the wet day itself.
        return pattern.days != "rain" or evening in self.rain


def exam_season(day: date) -> bool:
    """Whether *day* lies in the two weeks before the university entrance examination of 7 and 8 June."""
    return date(day.year, 5, 25) <= day <= date(day.year, 6, 8)


def day_weight(kind: Kind, day: date, weather: Weather) -> float:
    """How likely a report of *kind* comes in on *day*, as a weight."""
    weight = float(kind.season[day.month - 1])
    days = {pattern.days for pattern in kind.patterns}
    if "weekend" in days and kind.night:
        weight *= 2.2 if day.weekday() in (4, 5, 6) else 0.8
    elif day.weekday() >= 5:
        weight *= 0.75
    if "hot" in days and day in weather.hot:
        weight *= 2.4
    if "rain" in days and day in weather.rain:
        weight *= 1.8
    if kind.code == "noise.construction" and date(day.year, 6, 5) <= day <= date(day.year, 6, 8):
        weight *= 3.5
    return weight


def spread(
    rng: Random, counts: Sequence[tuple[Sequence[Kind], int]], days: Sequence[date], weather: Weather
) -> list[Counter[Kind]]:
    """Give each of *days* its share: for every group of kinds exactly the given count in all, by share and season."""
    plan: list[Counter[Kind]] = [Counter() for _ in days]
    for kinds, total in counts:
        drawn = _draw_counts(rng, range(len(kinds)), [kind.share for kind in kinds], total)
        for index, kind in enumerate(kinds):
            weights = [day_weight(kind, day, weather) for day in days]
            for day, count in _draw_counts(rng, range(len(days)), weights, drawn[index]).items():
                plan[day][kind] += count
    return plan


def _draw_counts(rng: Random, population: range, weights: Sequence[float], total: int) -> Counter[int]:
    counts: Counter[int] = Counter()
    while total > 0:
        size = min(total, _BATCH)
        counts.update(rng.choices(population, weights, k=size))
        total -= size
    return counts

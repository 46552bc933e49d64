"""The demonstration city: a year of complaints, one after another, always the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple

from fieldkit.complaints import Complaint, Person
from fieldkit.demo.figures import Period, office_is_open, periods
from fieldkit.demo.geography import Site, Sites, vague_site
from fieldkit.demo.matters import TIME_ZONE, Matter, Memory, Told, draw_relation, told
from fieldkit.demo.people import Dice, People
from fieldkit.demo.seasons import Weather, exam_season, spread
from fieldkit.demo.texts import Kind, Pattern, Repeat, Source, Writer, address_pair, draw_source, kinds
from fieldkit.errors import FieldkitError
from fieldkit.places import Place

#: Whose numbering the demonstration's complaints carry.
SOURCE = "Guangyuan (demonstration)"

#: Shares of complaints whose place the office has by address only, and of those that nobody can find (of the kinds of
#: matter that come from anywhere).
WITHOUT_COORDINATES = 0.085
WITHOUT_PLACE = 0.033

_AT_ONCE = {
    "phone_12369": 0.66,
    "phone_12345": 0.4,
    "phone_other": 0.5,
    "wechat": 0.7,
    "web": 0.4,
    "local_forum": 0.4,
}
_HOURS = {
    "phone": ((8, 9, 10, 11, 14, 15, 16, 17, 19, 20), (14, 17, 14, 9, 9, 11, 11, 8, 4, 3)),
    "online": ((8, 10, 12, 13, 16, 19, 20, 21, 22, 23), (5, 9, 10, 9, 8, 10, 14, 15, 12, 8)),
    "visit": ((9, 10, 11, 14, 15, 16), (24, 26, 12, 15, 15, 8)),
}
_DAYS_LATE = {"letter": (2, 6), "superior": (5, 15), "visit": (1, 4), "mayor_mailbox": (0, 4)}
_ANYWHERE = frozenset({"farms", "rural", "works", "mixed", "roads", "settled"})
_ONE_DAY = timedelta(days=1)


class DemoComplaint(NamedTuple):
    """A complaint, who sent it, and the truth about it.

    *relation*, *cause* and *of* say for a repeat how it relates to its matter (``duplicate``, ``follow_up``,
    ``recurrence``), why a recurrence came (``late``, ``incomplete_rectification``, ``new_event``, ``dissatisfied``),
    and the number of the matter's first complaint; for a first complaint they are empty and *of* is None. *story* is
    one of :data:`~fieldkit.demo.STORIES`, or empty.
    """

    complaint: Complaint
    person: Person
    relation: str = ""
    cause: str = ""
    of: str | None = None
    story: str = ""


def make_complaints(seed: int = 2017, scale: int = 1, year: int = 2017) -> Iterator[DemoComplaint]:
    """Yield the complaints of *year* in order of receipt; equal arguments give equal complaints.

    2017 has 692 of them up to the end of November, with the channels and categories of the bureau's report; 2016 is
    invented for comparison (610 to the end of November, 658 in all). *scale* makes the same city that many times
    larger; the two written stories happen once whatever the scale. Memory grows with one day, not with the year.
    Raises :class:`FieldkitError` for another year or a scale below 1.
    """
    if scale < 1:
        raise FieldkitError(f"The scale {scale} is too small. Give a whole number from 1 up.")
    spans = periods(year)
    return _make(seed, scale, year, spans)


def previous_year(seed: int = 2017, scale: int = 1) -> Iterator[DemoComplaint]:
    """Yield the complaints of 2016, invented for comparison with the year after, as :func:`make_complaints` does."""
    return make_complaints(seed, scale, 2016)


def _make(seed: int, scale: int, year: int, spans: tuple[Period, ...]) -> Iterator[DemoComplaint]:
    width = max(4, len(str(scale * sum(span.total for span in spans))))
    count = 0
    for index, span in enumerate(spans):
        for drafted in _City(Dice(f"{seed} {year} {index}"), span, scale).drafts():
            for draft in drafted:
                count += 1
                yield draft.finish(f"{year}-{count:0{width}d}")


class _Draft(NamedTuple):
    """A complaint that waits for its number, and the matter it opens or repeats."""

    known: dict[str, Any]
    person: Person
    relation: str
    cause: str
    story: str
    matter: Matter
    opens: Memory | None

    def finish(self, number: str) -> DemoComplaint:
        """Make the complaint with its *number*, and let the city remember the matter."""
        if not self.relation:
            self.matter.number = number
            if self.opens is not None:
                self.opens.remember(self.matter)
        complaint = Complaint(number=number, source=SOURCE, **self.known)
        of = self.matter.number if self.relation else None
        return DemoComplaint(complaint, self.person, self.relation, self.cause, of, self.story)


class _Channels:
    """Hands out channels until each has had exactly its count; letters and visitors come when the office is open."""

    def __init__(self, rng: Random, counts: dict[str, int]) -> None:
        self._rng = rng
        self._names = list(counts)
        self._left = list(counts.values())
        self._at_the_office = [name in ("letter", "visit", "superior") for name in self._names]

    def draw(self, is_open: bool) -> str:
        """A channel that still has some left."""
        left = self._left
        if not is_open:
            left = [0 if at_office else n for n, at_office in zip(left, self._at_the_office, strict=True)]
            left = left if any(left) else self._left
        index = self._rng.choices(range(len(left)), left)[0]
        self._left[index] -= 1
        return self._names[index]


class _City:
    """One period of the city's life."""

    def __init__(self, rng: Random, span: Period, scale: int) -> None:
        self._rng = rng
        self._days = span.days
        self._weather = Weather(rng, self._days)
        self._people = People(rng)
        self._writer = Writer(rng)
        self._told: dict[date, list[Told]] = {}
        channels = {name: count * scale for name, count in span.channels.items()}
        categories = {code: count * scale for code, count in span.categories.items()}
        for one in told() if span.stories else ():
            self._told.setdefault(one.at.date(), []).append(one)
            channels[one.channel] -= 1
            categories[one.code.partition(".")[0]] -= 1
        self._channels = _Channels(rng, channels)
        groups = [
            ([kind for kind in kinds() if kind.main == code], count) for code, count in categories.items()
        ]
        self._plan = spread(rng, groups, self._days, self._weather)
        used = {kind.places for kind in kinds()}
        self._sites = {profile: Sites(profile) for profile in sorted(used)}
        self._memories = self._make_memories(scale)
        self._stories: dict[str, Matter] = {}
        self._tellers: dict[tuple[str, int], Person] = {}

    def _make_memories(self, scale: int) -> dict[Kind, Memory]:
        size = min(1000, 40 + scale)
        totals = {kind: sum(day[kind] for day in self._plan) for kind in kinds() if kind.repeats}
        return {kind: Memory(self._rng, size, total / len(self._days)) for kind, total in totals.items()}

    def drafts(self) -> Iterator[list[_Draft]]:
        """The complaints of each day, in order of receipt within the day."""
        for day, plan in zip(self._days, self._plan, strict=True):
            agenda = list(plan.elements())
            self._rng.shuffle(agenda)
            is_open = office_is_open(day)
            drafts = [self._draft(kind, day, is_open) for kind in agenda]
            drafts += [self._tell(one) for one in self._told.get(day, ())]
            drafts.sort(key=lambda draft: draft.known["received_at"])
            yield drafts

    def _draft(self, kind: Kind, day: date, is_open: bool) -> _Draft:
        rng = self._rng
        channel = self._channels.draw(is_open)
        pattern, received_at, occurred_at, precision = self._times(kind, channel, day)
        memory = self._memories.get(kind)
        matter = memory.recall(day) if memory else None
        if matter is None:
            matter = self._new_matter(kind, day)
            relation, cause, repeat = "", "", None
            person = matter.person
        else:
            relation, cause = draw_relation(rng, (day - matter.last_on).days)
            person = self._who_repeats(matter, relation, cause)
            matter.count += 1
            matter.last_on = day
            same = person is matter.person and bool(person)
            repeat = Repeat(cause or relation, matter.first_on, matter.count, same)
        other_name, place = self._locate(matter.site)
        address = address_pair(matter.site, other_name)
        exam = kind.family == "night" and exam_season(day)
        zh, en = self._writer.write(
            kind, pattern, channel, address, matter.source, day, exam=exam, repeat=repeat
        )
        known = {
            "received_at": received_at,
            "channel": channel,
            "occurred_at": occurred_at,
            "precision": precision,
            "text": zh,
            "translation": en,
            "categories": (kind.code,) if kind.code else (),
            "reported_type": kind.reported,
            "address": address[0],
            "district": matter.site.district,
            "community": matter.site.community if place else "",
            "suspected_source": matter.source.zh.replace("“", "").replace("”", ""),
            "place": place,
        }
        summer = _is_summer_night(kind, occurred_at, matter.site.district)
        story = "summer_nights" if summer else ""
        return _Draft(known, person, relation, cause, story, matter, None if relation else memory)

    def _new_matter(self, kind: Kind, day: date) -> Matter:
        rng = self._rng
        if kind.places in _ANYWHERE and rng.random() < WITHOUT_PLACE:
            site = vague_site(rng)
        else:
            site = self._sites[kind.places].draw(rng)
        return Matter(kind, site, draw_source(rng, kind), self._people.anonymous_or_new(), "", day, day)

    def _who_repeats(self, matter: Matter, relation: str, cause: str) -> Person:
        chance = {"duplicate": 0.15, "follow_up": 1.0}.get(relation, 1.0 if cause == "dissatisfied" else 0.6)
        return matter.person if self._rng.random() < chance else self._people.anonymous_or_new()

    def _locate(self, site: Site) -> tuple[bool, Place | None]:
        """Whether the address calls the place by another name, and the point, or None where the office has none."""
        rng = self._rng
        if not site.district:
            return False, None
        if rng.random() < WITHOUT_COORDINATES:
            return rng.random() < 0.5, None
        # Two people never point at quite the same spot: about 15 m apart, at 32 degrees north.
        lon, lat = site.lon + rng.uniform(-1.6e-4, 1.6e-4), site.lat + rng.uniform(-1.35e-4, 1.35e-4)
        return False, Place(round(lon, 6), round(lat, 6), accuracy_m=30.0)

    def _times(self, kind: Kind, channel: str, day: date) -> tuple[Pattern, datetime, datetime | None, str]:
        """When it happens, when it was received on *day*, when it had occurred, and how exactly receipt is known."""
        rng = self._rng
        if rng.random() < _AT_ONCE.get(channel, 0.0):
            pattern = self._pattern(kind, day)
            last = pattern.last
            if last > 23 and pattern.days == "weekend" and not self._weather.fits(pattern, day - _ONE_DAY):
                last = 23
            hour = rng.randint(pattern.first, last) % 24
            received = datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), TIME_ZONE)
            return pattern, received, received - timedelta(minutes=rng.randint(3, 50)), "second"
        received, precision = self._office_time(channel, day)
        low, high = _DAYS_LATE.get(channel, (0, 1))
        late = rng.randint(low, high)
        pattern = self._pattern(kind, day - late * _ONE_DAY)
        if late == 0 and pattern.first >= received.hour:
            late = 1
            pattern = self._pattern(kind, day - _ONE_DAY)
        if kind.static or rng.random() < 0.3:
            return pattern, received, None, precision
        hour = rng.randint(pattern.first, pattern.last)
        if late == 0:
            hour = min(hour, received.hour - 1)
        evening = datetime.combine(day - late * _ONE_DAY, time(0), TIME_ZONE)
        return pattern, received, evening + timedelta(hours=hour, minutes=10 * rng.randrange(6)), precision

    def _office_time(self, channel: str, day: date) -> tuple[datetime, str]:
        rng = self._rng
        if channel in ("letter", "superior"):
            return datetime.combine(day, time(0), TIME_ZONE), "day"
        if channel == "visit":
            hour = rng.choices(*_HOURS["visit"])[0]
            return datetime.combine(day, time(hour), TIME_ZONE), "hour"
        hours = _HOURS["phone" if channel.startswith("phone") else "online"]
        hour = rng.choices(*hours)[0]
        return datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), TIME_ZONE), "second"

    def _pattern(self, kind: Kind, evening: date) -> Pattern:
        fitting = [pattern for pattern in kind.patterns if self._weather.fits(pattern, evening)]
        special = [pattern for pattern in fitting if pattern.days != "any"]
        return self._rng.choice(special if special and self._rng.random() < 0.7 else fitting)

    def _tell(self, one: Told) -> _Draft:
        rng = self._rng
        place: Place | None = None
        if one.has_place:
            lon, lat = (degree + rng.uniform(-1.2e-4, 1.2e-4) for degree in one.point)
            place = Place(round(lon, 6), round(lat, 6), accuracy_m=30.0)
        known = {
            "received_at": one.at,
            "channel": one.channel,
            "occurred_at": one.occurred_at,
            "precision": one.precision,
            "text": one.zh,
            "translation": one.en,
            "categories": (one.code,),
            "reported_type": "居民区共用设施噪声",
            "address": one.address,
            "district": "利州区",
            "community": one.community if place else "",
            "suspected_source": one.source,
            "place": place,
        }
        matter = self._stories.get(one.story)
        if matter is None:
            kind = next(kind for kind in kinds() if kind.main == "noise")
            site = Site(one.address, one.address, "", "利州区", one.community, *one.point)
            matter = Matter(kind, site, Source(one.source, ""), Person(), "", one.at.date(), one.at.date())
            self._stories[one.story] = matter
        person = Person()
        if one.person:
            person = self._tellers.setdefault((one.story, one.person), self._people.new())
        return _Draft(known, person, one.relation, one.cause, one.story, matter, None)


def _is_summer_night(kind: Kind, happened: datetime | None, district: str) -> bool:
    if not kind.summer_nights or happened is None or district != "利州区":
        return False
    return 6 <= happened.month <= 9 and (happened.hour >= 21 or happened.hour < 2)

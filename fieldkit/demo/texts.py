"""What people of the demonstration city say: Chinese texts with an English rendering, composed clause by clause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from random import Random
from typing import Any

from fieldkit import vocabulary
from fieldkit.demo.figures import load
from fieldkit.demo.geography import Site

#: Lengths that a text is held to, in characters.
SHORTEST, LONGEST = 60, 250

Pair = tuple[str, str]

_VOICES = {
    "phone_12369": "caller",
    "phone_other": "caller",
    "phone_12345": "citizen_line",
    "visit": "visitor",
    "letter": "writer",
    "mayor_mailbox": "mailbox",
    "local_forum": "netizen",
    "web": "web",
    "wechat": "wechat",
    "superior": "superior",
}
# Not calendar.month_name, which speaks the language of the machine.
_MONTHS = tuple("January February March April May June July".split())  # noqa: SIM905 - shorter to read
_MONTHS = (*_MONTHS, "August", "September", "October", "November", "December")
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six")
_THIRDS = (("上旬", "early in"), ("中旬", "in the middle of"), ("下旬", "late in"))


@dataclass(frozen=True, slots=True)
class Pattern:
    """When a thing happens: the words for it, its *first* and *last* hour (24 and 25: after midnight), which days."""

    zh: str
    en: str
    first: int
    last: int
    days: str = "any"


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """Words in both languages, and when and for which sources they make sense.

    *months* of the year; *exam*: only just before the examinations; *tags*: shared with a source's, none being any.
    """

    zh: str
    en: str
    months: frozenset[int] = frozenset(range(1, 13))
    exam: bool = False
    tags: frozenset[str] = frozenset()

    def suits(self, tags: frozenset[str]) -> bool:
        """Whether this can be said about a source with *tags*."""
        return not self.tags or not self.tags.isdisjoint(tags)


@dataclass(frozen=True, slots=True)
class Source:
    """What causes a matter, in both languages; *tags* say which clauses can be said about it."""

    zh: str
    en: str
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of matter, a sub-category or a part of ``other``: its share, its season, what is said about it."""

    code: str
    main: str
    reported: str
    share: int
    family: str
    places: str
    season: tuple[int, ...]
    summer_nights: bool
    repeats: bool
    static: bool
    lasting: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    sources: tuple[Clause, ...]
    does: tuple[Clause, ...]
    details: tuple[Clause, ...]
    effects: tuple[Clause, ...]
    tried: tuple[Clause, ...]
    demands: tuple[Clause, ...]

    @property
    def night(self) -> bool:
        """Whether it happens in the evening or at night whatever the day."""
        return all(pattern.first >= 19 for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a repeat refers to.

    *relation*, or for a recurrence its cause; *since* when the matter came up; *count* which report of it this is;
    whether the *same_person* reports it as before.
    """

    relation: str
    since: date
    count: int
    same_person: bool


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of matter, in the order of the files."""
    return tuple(
        _kind(row)
        for name in ("noise", "air", "water", "rest")
        for row in load(f"sentences/{name}.toml")["kind"]
    )


def _kind(row: dict[str, Any]) -> Kind:
    shared = load("sentences/shared.toml")[row["family"]]
    code = row["code"]
    return Kind(
        code=code,
        main=vocabulary.main_category(code) if code else "",
        reported=row.get("reported") or (vocabulary.label(code, "zh") if code else ""),
        share=row["share"],
        family=row["family"],
        places=row["places"],
        season=tuple(row.get("season", (9,) * 12)),
        summer_nights=row.get("summer_nights", False),
        repeats=row.get("repeats", True),
        static=row["pattern"] == "static",
        lasting=tuple(row.get("lasting", ("days", "weeks", "weeks", "months", "years"))),
        patterns=tuple(_pattern(p) for p in load("sentences/patterns.toml")[row["pattern"]]),
        sources=_clauses(row["sources"]),
        does=_clauses(row["does"]),
        details=_clauses(row["details"]),
        effects=_clauses(shared["effects"]),
        tried=_clauses(shared["tried"]),
        demands=_clauses(shared["demands"]),
    )


def _pattern(row: dict[str, Any]) -> Pattern:
    first, last = row["hours"]
    return Pattern(row["zh"], row["en"], first, last, row.get("days", "any"))


def _clauses(rows: Sequence[Sequence[str]]) -> tuple[Clause, ...]:
    return tuple(_clause(*row) for row in rows)


def _clause(zh: str, en: str, words: str = "") -> Clause:
    """Read one row: the two texts, and words that are months like ``4-10``, ``exam``, or tags."""
    months, tags = frozenset(range(1, 13)), set(words.split())
    for word in tags:
        if word[0].isdigit():
            first, last = (int(month) for month in word.split("-"))
            months = frozenset(range(first, last + 1))
    exam = "exam" in tags
    return Clause(zh, en, months, exam, frozenset(tag for tag in tags - {"exam"} if not tag[0].isdigit()))


def draw_source(rng: Random, kind: Kind) -> Source:
    """What causes a matter of *kind*, with an invented name where it has one."""
    clause = rng.choice(kind.sources)
    zh, en = clause.zh, clause.en
    for slot in ("shop", "firm", "works"):
        mark = f"{{{slot}}}"
        if mark in zh:
            words = [rng.choice(part) for part in load("names.toml")[slot]]
            joint = "" if slot == "firm" else " "
            zh = zh.replace(mark, "".join(word[0] for word in words))
            en = en.replace(mark, joint.join(word[1] for word in words))
    return Source(zh, en, clause.tags)


class Writer:
    """Writes down complaints: every call gives a Chinese text and its English rendering."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._frames = load("sentences/frames.toml")

    def write(  # one matter is all of these
        self,
        kind: Kind,
        pattern: Pattern,
        channel: str,
        address: Pair,
        source: Source,
        day: date,
        *,
        exam: bool = False,
        repeat: Repeat | None = None,
    ) -> Pair:
        """The text of a complaint received on *day*, :data:`SHORTEST` to :data:`LONGEST` Chinese characters."""
        rng = self._rng
        voice = self._frames["voice"][_VOICES[channel]]
        opening = rng.choice(voice["openings"])
        does = rng.choice(_fitting(kind.does, day.month, exam, source.tags))
        onset = self._onset(kind, day) if repeat is None and rng.random() < 0.8 else None
        lead = _lead(rng, opening, address, source, does, pattern, onset)
        if repeat is not None:
            lead = _joined((lead, self._repeat_clause(repeat, day)))
        body = self._body(kind, source, day, exam, curt=channel == "wechat")
        closing = rng.choice(voice["closings"])
        tokens = self._tokens(voice)
        return _fit(lead, body, closing, tokens)

    def _body(self, kind: Kind, source: Source, day: date, exam: bool, curt: bool) -> list[Pair]:
        """The sentences after the first, the ones that can be left out last in importance first."""
        rng = self._rng
        detail, other = rng.sample(_fitting(kind.details, day.month, exam, source.tags), 2)
        effects = _fitting(kind.effects, day.month, exam, source.tags)
        # Just before the examinations that is what people speak of.
        effect = rng.choice([e for e in effects if e.exam] or effects) if exam else rng.choice(effects)
        demand = rng.choice(kind.demands)
        parts: list[Clause]
        if curt:
            parts = [rng.choice((detail, effect)), demand]
            if len(demand.zh) + len(parts[0].zh) < 46:
                parts.insert(1, other)
        else:
            parts = [detail, effect, demand]
            if rng.random() < 0.3:
                parts = [effect, detail, demand]
            if rng.random() < 0.45:
                parts.insert(len(parts) - 1, rng.choice(kind.tried))
            if rng.random() < 0.12:
                parts.insert(1, other)
        return [(part.zh, part.en) for part in parts]

    def _tokens(self, voice: Mapping[str, Any]) -> dict[str, Any]:
        rng = self._rng
        home, my = voice["home"]
        asks, asks_en = rng.choice(voice["asks"])
        few = 2 + int(rng.random() * 5)
        return {
            "家": home,
            "my": my,
            "my_cap": my[0].upper() + my[1:],
            "请": asks,
            "asks": asks_en,
            "n": few,
            "n_cap": _NUMBERS[few],
            "m": 3 + int(rng.random() * 58),
            "h": 10 + int(rng.random() * 6) * 10,
            "k": 20 + int(rng.random() * 8) * 10,
            "floor": 2 + int(rng.random() * 17),
            "db": 52 + int(rng.random() * 27),
            "quiet": 33 + int(rng.random() * 10),
        }

    def _onset(self, kind: Kind, day: date) -> Pair:
        rng = self._rng
        unit = rng.choice(kind.lasting)
        low, high, length = {
            "days": (3, 9, 1),
            "weeks": (2, 6, 7),
            "months": (2, 8, 30),
            "years": (2, 4, 365),
        }[unit]
        amount = rng.randint(low, high)
        zh, en = rng.choice(self._frames["onset"][unit])
        tokens = _date_words(day - timedelta(days=amount * length), day)
        tokens["o"] = str(amount)
        return zh.format_map(tokens), en.format_map(tokens)

    def _repeat_clause(self, repeat: Repeat, day: date) -> Pair:
        choices = self._frames["repeat"][repeat.relation]
        if repeat.relation == "duplicate":
            # Only the same person can say that they reported it through another channel.
            choices = choices[2:] if repeat.same_person else choices[:2]
        zh, en = self._rng.choice(choices)
        words = _date_words(repeat.since, day)
        tokens = {"date_zh": words["since_zh"], "date_en": words["since_en"], "count": repeat.count}
        return zh.format_map(tokens), en.format_map(tokens)


@cache
def _fitting(clauses: tuple[Clause, ...], month: int, exam: bool, tags: frozenset[str]) -> list[Clause]:
    return [c for c in clauses if month in c.months and (exam or not c.exam) and c.suits(tags)]


def _lead(
    rng: Random,
    opening: Pair,
    address: Pair,
    source: Source,
    does: Clause,
    pattern: Pattern,
    onset: Pair | None,
) -> Pair:
    """The first sentence: what is where, when and what it does, and since when."""
    since, since_en = onset or ("", "")
    joint = "" if "的" in source.zh else "的"
    zh = f"{address[0]}{joint}{source.zh}{since}{pattern.zh}{does.zh}。"
    if since and rng.random() < 0.4:
        zh = f"{since}，{address[0]}{joint}{source.zh}{pattern.zh}{does.zh}。"
    gap = "" if not pattern.en or pattern.en.startswith(",") else " "
    en = f"{source.en} {address[1]} {does.en}{gap}{pattern.en}."
    if not opening[1].endswith(("that ", ", ", ": ")):
        en = en[0].upper() + en[1:]
    en = opening[1] + en
    return opening[0] + zh, f"{en} {since_en}".rstrip()


def _date_words(then: date, now: date) -> dict[str, str]:
    last_year = then.year != now.year
    third, third_en = _THIRDS[min((then.day - 1) // 10, 2)]
    month = _MONTHS[then.month - 1]
    before, after = ("去年", " last year") if last_year else ("", "")
    return {
        "since_zh": f"{before}{then.month}月{then.day}日",
        "since_en": f"{then.day} {month}{after}",
        "month_zh": f"{before}{then.month}月",
        "month_en": f"{month}{after}",
        "third_zh": third,
        "third_en": third_en,
        "year_zh": f"{then.year}年",
        "year_en": str(then.year),
    }


def _joined(parts: Sequence[Pair]) -> Pair:
    return "".join(part[0] for part in parts), " ".join(part[1] for part in parts if part[1])


def _fit(lead: Pair, body: list[Pair], closing: Pair, tokens: Mapping[str, Any]) -> Pair:
    """Put the sentences together; where that is too long, leave out the ones in the middle, one by one."""
    while True:
        zh, en = _joined((lead, *body, closing))
        zh = zh.format_map(tokens)
        if len(zh) <= LONGEST or len(body) <= 2:
            return zh, en.format_map(tokens)
        body = [body[0], *body[2:]]


def address_pair(site: Site, other_name: bool = False) -> Pair:
    """The address of *site* in both languages; *other_name* calls the place by another of its names in Chinese."""
    return (site.other_address if other_name else site.address), site.address_en

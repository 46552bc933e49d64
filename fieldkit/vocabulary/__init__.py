"""The words of the trade: channels and pollution categories, with codes, Chinese, English and their marks.

The tables are data (``channels.toml``, ``categories.toml``), typed from the published lists with their
verification marks kept: V1 read in the instrument itself, V2 confirmed by a second source, C computed,
M from memory, D a design choice of this kit.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Channel:
    """A way in which complaints reach the bureau; *group* is the line it is counted under in reports."""

    code: str
    zh: str
    en: str
    group: str
    mark: str


@dataclass(frozen=True, slots=True)
class Category:
    """A pollution category; *code* is dotted, its first part is the main category."""

    code: str
    zh: str
    en: str
    mark: str

    @property
    def main(self) -> str:
        """The code of the main category, e.g. ``noise`` for ``noise.lowfreq.transformer``."""
        return main_category(self.code)


#: Names of the groups of channels, in the order of the bureau's annual report.
CHANNEL_GROUPS: dict[str, tuple[str, str]] = {
    "superior": ("上级转办", "transferred from superiors"),
    "online": ("网络", "online"),
    "telephone": ("电话", "telephone"),
    "letter_visit": ("来信来访", "letters and visits"),
    "elsewhere": ("其他渠道", "other channels"),
}

# Two code prefixes are shorter than their main category's name in the published list.
_MAIN = {
    "waste": "solid_waste",
    "rad": "radiation",
    "eco": "ecology",
    "vib": "vibration",
    "mgmt": "management",
}


def main_category(code: str) -> str:
    """Name the main category of a dotted category code, e.g. ``radiation`` for ``rad.em``."""
    first = code.partition(".")[0]
    return _MAIN.get(first, first)


@cache
def channels() -> dict[str, Channel]:
    """All channels by code, in the published order."""
    return {code: Channel(code=code, **row) for code, row in _table("channels.toml").items()}


@cache
def categories() -> dict[str, Category]:
    """All categories by code, main categories included, each main one before its own."""
    rows = _table("categories.toml")
    return {row["code"]: Category(**row) for row in rows["category"]}


def main_categories() -> dict[str, Category]:
    """The main categories by code, in the order of the bureau's annual report."""
    return {code: category for code, category in categories().items() if "." not in code}


def label(code: str, language: str = "en") -> str:
    """The name of a channel, channel group or category in *language* (``en``, ``zh``); an unknown code names itself."""
    known: Channel | Category | None = channels().get(code) or categories().get(code)
    if known is not None:
        return known.zh if language == "zh" else known.en
    if code in CHANNEL_GROUPS:
        return CHANNEL_GROUPS[code][0 if language == "zh" else 1]
    return code


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))

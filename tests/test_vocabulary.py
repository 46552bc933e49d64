"""The words of the trade: whole, in order, and word for word those of the published list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fieldkit import vocabulary

HANDBOOK = Path(__file__).parents[2] / "shared" / "domain" / "handbook.md"
MARK = re.compile(r"V1|V2|C|D|M-hi|M-mid|M-lo")

#: Names that were made clearer than the list's own, which is a working table: there -> here.
REWORDED = {
    "12369 热线": "12369 环保热线",
    "12369 hotline": "12369 environmental hotline",
    "12345 government hotline": "12345 government service hotline",
    "secretary/mayor mailbox": "secretary and mayor mailbox",
    "deputies' proposals": "deputies' proposal",
    "人大建议政协提案": "人大建议、政协提案",
}
#: The words in which the list says what a channel was counted under in 2017.
GROUP_WORDS = {"online": "online", "telephone": "telephone", "letters or visits": "letter_visit"}


def handbook() -> str:
    if not HANDBOOK.is_file():
        pytest.skip("the published list is not beside this checkout")
    return HANDBOOK.read_text(encoding="utf-8")


def plain_mark(mark: str) -> str:
    # "seed" is the bureau's own report, which was read in the original: V1.
    return "V1" if mark in ("V1 seed", "seed") else mark


def published_channels() -> dict[str, dict[str, str]]:
    section = handbook().split("### 3.1 Channels")[1].split("### 3.2")[0]
    rows: dict[str, dict[str, str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `"):
            continue
        codes = re.findall(r"`(\w+)`", cells[0])
        names_zh = re.sub(r" \([^)]*\)", "", cells[1]).split(" / ")
        names_en = cells[2].split(" / ")
        for code, zh, en in zip(codes, names_zh, names_en, strict=True):
            mark = plain_mark(cells[5])
            rows[code] = {"zh": zh, "en": en, "counted": cells[3], "mark": mark}
    return rows


def published_categories() -> dict[str, tuple[str, dict[str, str]]]:
    # Read by hand: one English name has commas, which YAML would take for the next key.
    section = handbook().split("### 3.2 Pollution categories")[1].split("```yaml")[1].split("```")[0]
    rows, main = {}, ""
    for line in section.splitlines():
        main = heading[1] if (heading := re.match(r"  (\w+):", line)) else main
        for code, zh, en, mark in re.findall(
            r"\{code: (\S+), zh: (.+?), en: (.+?)(?:, mark: ([\w-]+).*?)?\}", line
        ):
            rows[code] = (main, {"zh": zh, "en": en, "mark": mark})
    return rows


def test_channels_are_the_published_ones_row_by_row() -> None:
    published = published_channels()
    assert len(published) == 13
    for code, row in published.items():
        channel = vocabulary.channels()[code]
        assert channel.zh == REWORDED.get(row["zh"], row["zh"])
        assert channel.en == REWORDED.get(row["en"], row["en"])
        assert channel.mark == row["mark"]
        for words, group in GROUP_WORDS.items():
            if f'"{words}"' in row["counted"]:
                assert channel.group == group
    added = set(vocabulary.channels()) - set(published)
    assert {vocabulary.channels()[code].mark for code in added} == {"D"}


def test_categories_are_the_published_ones_row_by_row() -> None:
    published = published_categories()
    assert len(published) == 38
    for code, (main, row) in published.items():
        category = vocabulary.categories()[code]
        assert category.main == main
        assert (category.zh, category.en) == (row["zh"], row["en"])
        if row["mark"]:
            assert category.mark == plain_mark(row["mark"])
    finer = set(vocabulary.categories()) - set(vocabulary.main_categories())
    assert finer == set(published) - {"other"}


def test_every_finer_category_has_its_main_one() -> None:
    for category in vocabulary.categories().values():
        assert category.main in vocabulary.main_categories()


def test_main_categories_come_first_in_the_order_of_the_annual_report() -> None:
    mains = list(vocabulary.main_categories())
    assert mains[:6] == ["water", "air", "noise", "solid_waste", "radiation", "other"]
    assert list(vocabulary.categories())[: len(mains)] == mains


def test_every_row_has_both_languages_and_a_mark() -> None:
    for row in (*vocabulary.channels().values(), *vocabulary.categories().values()):
        assert re.search(r"[\u4e00-\u9fff]", row.zh)
        assert re.search(r"[A-Za-z]", row.en)
        assert MARK.fullmatch(row.mark)


def test_every_channel_is_counted_under_a_known_group() -> None:
    assert {channel.group for channel in vocabulary.channels().values()} == set(vocabulary.CHANNEL_GROUPS)


@pytest.mark.parametrize(
    ("code", "main"),
    [
        ("noise.lowfreq.transformer", "noise"),
        ("waste.hazardous", "solid_waste"),
        ("solid_waste", "solid_waste"),
        ("rad.em", "radiation"),
        ("eco.damage", "ecology"),
        ("vib.environment", "vibration"),
        ("mgmt.eia_permit", "management"),
        ("other", "other"),
    ],
)
def test_main_category_of(code: str, main: str) -> None:
    assert vocabulary.main_category(code) == main


@pytest.mark.parametrize(
    ("code", "en", "zh"),
    [
        ("phone_12345", "12345 government service hotline", "12345 政务服务便民热线"),
        ("letter_visit", "letters and visits", "来信来访"),
        ("noise.lowfreq.distribution_room", "distribution room", "配电房"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("", "", ""),
    ],
)
def test_label(code: str, en: str, zh: str) -> None:
    assert vocabulary.label(code) == en
    assert vocabulary.label(code, "zh") == zh

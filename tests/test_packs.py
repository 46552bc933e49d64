"""The packs: each main category has one, and what they name is in the vocabulary."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fieldkit import plugins, settings, vocabulary
from fieldkit.packs import subcategories_of

ROOT = Path(__file__).parents[1]
NAMES = sorted(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["fieldkit.packs"]
)


@pytest.fixture(params=NAMES)
def pack(request: pytest.FixtureRequest) -> plugins.Pack:
    loaded = plugins.load_plugin("fieldkit.packs", request.param)
    assert isinstance(loaded, plugins.Pack)
    return loaded


def test_there_are_six_packs() -> None:
    assert NAMES == ["air", "noise", "other", "radiation", "waste", "water"]


def test_pack_names_categories_of_the_vocabulary(pack: plugins.Pack) -> None:
    assert pack.category in vocabulary.main_categories()
    assert pack.subcategories
    assert set(pack.subcategories) <= set(vocabulary.categories())
    assert not set(pack.subcategories) & set(vocabulary.main_categories())


def test_pack_has_a_title_for_a_list(pack: plugins.Pack) -> None:
    assert pack.title
    assert "\n" not in pack.title


def test_pack_names_a_notebook_that_exists_or_none(pack: plugins.Pack) -> None:
    if pack.notebook is not None:
        assert settings.asset(pack.notebook).is_file()


def test_every_category_has_exactly_one_pack() -> None:
    packs = [plugins.load_plugin("fieldkit.packs", name) for name in NAMES]
    named = [code for pack in packs for code in (pack.category, *pack.subcategories)]
    kinds_without_finer_ones = {"ecology", "light", "vibration", "management"}
    assert len(named) == len(set(named))
    assert set(named) == set(vocabulary.categories()) - kinds_without_finer_ones


def test_finer_categories_keep_the_vocabularys_order_and_prefix() -> None:
    assert subcategories_of("radiation") == ("rad.em", "rad.ionising")
    assert subcategories_of("other") == ()
    assert all(code.startswith("noise.") for code in subcategories_of("noise"))
    assert len(subcategories_of("noise")) == 15

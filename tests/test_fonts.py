"""The font: found, subset, registered, and honest about what it cannot draw."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import warnings

import pytest

from fieldkit import fonts
from fieldkit.errors import FontError


def _font_in(rule: str):
    from fontTools.ttLib import TTFont

    data = re.search(r"base64,([A-Za-z0-9+/=]+)\)", rule)
    assert data is not None
    return TTFont(io.BytesIO(base64.b64decode(data[1])))


def test_the_font_lies_in_an_installed_package():
    assert fonts.chinese_font().name == "NotoSansSC-Regular.otf"
    assert fonts.folder() == fonts.chinese_font().parent


def test_css_carries_exactly_the_non_ascii_characters():
    rule = fonts.css_for("利州区 Lizhou 噪声 {{7*7}} </style> 噪声")
    with _font_in(rule) as font:
        assert {chr(c) for c in font.getBestCmap()} == set("利州区噪声")
    assert "</style" not in rule
    assert "local(" not in rule
    assert "http" not in rule


def test_css_is_the_same_for_the_same_characters_and_empty_without_any():
    assert fonts.css_for("声噪") == fonts.css_for("噪噪声")
    assert fonts.css_for("Lizhou 821") == ""
    assert fonts.css_for("😀") == ""


def test_the_subset_does_not_depend_on_the_cache():
    first = fonts.css_for("变压器")
    fonts._subset.cache_clear()
    assert fonts.css_for("变压器") == first


def test_a_page_of_300_characters_stays_small():
    text = "".join(chr(c) for c in range(0x4E00, 0x4E00 + 300))
    assert len(fonts.css_for(text)) < 150_000


def test_missing_glyphs_are_named_and_replaced():
    assert fonts.missing_glyphs("广元市 821 ≤ 45 dB(A) °²") == set()
    assert fonts.missing_glyphs("狗😀叫\u200f") == {"😀"}
    assert fonts.printable("狗😀叫\u200f\n夜间") == "狗〓叫 夜间"
    assert fonts.missing_glyphs(fonts.SUBSTITUTE) == set()


def test_matplotlib_draws_chinese_without_a_missing_glyph():
    from matplotlib.figure import Figure

    assert fonts.register_with_matplotlib() == fonts.FAMILY
    assert fonts.register_with_matplotlib() == fonts.FAMILY
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = Figure(figsize=(2, 1))
        figure.text(0.1, 0.5, "苍溪县 Cangxi −5")
        figure.savefig(io.BytesIO(), format="png")


def test_a_missing_package_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setattr(fonts, "_PACKAGE", "no_such_font_package")
    fonts.chinese_font.cache_clear()
    try:
        with pytest.raises(FontError, match="pip install no-such-font-package"):
            fonts.chinese_font()
    finally:
        monkeypatch.undo()
        fonts.chinese_font.cache_clear()


def test_a_package_without_the_file_is_said_too(monkeypatch):
    monkeypatch.setattr(fonts, "_FILE", "nothing.otf")
    fonts.chinese_font.cache_clear()
    try:
        with pytest.raises(FontError, match=r"lacks nothing\.otf"):
            fonts.chinese_font()
    finally:
        monkeypatch.undo()
        fonts.chinese_font.cache_clear()


def test_importing_the_module_loads_nothing_heavy():
    code = (
        "import sys, fieldkit.fonts; "
        "print([m for m in ('fontTools', 'matplotlib', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_chinese_takes_two_columns() -> None:
    assert fonts.width("噪声 noise") == 10
    assert fonts.width("e\u0301") == 1


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("噪声", 4, "噪声"), ("噪声很大", 4, "噪…"), ("a b c", 4, "a b…"), ("ab cd", 4, "ab…"), ("", 0, "")],
)
def test_a_text_is_cut_by_columns(text: str, columns: int, shown: str) -> None:
    assert fonts.cut(text, columns) == shown

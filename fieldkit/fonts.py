"""The font with Chinese characters: where it lies, and how pictures, PDF and pages come to use it.

The font is Noto Sans SC (SIL Open Font License), carried by the installed package ``pylopdf-fonts-zh-cn``, so
that every machine draws the same characters and none needs a font of its own.
"""

from __future__ import annotations

import base64
import io
import unicodedata
from functools import lru_cache
from importlib import resources
from pathlib import Path

from fieldkit.errors import FontError

#: The family name in pages whose style comes from :func:`css_for`.
PAGE_FAMILY = "Fieldkit Sans"

#: The family name in typst and matplotlib.
FAMILY = "Noto Sans SC"

#: What stands for a character that no font here can draw: the geta mark, which printers use for that purpose.
SUBSTITUTE = "〓"

_PACKAGE = "pylopdf_fonts_zh_cn"
_FILE = "NotoSansSC-Regular.otf"


@lru_cache(maxsize=1)
def chinese_font() -> Path:
    """The path of the whole font (OpenType, 8 MB), e.g. to be served once to many pages.

    Raises :class:`FontError` when the package that carries it is missing or incomplete.
    """
    try:
        path = Path(str(resources.files(_PACKAGE).joinpath(_FILE)))
    except ModuleNotFoundError:
        raise FontError(_missing("is not installed")) from None
    if not path.is_file():
        raise FontError(_missing(f"lacks {_FILE}"))
    return path


def _missing(what: str) -> str:
    return (
        f"The package {_PACKAGE.replace('_', '-')}, which carries the font for Chinese text, {what}. "
        f"Install it: pip install {_PACKAGE.replace('_', '-')}"
    )


def folder() -> Path:
    """The folder that holds the font, as typst's ``font_paths`` wants it; raises :class:`FontError`."""
    return chinese_font().parent


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(chinese_font(), lazy=True) as font:
        return frozenset(font.getBestCmap())


def missing_glyphs(text: str) -> set[str]:
    """The characters of *text* that the font cannot draw (emoji, Arabic, ...); empty when all can be drawn.

    Characters that draw nothing (control characters, joiners, direction marks, variation selectors) do not
    count.
    """
    return {
        character
        for character in set(text)
        if ord(character) not in _drawable() and not _invisible(character)
    }


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf") or "\ufe00" <= character <= "\ufe0f"


def printable(text: str) -> str:
    """*text* for a picture: what the font cannot draw becomes :data:`SUBSTITUTE`, what draws nothing goes.

    Line breaks and tabs become spaces. For pictures only: pages keep the text as it is, since the browser has
    further fonts.
    """
    drawable = _drawable()
    drawn = []
    for character in text:
        if character.isspace():
            drawn.append(" ")
        elif ord(character) in drawable:
            drawn.append(character)
        elif not _invisible(character):
            drawn.append(SUBSTITUTE)
    return "".join(drawn)


def width(text: str) -> int:
    """How many columns *text* takes in a terminal or in print: a Chinese character two, a combining mark none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def cut(text: str, columns: int) -> str:
    """*text* in at most so many columns (see :func:`width`), with an ellipsis where it was cut."""
    if width(text) <= columns:
        return text
    used = 1  # of the ellipsis
    for position, character in enumerate(text):
        used += width(character)
        if used > columns:
            return text[:position].rstrip() + "…"
    return text


@lru_cache(maxsize=1)
def register_with_matplotlib() -> str:
    """Make matplotlib draw Chinese and Latin text in one go; returns the family name, :data:`FAMILY`.

    Sets ``font.family`` (this font, then matplotlib's own) and turns off the special minus sign. Safe to
    repeat. Raises :class:`FontError`.
    """
    import matplotlib as mpl
    from matplotlib import font_manager

    path = chinese_font()
    font_manager.fontManager.addfont(str(path))
    mpl.rcParams["font.family"] = [FAMILY, "DejaVu Sans"]
    mpl.rcParams["axes.unicode_minus"] = False
    return FAMILY


def css_for(text: str) -> str:
    """An ``@font-face`` rule with just the non-ASCII characters of *text*, as a data URI; '' without any.

    Put it in a page's style and name the family first: ``font-family: "Fieldkit Sans", system-ui,
    sans-serif``. The page then needs no font of the machine and asks for nothing; 300 different characters
    weigh about 90 kB. The same text always gives the same rule. Raises :class:`FontError`.
    """
    drawable = _drawable()
    wanted = frozenset(ord(c) for c in set(text) if ord(c) > 0x7F and ord(c) in drawable)
    if not wanted:
        return ""
    data = base64.b64encode(_subset(wanted)).decode("ascii")
    source = f'url(data:font/woff;base64,{data}) format("woff")'
    return f'@font-face{{font-family:"{PAGE_FAMILY}";src:{source};font-display:swap}}'


@lru_cache(maxsize=32)
def _subset(wanted: frozenset[int]) -> bytes:
    from fontTools import subset

    options = subset.Options()
    options.flavor = "woff"
    options.layout_features = []
    options.hinting = False
    options.desubroutinize = True
    options.notdef_outline = True
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG"]
    font = subset.load_font(str(chinese_font()), options, lazy=True)
    try:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=sorted(wanted))
        subsetter.subset(font)
        buffer = io.BytesIO()
        subset.save_font(font, buffer, options)
    finally:
        font.close()
    return buffer.getvalue()

"""Keep text that people wrote from being run when folium draws it."""

from __future__ import annotations

import string
from importlib.metadata import version
from typing import Any

_HARMLESS = frozenset(string.ascii_letters + string.digits + " ")


def map_text(text: object) -> str:
    """*text* with every ASCII character that is not a letter, digit or space as a numeric entity.

    For text that has to pass through folium itself (a tooltip of a layer plugin, say): inert as a template, as
    HTML and inside a JavaScript literal, and shown as it was written. Control characters other than tab and
    line break, which HTML cannot carry, are left out.
    """
    return "".join(_entity(character) for character in str(text))


def _entity(character: str) -> str:
    number = ord(character)
    if character in _HARMLESS or (number >= 0xA0 and not 0xD800 <= number <= 0xDFFF):
        return character
    if number < 0x20 and character not in "\t\n\r":
        return ""
    return "" if number > 0x7E else f"&#{number};"


class _Finished:
    """Stands where branca keeps a template: text that is rendered already."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, **_: Any) -> str:
        return self.text


def patch_branca() -> None:
    """Stop branca from compiling finished page text as a template a second time; safe to repeat.

    ``MacroElement.render`` hands its finished text, data included, to ``Element(text)``, which compiles it as a
    Jinja2 template, so that ``{{7*7}}`` in a complaint comes out as 49. After this, text handed to ``Element``
    is taken as it is. Raises :class:`~fieldkit.errors.MapError` when the installed branca no longer works in
    the way this relies on; better no map than one that runs what a stranger wrote.
    """
    from branca import element as branca_element

    patched: Any = branca_element.Element
    if getattr(patched, "_fieldkit_patched", False):
        return
    original = patched.__init__

    def take_as_it_is(self: Any, template: str | None = None, template_name: str | None = None) -> None:
        original(self, None, template_name)
        if template is not None:
            self._template = _Finished(template)
            self._template_str = template

    patched.__init__ = take_as_it_is
    patched._fieldkit_patched = True
    check_patch()


def check_patch() -> None:
    """Raise :class:`~fieldkit.errors.MapError` unless ``{{7*7}}`` comes through folium as it was written."""
    import folium
    from branca.element import Element

    from fieldkit.errors import MapError

    probe = "{{7*7}}{% set x = 1 %}"
    chart: Any = folium.Map(location=[0, 0], tiles=None)
    folium.GeoJson(
        {
            "type": "Feature",
            "properties": {"text": probe},
            "geometry": {"type": "Point", "coordinates": [0, 0]},
        }
    ).add_to(chart)
    chart.get_root().header.add_child(Element(probe))
    if chart.get_root().render().count(probe) != 2:
        raise MapError(
            f"The installed branca {version('branca')} with folium {version('folium')} runs text of complaints "
            "as a template, and the kit's guard no longer fits it. Install the versions of constraints.txt."
        )

"""The record as one HTML page that needs nothing beyond itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit import fonts
from fieldkit.records.document import all_text, footing
from fieldkit.records.parts import wordings

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent


class HtmlRecord:
    """One self-contained page: its own style, its own Chinese characters, no script, no address of anything outside.

    Text is escaped where it enters the template, and the page's content security policy allows nothing but its own
    style (by digest), pictures and fonts in the page itself.
    """

    title: str = "HTML page, self-contained"
    suffix: str = ".html"

    def render(self, document: Mapping[str, Any]) -> bytes:
        """Render the *document* of :func:`fieldkit.records.document.read_document` to a page in UTF-8."""
        from markupsafe import Markup

        language = document["language"]
        words = partial(wordings, language=language)
        meta = document["meta"]
        title = " · ".join(filter(None, (words(document["title"])[0], str(meta.get("number", "")))))
        lines = footing(meta, language)
        style = fonts.css_for(all_text(document) + " ".join(lines)) + "\n" + _style()
        page = _template().render(
            document=document,
            meta=meta,
            words=words,
            page_title=title,
            footing=lines,
            style=Markup(style),  # noqa: S704 - our own file and a font, no text that people wrote
            policy=_policy(style),
        )
        return page.encode("utf-8", "replace")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"style-src 'sha256-{digest}'; img-src data:; font-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _style() -> str:
    return (_HERE / "record.css").read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    import jinja2

    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.ChainableUndefined)
    return environment.get_template("record.html.jinja")

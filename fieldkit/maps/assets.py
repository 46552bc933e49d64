"""Where a page's scripts and styles come from: installed packages and this one, put into the page itself."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

from fieldkit.errors import MapError

#: Attributes by which an element makes the browser fetch something.
_FETCHING = (
    "src",
    "srcset",
    "data",
    "poster",
    "background",
    "action",
    "formaction",
    "code",
    "codebase",
    "archive",
)

_CSS_URL = re.compile(r"""url\(\s*(['"]?)(.*?)\1\s*\)""", re.IGNORECASE | re.DOTALL)
_CSS_IMPORT = re.compile(r"@import\b", re.IGNORECASE)
_IMAGE_TYPES = {".png": "image/png", ".gif": "image/gif", ".svg": "image/svg+xml"}


@lru_cache(maxsize=1)
def _leaflet_folder() -> Path:
    try:
        from xstatic.pkg import leaflet
    except ImportError:
        raise MapError(
            "The package xstatic-leaflet, which carries the map's script, is not installed. "
            "Install it: pip install xstatic-leaflet"
        ) from None
    return Path(leaflet.BASE_DIR)


@lru_cache(maxsize=1)
def leaflet_script() -> str:
    """Leaflet's script, from the installed package; raises :class:`MapError` when that is missing."""
    text = _read(_leaflet_folder() / "leaflet.js")
    # The address of the source map would make a browser with open developer tools ask for it.
    return re.sub(r"//# sourceMappingURL=\S+", "", text).strip()


@lru_cache(maxsize=1)
def leaflet_style() -> str:
    """Leaflet's style with its images as data URIs; raises :class:`MapError` when one cannot be found."""
    return _CSS_URL.sub(_inline_image, _read(_leaflet_folder() / "leaflet.css"))


def _inline_image(match: re.Match[str]) -> str:
    name = match[2]
    if name.startswith("#"):
        return match[0]
    path = _leaflet_folder() / name
    kind = _IMAGE_TYPES.get(path.suffix)
    if kind is None or not path.is_file():
        raise MapError(f"Leaflet's style names {name!r}, which xstatic-leaflet does not carry. Reinstall it.")
    return f"url(data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')})"


@lru_cache(maxsize=4)
def own_file(name: str) -> str:
    """The text of ``page.js``, ``page.css`` or ``page.html`` of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MapError(
            f"{path.name} of xstatic-leaflet cannot be read: {error.strerror}. Reinstall it."
        ) from error


def content_security_policy(page: str) -> str:
    """A policy for *page* that allows exactly the scripts which now stand in it, by their hashes, and no request.

    Even if text of a stranger got into the page as HTML, nothing in it would run or be fetched.
    """
    finder = _Scripts()
    finder.feed(page)
    hashes = sorted({_hash(script) for script in finder.scripts})
    scripts = " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


class _Scripts(HTMLParser):
    """Collects the text of every script that a browser would run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.scripts: list[str] = []
        self._collecting = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script" and dict(attrs).get("type") != "application/json":
            self._collecting = True
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._collecting = False

    def handle_data(self, data: str) -> None:
        if self._collecting:
            self.scripts[-1] += data


def check_self_contained(page: str) -> None:
    """Raise :class:`MapError`, naming it, when *page* would fetch anything: a script, style, image, font, frame.

    Addresses in ``src``, ``href`` of links, ``url()`` and ``@import`` count; ``data:`` and ``#…`` are allowed. An
    ordinary ``<a href>`` is no request, but a saved map of ours has none to the outside either.
    """
    finder = _Links()
    finder.feed(page)
    finder.close()
    for address in finder.addresses:
        if not address.lower().startswith(("data:", "#")):
            raise MapError(
                f"The map would ask for {address[:200]!r}, which is not on this machine. A map carries everything "
                "in itself: use the layers of the kit, or give the plugin's files as data: addresses."
            )


class _Links(HTMLParser):
    """Collects every address that the markup or its styles make a browser fetch."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.addresses: list[str] = []
        self._style: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = [] if tag == "style" else None
        for name, value in attrs:
            if not value:
                continue
            if name in _FETCHING or name.endswith("href"):
                self.addresses.append(value.strip())
            elif name == "style":
                self._from_style(value)

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "style" and self._style is not None:
            self._from_style("".join(self._style))
            self._style = None

    def close(self) -> None:
        # A style that is never closed reaches to the end of the page; the parser keeps that part to itself.
        if self._style is not None:
            self._style.append(self.rawdata)
        super().close()
        self.handle_endtag("style")

    def _from_style(self, style: str) -> None:
        self.addresses += [match[2].strip() for match in _CSS_URL.finditer(style)]
        if _CSS_IMPORT.search(style):
            self.addresses.append("@import")

"""The pack for complaints about noise."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class NoisePack:
    """Noise of industry, construction, traffic and social life, and low-frequency noise of equipment."""

    title: str = "Noise: industry, construction, traffic, social life, shared equipment"
    category: str = "noise"
    subcategories: tuple[str, ...] = subcategories_of("noise")
    notebook: str | None = None

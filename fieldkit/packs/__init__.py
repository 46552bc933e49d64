"""Packs: what is particular to one pollution category, one folder each.

A pack follows :class:`fieldkit.plugins.Pack`: the main category it is for, the finer categories under it, and
the notebook that investigates a case of it where that differs from ``notebooks/investigation.ipynb``.
"""

from __future__ import annotations

from fieldkit import vocabulary


def subcategories_of(*mains: str) -> tuple[str, ...]:
    """The codes of the finer categories under the main categories *mains*, in the vocabulary's order."""
    return tuple(
        code
        for code, category in vocabulary.categories().items()
        if category.main in mains and code not in vocabulary.main_categories()
    )

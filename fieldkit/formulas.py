"""Keep text from running as a spreadsheet formula in a CSV file, in a way that gives the very text back."""

from __future__ import annotations

import re

# A cell, or a line in it, that a spreadsheet may take for a formula: an apostrophe goes before it. Lines that begin
# with an apostrophe get another one, so that taking one away always gives the text as it was.
_DANGEROUS = re.compile(
    r"(?:\A|(?<=\n)|(?<=\r)(?!\n))(?='|[\t\r]|[\s\u00a0\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠])"
)
_PROTECTED = re.compile(r"(?:\A|(?<=\n)|(?<=\r)(?!\n))'")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def protect(cell: str) -> str:
    """*cell* with an apostrophe before every line that a spreadsheet would run; numbers stay as they are."""
    return cell if _NUMBER.fullmatch(cell) else _DANGEROUS.sub("'", cell)


def unprotect(cell: str) -> str:
    """What :func:`protect` was given."""
    return _PROTECTED.sub("", cell) if "'" in cell else cell

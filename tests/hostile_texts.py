"""Texts that would run if anybody took them for code: a template, a page, a script, a formula, a path, markup."""

from __future__ import annotations

HOSTILE = (
    "{{7*7}}",
    "{% set x=1 %}",
    "${7*7}",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "`",
    "C:\\new",
    "=1+1",
    "#strong[x]",
    "$x$",
    "\u202eשלום",
    "👩‍👩‍👧🏭",
)

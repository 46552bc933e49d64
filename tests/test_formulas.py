"""Text in a table for spreadsheets: never a formula, and back again to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit.formulas import protect, unprotect


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-cmd", "@SUM(A1)", "＝1+1", "\t=1", " =1+1", "\u200b=1", "\ufeff=1", "hum\n=1+1"],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    line = protect(text).splitlines()[-1]
    assert line.startswith("'")


@given(st.text())
def test_protection_is_undone_exactly(text: str) -> None:
    assert unprotect(protect(text)) == text


@given(st.from_regex(r"-?\d{1,3}(\.\d{1,8})?", fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_numbers_stay_numbers(text: str) -> None:
    assert protect(text) == text

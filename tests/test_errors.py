"""The exceptions: one tree, a sentence each, and they survive the way between processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from fieldkit import errors

TREE = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.FieldkitError)
]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_of_the_one_tree_and_says_when_it_is_raised(kind: type[errors.FieldkitError]) -> None:
    assert issubclass(kind, errors.FieldkitError)
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".")


def test_the_tree_hangs_on_exception_and_not_on_a_builtin_that_others_catch() -> None:
    assert errors.FieldkitError.__mro__ == (errors.FieldkitError, Exception, BaseException, object)


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not errors.NotebookFailed])
def test_an_error_comes_back_whole_from_another_process(kind: type[errors.FieldkitError]) -> None:
    back = pickle.loads(pickle.dumps(kind("The file 'a.csv' is empty.")))  # noqa: S301 - our own bytes
    assert type(back) is kind
    assert str(back) == "The file 'a.csv' is empty."


def test_a_failed_notebook_keeps_case_cell_and_reason_on_the_way() -> None:
    failed = errors.NotebookFailed("ABCDEF234567", 4, "KeyError: 'lon'")
    back = pickle.loads(pickle.dumps(failed))  # noqa: S301 - our own bytes
    assert (back.case_id, back.cell, back.reason) == ("ABCDEF234567", 4, "KeyError: 'lon'")
    assert str(back) == "The notebook of case ABCDEF234567 stopped at cell 4: KeyError: 'lon'."
    assert isinstance(back, errors.RecordError)

"""Lines of JSON have one spelling, whatever text is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit import jsonlines
from fieldkit.jsonlines import JsonRefused, line_of, lines_in, strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_every_object_comes_back_from_its_line(
    value: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(line_of(value) * 2)
    assert list(lines_in(path)) == [(1, value), (2, value)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":1}', "not spelled"),
        (b'{"a":1}\r\n', "not spelled"),
        (b'{"a": 1}\n', "not spelled"),
        (b'{"b":1,"a":1}\n', "not spelled"),
        (b'{"a":"\\u0041"}\n', "not spelled"),
        (b'{"a":"\\ud800"}\n', "not spelled"),
        (b'{"a":1.50}\n', "not spelled"),
        (b'{"a":1,"a":1}\n', "stands twice"),
        (b'{"a":NaN}\n', "NaN is no JSON"),
        (b'{"a":-Infinity}\n', "is no JSON"),
        (b'{"a":1e999}\n', "too large"),
        (b'{"a":' + b"9" * 5_000 + b"}\n", "is no JSON"),
        (b"\xef\xbb\xbf{}\n", "is no JSON"),
        (b"\xff\n", "no UTF-8"),
        (b"[]\n", "no object"),
        (b"\n", "is no JSON"),
        (b'{"a":' + b"[" * 100_000 + b"\n", "too deeply"),
    ],
)
def test_any_other_spelling_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"good":1}\n' + data)
    (_, second) = lines_in(tmp_path / "x.jsonl")
    assert second[0] == 2
    assert isinstance(second[1], JsonRefused)
    assert message in str(second[1])


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "LONGEST_LINE", 1 << 10)
    (tmp_path / "x.jsonl").write_bytes(b'{"a":"' + b"x" * 5_000 + b'"}\n{}\n')
    ((number, refused),) = lines_in(tmp_path / "x.jsonl")
    assert number == 1
    assert "longer than" in str(refused)


def test_strict_json_takes_a_text() -> None:
    assert strict_json('{"a": [1, 2.5, "噪声", null]}') == {"a": [1, 2.5, "噪声", None]}

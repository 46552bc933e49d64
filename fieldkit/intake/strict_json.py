"""JSON read strictly and piece by piece: no doubled keys, no NaN, no deep nesting, no file whole in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TextIO

from fieldkit.errors import IntakeError
from fieldkit.intake.encodings import find_encoding, open_text
from fieldkit.jsonlines import DECODER, JsonRefused

_CHUNK = 1 << 18
_LARGEST_PIECE = 64 << 20
_SPACE = " \t\n\r\x1e\ufeff"


def readable_json(document: Any) -> str:
    """*document* as JSON for people to mend: Chinese as it is, unless a text has half characters."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=1)
    return text


def plain_cell(value: Any) -> object:
    """A member's value as a cell: a text or number as it is, the rest as JSON writes it, nothing for null."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, dict, list)) else value


class JsonFile:
    """A JSON file whose long array is read element by element.

    The array is the document itself, or the value of the first of *names* in the outermost object; with
    *sequence*, a file of one object a line (or after record separators) counts as the array. :attr:`outer` has the
    object's other values that stand before the array.
    """

    def __init__(self, path: Path, names: Collection[str], *, sequence: bool = False) -> None:
        self.path, self.names, self.sequence = path, names, sequence
        self.encoding = find_encoding(path)
        self.outer: dict[str, Any] = {}

    def elements(self) -> Iterator[Any]:
        """Yield the elements of the array; raises :class:`IntakeError` where the file is not strict JSON."""
        try:
            with open_text(self.path, self.encoding) as text:
                yield from self._elements(_Buffer(text))
        except JsonRefused as error:
            raise IntakeError(
                f"{self.path.name} is not strict JSON: {error}. Mend it and try again."
            ) from error
        except RecursionError as error:
            raise IntakeError(f"{self.path.name} is nested too deeply to be a list of complaints.") from error
        except ValueError as error:
            raise IntakeError(
                f"{self.path.name} is not valid JSON: {str(error)[:120]}. Mend it and try again."
            ) from error

    def _elements(self, buffer: _Buffer) -> Iterator[Any]:
        first = buffer.peek()
        if first == "[":
            yield from buffer.array()
            self._end(buffer)
            return
        if first != "{":
            raise JsonRefused("it is neither an object nor a list")
        if self.sequence and self._is_sequence():
            while buffer.peek():
                yield buffer.value()
            return
        yield from self._in_object(buffer)
        self._end(buffer)

    def _in_object(self, buffer: _Buffer) -> Iterator[Any]:
        self.outer = {}
        found = False
        buffer.take("{")
        while buffer.peek() != "}":
            key = buffer.value()
            if not isinstance(key, str):
                raise JsonRefused("a key is no text")
            if key in self.outer:
                raise JsonRefused(f"the key {key!r} stands twice in one object")
            buffer.take(":")
            if key in self.names and buffer.peek() == "[" and not found:
                found, self.outer[key] = True, ...
                yield from buffer.array()
            else:
                self.outer[key] = buffer.value()
            if buffer.peek() == ",":
                buffer.take(",")
                if buffer.peek() == "}":
                    raise JsonRefused("a comma stands before }")
        buffer.take("}")
        if not found:
            raise JsonRefused(f"it has no list called {' or '.join(self.names)}")

    def _is_sequence(self) -> bool:
        with open_text(self.path, self.encoding) as text:
            buffer = _Buffer(text)
            first = buffer.value()
            return isinstance(first, dict) and first.get("type") == "Feature"

    @staticmethod
    def _end(buffer: _Buffer) -> None:
        if buffer.peek():
            raise JsonRefused("something stands behind its end")


class _Buffer:
    """A window on the text, moved forward value by value."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._data, self._at, self._ended = text, "", 0, False

    def peek(self) -> str:
        """The next character that is no space, or nothing at the end."""
        while True:
            while self._at < len(self._data) and self._data[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._data):
                return self._data[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Step over *character*, which must come next."""
        found = self.peek()
        if found != character:
            raise JsonRefused(f"{character} was expected, {found or 'the end of the file'} found")
        self._at += 1

    def value(self) -> Any:
        """The next whole JSON value."""
        if not self.peek():
            raise JsonRefused("it ends too early")
        while True:
            try:
                value, end = DECODER.raw_decode(self._data, self._at)
            except json.JSONDecodeError:
                if len(self._data) - self._at > _LARGEST_PIECE or not self._more():
                    raise
                continue
            # A number at the edge of the window may go on behind it.
            if self._data[end : end + 1] in ("", ".", "e", "E") and self._more():
                continue
            self._at = end
            return value

    def array(self) -> Iterator[Any]:
        """The elements of the array that comes next."""
        self.take("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() == ",":
                self.take(",")
                if self.peek() == "]":
                    raise JsonRefused("a comma stands before ]")
            elif self.peek() != "]":
                raise JsonRefused(f", or ] was expected, {self.peek() or 'the end of the file'} found")
        self.take("]")

    def _more(self) -> bool:
        # Ask for as much again as there is left, so that a long value is not decoded over and over.
        rest = self._data[self._at :]
        fresh = self._text.read(max(_CHUNK, len(rest)))
        self._data, self._at = rest + fresh, 0
        return bool(fresh)

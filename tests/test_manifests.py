"""The signed list of files: hostile names, other kinds, newer forms, and keys."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fieldkit.errors import ManifestError
from fieldkit.keys import Keys
from fieldkit.manifests import _STATEMENT, Packing, public_key_of, read_manifest, wrong_files

NOTE = {"sha256": "ab" * 32, "size": 1}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def signed(folder: Path, keys: Keys, data: bytes) -> Path:
    """A list that a liar with a key wrote."""
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.signature").write_text(keys.sign(_STATEMENT + data).hex() + "\n", encoding="ascii")
    return folder


def listed(keys: Keys, **changed: Any) -> bytes:
    plain = {"format": 1, "kind": "letter", "key": keys.public.hex(), "about": {}, "files": {}, **changed}
    return json.dumps(plain).encode()


def test_a_list_is_read_as_it_was_written(folder: Path, keys: Keys) -> None:
    packing = Packing(folder)
    packing.write("one.txt", b"one")
    packing.write("深/two.txt", b"two")
    with packing.writing("three.txt") as write:
        write(b"th")
        write(b"ree")
    written = packing.seal("letter", {"to": "办"}, keys)
    assert read_manifest(folder, "letter", key=keys.public) == written
    assert list(wrong_files(folder, written)) == []
    assert written.files["three.txt"].size == 5


@pytest.mark.parametrize(
    "name",
    [
        "../out.txt",
        "a/../../out.txt",
        "/etc/passwd",
        "a//b",
        "./a",
        "",
        "..",
        "a\\..\\b",
        "C:out.txt",
        "C:/out.txt",
        "a\x00b",
        "a\nb",
        "a\ud800b",
        "a*",
        "a./b",
        "a ",
        "x" * 2_000,
        "manifest.json",
        "manifest.signature",
    ],
)
def test_names_that_lead_elsewhere_are_refused(folder: Path, keys: Keys, name: str) -> None:
    signed(folder, keys, listed(keys, files={name: NOTE}))
    with pytest.raises(ManifestError, match=r"names the file .* which is refused") as caught:
        read_manifest(folder, "letter")
    assert "\n" not in str(caught.value)
    if name not in ("manifest.json", "manifest.signature"):
        with pytest.raises(ManifestError, match="cannot be put in"):
            Packing(folder).write(name, b"")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"files": {"a.txt": NOTE, "A.TXT": NOTE}}, "the case of its letters"),
        ({"files": {"\u00e9": NOTE, "e\u0301": NOTE}}, "the case of its letters"),
        ({"files": {"a": {"sha256": "AB" * 32, "size": 1}}}, "size or hash is none"),
        ({"files": {"a": {"sha256": "ab" * 32, "size": -1}}}, "size or hash is none"),
        ({"files": {"a": {"sha256": "ab" * 32, "size": True}}}, "size or hash is none"),
        ({"files": {"a": {"sha256": 5, "size": 1}}}, "size or hash is none"),
        ({"files": {"a": {**NOTE, "more": 1}}}, "size or hash is none"),
        ({"files": {"a": []}}, "size or hash is none"),
        ({"files": []}, "lacks its list of files"),
        ({"about": None}, "lacks its list of files"),
        ({"kind": "parcel"}, "is no letter, but: 'parcel'"),
        ({"kind": None}, "is no letter"),
        ({"format": 2}, r"made by a newer fieldkit \(form 2, this one knows 1\)"),
        ({"format": 0}, "does not say in which form"),
        ({"format": "1"}, "does not say in which form"),
        ({"format": True}, "does not say in which form"),
    ],
)
def test_a_list_meant_badly_is_refused(
    folder: Path, keys: Keys, changed: dict[str, Any], message: str
) -> None:
    signed(folder, keys, listed(keys, **changed))
    with pytest.raises(ManifestError, match=message):
        read_manifest(folder, "letter")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"{",
        b"\xff",
        b'{"key":5}',
        b'{"key":"zz"}',
        b'{"key":"ab"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_is_refused(folder: Path, keys: Keys, data: bytes) -> None:
    signed(folder, keys, data)
    with pytest.raises(ManifestError, match="do not belong together"):
        read_manifest(folder, "letter")


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
@pytest.mark.parametrize("name", ["one.txt", "manifest.json", "manifest.signature"])
def test_a_pipe_is_not_waited_for(folder: Path, keys: Keys, name: str) -> None:
    packing = Packing(folder)
    packing.write("one.txt", b"")
    manifest = packing.seal("letter", {}, keys)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    if name == "one.txt":
        assert list(wrong_files(folder, manifest)) == [("one.txt", "one.txt is no file any more.")]
    else:
        with pytest.raises(ManifestError, match="is no file"):
            read_manifest(folder, "letter")


def test_a_doubled_key_is_refused_however_it_is_signed(folder: Path, keys: Keys) -> None:
    signed(folder, keys, listed(keys).replace(b'"kind"', b'"format": 9, "kind"'))
    with pytest.raises(ManifestError, match="do not belong together"):
        read_manifest(folder, "letter")


def test_a_key_is_given_as_digits_or_as_a_file(tmp_path: Path) -> None:
    digits = "ab" * 32
    (tmp_path / "key.pub").write_text(f"{digits}\n", encoding="ascii")
    (tmp_path / "bad.pub").write_bytes(b"\xff\xfe")
    (tmp_path / "short.pub").write_text("abcd", encoding="ascii")
    for given in (digits, digits.upper(), tmp_path / "key.pub", str(tmp_path / "key.pub")):
        assert public_key_of(given) == bytes.fromhex(digits)
    for given in ("nowhere", tmp_path, tmp_path / "bad.pub", tmp_path / "short.pub"):
        with pytest.raises(ManifestError):
            public_key_of(given)

"""Every file the kit writes goes through fieldkit.files; whoever writes on their own is named here with the reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fieldkit"

#: file and call -> why it may write past fieldkit.files.
ALLOWED = {
    ("backups.py", "(folder / _LOCK).open"): "a lock; nothing is ever written into it",
    ("backups.py", "shutil.copyfile"): "a copy to be tried out, in a folder of files.private_folder",
    ("exports.py", "shutil.copyfile"): "the path that files.replacing gave",
    ("keys/session.py", "path.open"): "a key in memory-backed storage, which is not to reach a disk",
    ("keys/session.py", "place.mkdir"): "its folder there",
    ("ledger/encryption.py", "path.open"): "a plain file is overwritten in place before it is removed",
    (
        "ledger/encryption.py",
        "replaced.hardlink_to",
    ): "the old file keeps a name until it has been overwritten",
    ("manifests.py", "path.hardlink_to"): "into a folder that gets its name when it is whole",
    ("manifests.py", "path.open"): "into a folder that gets its name when it is whole, each file synced",
    (
        "casework/importing.py",
        "tempfile.TemporaryFile",
    ): "refused rows wait in a file without a name, gone with the process",
    ("dashboards/server.py", "tempfile.mkdtemp"): "the server's keys and sockets, gone when it stops",
    ("dashboards/server.py", "log_path.open"): "a log is added to; nothing depends on its last line",
    ("dashboards/symposium.py", "(self.ws.settings.out / 'dashboard.log').open"): "a log, as the server's",
    (
        "evidence/decoder.py",
        "_bare(image).save",
    ): "runs in a child, into the temporary folder that it was given",
    ("evidence/decoder.py", "picture.save"): "runs in a child, into the temporary folder that it was given",
    ("evidence/folder.py", "os.open"): "opens what is taken in, for reading and never through a link",
    (
        "evidence/folder.py",
        "copy.open",
    ): "into a folder of files.private_folder, from which it is put in place",
    ("evidence/folder.py", "tempfile.TemporaryDirectory"): "a thumbnail on its way, which can be made anew",
    ("intake/csv_file.py", "temporary.open"): "the path that files.replacing gave",
    ("records/pdf.py", "tempfile.TemporaryDirectory"): "pictures on their way into the PDF",
    ("records/pdf.py", "(folder / placed['file']).write_bytes"): "into that temporary folder",
    ("records/pdf.py", "(folder / name).write_bytes"): "into that temporary folder",
    ("records/running.py", "tempfile.TemporaryDirectory"): "an empty folder for the notebook to run in",
    ("testing.py", "tempfile.TemporaryDirectory"): "a sample that is thrown away",
}

#: Writers of other libraries; their first argument must be a path that files.replacing gave, or memory.
_LIBRARIES = {
    "to_file",
    "to_parquet",
    "to_csv",
    "to_excel",
    "to_json",
    "to_feather",
    "savefig",
    "save",
    "dump",
}
_GIVEN = {"temporary", "buffer"}
_PATHS = {"write_text", "write_bytes", "mkdir", "touch", "symlink_to", "hardlink_to", "rename"}
_MODULES = {
    "os": {"rename", "replace", "makedirs", "mkdir", "link", "symlink", "mkfifo", "truncate"},
    "shutil": {
        "move",
        "copy",
        "copy2",
        "copyfile",
        "copytree",
        "copyfileobj",
        "make_archive",
        "unpack_archive",
    },
    "tempfile": {
        "mkdtemp",
        "mkstemp",
        "TemporaryDirectory",
        "TemporaryFile",
        "NamedTemporaryFile",
        "SpooledTemporaryFile",
    },
    "gzip": {"GzipFile"},
    "zipfile": {"ZipFile"},
    "tarfile": {"TarFile"},
}


def writes_in(source: str) -> Iterator[tuple[int, str]]:
    """The line and the called name of whatever in *source* may write a file past :mod:`fieldkit.files`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _writes(node):
            yield node.lineno, ast.unparse(node.func)


def _writes(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and _for_writing(call, 1)
    if not isinstance(function, ast.Attribute):
        return False
    owner, name = function.value, function.attr
    module = owner.id if isinstance(owner, ast.Name) else ""
    if module == "files":
        return False
    if name in _MODULES.get(module, ()):
        return module not in ("zipfile", "tarfile", "gzip") or _for_writing(call, 1)
    if name in _PATHS and module != "os":
        # A frame's rename() takes names of columns by keyword, a path's one path by position.
        return name != "rename" or (len(call.args) == 1 and not call.keywords)
    if name == "replace":  # a text's takes two arguments, a moment's only named ones
        return len(call.args) == 1 and not call.keywords
    if name == "open":
        if module == "os":
            return "O_RDONLY" not in ast.unparse(call)
        return _for_writing(call, 1 if module in ("gzip", "io", "bz2", "lzma", "codecs", "tarfile") else 0)
    if name in _LIBRARIES:
        return bool(call.args) and not (isinstance(call.args[0], ast.Name) and call.args[0].id in _GIVEN)
    return False


def _for_writing(call: ast.Call, position: int) -> bool:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    mode = (named or call.args[position : position + 1] or [ast.Constant("r")])[0]
    if not isinstance(mode, ast.Constant):
        # What a plugin or a browser opens is no file to be written.
        return bool(named) or position == 1 or "mode" in ast.unparse(mode)
    text = mode.value if isinstance(mode.value, str) else ""
    return set(text) <= set("rwaxbt+") and bool(set(text) & set("wax+"))


def found() -> set[tuple[str, str]]:
    return {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in sorted(PACKAGE.rglob("*.py"))
        if "_assets" not in path.parts and path != PACKAGE / "files.py"
        for _, name in writes_in(path.read_text(encoding="utf-8"))
    }


def test_nothing_writes_files_on_its_own_without_a_reason() -> None:
    assert found() - set(ALLOWED) == set()


def test_no_reason_is_kept_for_what_is_gone() -> None:
    assert set(ALLOWED) - found() == set()


@pytest.mark.parametrize(
    "source",
    [
        "path.write_text(page)",
        "(folder / 'a').write_bytes(data)",
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('wb')",
        "path.open(mode)",
        "gzip.open(path, 'wb')",
        "io.open(path, 'x')",
        "os.open(path, os.O_WRONLY)",
        "os.replace(a, b)",
        "written.replace(target)",
        "written.rename(target)",
        "shutil.copyfile(a, b)",
        "tempfile.mkdtemp()",
        "zipfile.ZipFile(path, 'w')",
        "folder.mkdir(parents=True)",
        "frame.to_file(out)",
        "figure.savefig(out, dpi=300)",
        "book.save(target)",
    ],
)
def test_a_write_is_seen(source: str) -> None:
    assert list(writes_in(source))


@pytest.mark.parametrize(
    "source",
    [
        "files.write_text(path, page)",
        "write_bytes(path, data)",
        "path.open()",
        "path.open('rb')",
        "open(path, encoding='utf-8')",
        "gzip.open(path, 'rb')",
        "os.open(folder, os.O_RDONLY)",
        "text.replace('a', 'b')",
        "day.replace(hour=3)",
        "frame.rename(columns=names)",
        "frame.to_file(temporary, driver='GPKG')",
        "figure.savefig(buffer, format='png')",
        "zipfile.ZipFile(path)",
    ],
)
def test_what_writes_nothing_is_not_seen(source: str) -> None:
    assert not list(writes_in(source))

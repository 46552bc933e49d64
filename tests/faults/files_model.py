"""A model of a disk that loses power: every state of the files that a cut may leave, at every call of a writer.

:func:`record` runs a function and notes what reaches the disk. :func:`cuts` rebuilds, for every point of that list,
what a disk may show afterwards. The model is harsher than most file systems: names of one folder reach the disk in
any selection until the folder is synced, both halves of a rename on their own, and before the data they name; data of
a file that was not synced are lost, torn at sectors, filled with zeros, or cut. :func:`run` does it for random
scripts of writes by :mod:`fieldkit.files` and counts what was lost, which must be nothing.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldkit import files

from .totals import Totals

SECTOR = 512
#: At each point so many disks are looked at when there are more.
MOST_A_POINT = 48
_ROOT = 0
_POINTS = (
    "open",
    "write",
    "close",
    "replace",
    "rename",
    "mkdir",
    "rmdir",
    "unlink",
    "fchmod",
    "chmod",
    "truncate",
)

Writer = Callable[[Path, bytes], None]


@dataclass(frozen=True)
class Call:
    """Something that reached the disk: ``add``/``drop`` a name of a folder, ``write``, ``sync``; or ``done``."""

    kind: str
    node: int = -1
    folder: int = -1
    name: str = ""
    data: bytes = b""
    step: int = -1


@dataclass
class Recording:
    """What stood on the disk before, and the *calls* in their order; *folders* are the nodes that are folders."""

    calls: list[Call] = field(default_factory=list)
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {_ROOT: {}})
    contents: dict[int, bytes] = field(default_factory=dict)
    folders: set[int] = field(default_factory=lambda: {_ROOT})


class _Watch:
    """Looks at a folder before and after every call, so that whatever changed there is seen, whoever changed it."""

    def __init__(self, root: Path) -> None:
        self.root, self.recording, self._count = root, Recording(), itertools.count(1)
        self._paths: dict[str, tuple[int, int]] = {"": (root.stat().st_ino, _ROOT)}  # path -> inode, node
        self._contents: dict[int, bytes] = {}
        self.look()
        # What was there before is on the disk.
        begun = self.recording
        for call in begun.calls:
            if call.kind == "add":
                begun.names[call.folder][call.name] = call.node
                if call.node in begun.folders:
                    begun.names[call.node] = {}
            else:
                begun.contents[call.node] = call.data
        begun.calls = []

    def look(self) -> None:
        """Note what changed since the last look."""
        now = {"": self._paths[""][0]}
        for folder, folders, names in os.walk(self.root):
            for name in (*folders, *names):
                path = Path(folder) / name
                now[path.relative_to(self.root).as_posix()] = path.lstat().st_ino
        note = self.recording.calls.append
        known = dict(self._paths.values())
        gone = [path for path, (inode, _) in self._paths.items() if now.get(path) != inode]
        for path in sorted(set(now) - set(self._paths) | set(gone) & set(now)):
            node = known.get(now[path])
            if node is None:
                node = next(self._count)
                if (self.root / path).is_dir():
                    self.recording.folders.add(node)
            folder, name = self._place(path)
            note(Call("add", node, folder, name))
            self._paths[path] = now[path], node
        for path in sorted(set(gone) - set(now), reverse=True):
            folder, name = self._place(path)
            note(Call("drop", self._paths[path][1], folder, name))
            del self._paths[path]
        for path, (_, node) in self._paths.items():
            if node not in self.recording.folders:
                data = (self.root / path).read_bytes()
                if self._contents.get(node, b"") != data:
                    note(Call("write", node, data=data))
                    self._contents[node] = data

    def sync(self, handle: int) -> None:
        """Note that what the open *handle* leads to was synced."""
        self.look()
        inode = os.fstat(handle).st_ino
        for known, node in self._paths.values():
            if known == inode:
                self.recording.calls.append(Call("sync", node))

    def _place(self, path: str) -> tuple[int, str]:
        parent, _, name = path.rpartition("/")
        return self._paths[parent][1], name


@contextmanager
def patched(**functions: Callable[..., Any]) -> Iterator[None]:
    """Put *functions* in the place of those of :mod:`os` while the block runs."""
    real = {name: getattr(os, name) for name in functions}
    for name, function in functions.items():
        setattr(os, name, function)
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def record(root: Path, steps: Sequence[Callable[[], None]]) -> Recording:
    """Run *steps* one after the other, each of which writes below *root*, and give what reached the disk."""
    watch = _Watch(root)

    def looking(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with patched(**real):  # looking calls what is being watched
                watch.look()
                try:
                    return function(*arguments, **named)
                finally:
                    watch.look()

        return call

    def sync(handle: int) -> None:
        with patched(**real):
            watch.sync(
                handle
            )  # the disk itself is left alone: it would be slow, and is not what is looked at

    real = {name: getattr(os, name) for name in (*_POINTS, "fsync")}
    watched = {name: looking(function) for name, function in real.items()} | {"fsync": sync}
    for number, step in enumerate(steps):
        with patched(**watched):
            step()
        watch.look()
        watch.recording.calls.append(Call("done", step=number))
    return watch.recording


class _Disk:
    """What is on the disk for certain, and what is under way to it."""

    def __init__(self, recording: Recording) -> None:
        self.names = {node: dict(names) for node, names in recording.names.items()}
        self.contents = dict(recording.contents)
        self.folders = recording.folders
        self.under_way: dict[int, list[Call]] = {}

    def take(self, call: Call) -> None:
        """Let *call* happen."""
        if call.kind in ("add", "drop"):
            self.under_way.setdefault(call.folder, []).append(call)
        elif call.kind == "write":
            self.under_way.setdefault(call.node, []).append(call)
        elif call.kind == "sync":
            for waiting in self.under_way.pop(call.node, []):
                self._settle(waiting, self.names, self.contents)

    def _settle(self, call: Call, names: dict[int, dict[str, int]], contents: dict[int, bytes]) -> None:
        if call.kind == "write":
            contents[call.node] = call.data
        elif call.kind == "add":
            names.setdefault(call.folder, {})[call.name] = call.node
        elif names.setdefault(call.folder, {}).get(call.name) == call.node:
            del names[call.folder][call.name]

    def outcomes(self, chance: random.Random, most: int) -> Iterator[dict[str, bytes | None]]:
        """What the disk may show: the content by path, None for a folder; all of them, or *most* chosen by *chance*."""
        waiting = [calls for calls in self.under_way.values() if calls]
        ways = [self._ways(calls, chance) for calls in waiting]
        if math.prod(map(len, ways)) <= most:
            chosen = itertools.product(*ways)
        else:
            chosen = iter([tuple(chance.choice(way) for way in ways) for _ in range(most)])
        for settled in chosen:
            names = {node: dict(inner) for node, inner in self.names.items()}
            contents = dict(self.contents)
            for call in itertools.chain(*settled):
                self._settle(call, names, contents)
            yield dict(self._tree(_ROOT, "", names, contents))

    def _ways(self, calls: list[Call], chance: random.Random) -> list[tuple[Call, ...]]:
        if calls[0].kind == "write":
            old = self.contents.get(calls[0].node, b"")
            states = [old, *(call.data for call in calls)]
            ends = dict.fromkeys([*states, *_torn(states, chance)])
            return [(Call("write", calls[0].node, data=data),) for data in ends]
        if len(calls) <= 6:
            return [
                tuple(itertools.compress(calls, kept))
                for kept in itertools.product((0, 1), repeat=len(calls))
            ]
        kept = [tuple(call for call in calls if chance.random() < 0.5) for _ in range(64)]
        return [(), tuple(calls), *kept]

    def _tree(
        self, node: int, path: str, names: Mapping[int, dict[str, int]], contents: Mapping[int, bytes]
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, inner in names.get(node, {}).items():
            below = f"{path}/{name}".lstrip("/")
            if inner in self.folders:
                yield below, None
                yield from self._tree(inner, below, names, contents)
            else:
                yield below, contents.get(inner, b"")


def _torn(states: Sequence[bytes], chance: random.Random) -> Iterator[bytes]:
    """What a disk may show of a file on the way through *states*: each sector old, new or zeros, and any length."""
    new, sectors = states[-1], -(-max(map(len, states)) // SECTOR)
    yield b""
    yield bytes(len(new))
    for at in range(SECTOR, len(new), SECTOR):
        yield new[:at]
        yield new[:at] + bytes(len(new) - at)
        yield new[:at] + states[0][at:]
    for _ in range(6):
        sources = [chance.choice((*states, b"")) for _ in range(sectors)]
        mixed = b"".join(
            source[n * SECTOR : (n + 1) * SECTOR].ljust(SECTOR, b"\0") for n, source in enumerate(sources)
        )
        yield mixed[: len(chance.choice(states))]


@dataclass(frozen=True)
class Cut:
    """A disk after a power cut: how many calls had been made, which steps had returned, and what is there."""

    after: int
    returned: int
    tree: Mapping[str, bytes | None]


def cuts(recording: Recording, chance: random.Random, most: int = MOST_A_POINT) -> Iterator[Cut]:
    """Every cut at every point of *recording*; at most *most* disks a point, chosen by *chance*."""
    disk, returned = _Disk(recording), 0
    for after, call in enumerate([Call("begin"), *recording.calls]):
        disk.take(call)
        returned = call.step + 1 if call.kind == "done" else returned
        for tree in disk.outcomes(chance, most):
            yield Cut(after, returned, tree)


@dataclass(frozen=True)
class Write:
    """One step of a script: the whole content that the file *name* is to have."""

    name: str
    data: bytes


def faults(before: Mapping[str, bytes], script: Sequence[Write], cut: Cut) -> list[str]:
    """What is wrong with the disk of *cut*, in words: nothing, when every file is old or new, whole, and kept."""
    wrong = []
    running = script[cut.returned] if cut.returned < len(script) else None
    for name in sorted({*before, *(write.name for write in script)}):
        kept = [write.data for write in script[: cut.returned] if write.name == name]
        allowed = [kept[-1] if kept else before.get(name)]
        if running is not None and running.name == name:
            allowed.append(running.data)
        if cut.tree.get(name) not in allowed:
            wrong.append(f"{name} after call {cut.after}: {_said(cut.tree.get(name))}")
    others = {path for path, data in cut.tree.items() if data is not None} - {*before}
    others -= {write.name for write in script}
    wrong += [f"{path} after call {cut.after}: left in sight" for path in sorted(others) if not _hidden(path)]
    return wrong


def _hidden(path: str) -> bool:
    return any(part.startswith(".fieldkit-") for part in path.split("/"))


def _said(data: bytes | None) -> str:
    return "is gone" if data is None else f"has {len(data)} bytes that nobody wrote as a whole"


def rebuild(cut: Cut, root: Path) -> None:
    """Put the disk of *cut* into the empty folder *root*."""
    for path, data in cut.tree.items():
        target = root / path
        if data is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def checked(
    root: Path, before: Mapping[str, bytes], script: Sequence[Write], writer: Writer, chance: random.Random
) -> Iterator[tuple[Cut, list[str]]]:
    """Run *script* by *writer* in the empty folder *root* that holds *before*; every cut and what is wrong after it."""
    for name, data in before.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    steps = [lambda write=write: writer(root / write.name, write.data) for write in script]
    for cut in cuts(record(root, steps), chance):
        yield cut, faults(before, script, cut)


def by_replacing(path: Path, data: bytes) -> None:
    """Write as a library does that wants a path of its own: the kit sees nothing of it but the finished file."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(data)


def random_script(chance: random.Random) -> tuple[dict[str, bytes], list[Write]]:
    """Files that are there before, and one to three writes, some of them to the same file or in new folders."""

    def content() -> bytes:
        return chance.randbytes(chance.choice((0, 1, 511, 512, 513, 1400)))

    names = ["a.txt", "out/b.bin", "records/A1/record.html"]
    before = {name: content() for name in names if chance.random() < 0.5}
    return before, [Write(chance.choice(names), content()) for _ in range(chance.randint(1, 3))]


def run(seed: int, cuts: int) -> Totals:
    """Look at *cuts* power cuts in random scripts of writes by :mod:`fieldkit.files`; none may be lost.

    Its *calls* are the writes that had returned before a cut; of some disks it is looked whether what the cut left is
    swept away.
    """
    chance = random.Random(seed)
    totals = Totals("power cuts, files")
    with totals.timed():
        while totals.attempts < cuts:
            before, script = random_script(chance)
            writer = chance.choice((files.write_bytes, by_replacing))
            with tempfile.TemporaryDirectory(prefix="fieldkit-faults-") as folder:
                for cut, wrong in itertools.islice(
                    checked(Path(folder), before, script, writer, chance), cuts - totals.attempts
                ):
                    totals.attempts += 1
                    totals.calls += cut.returned
                    totals.acknowledged += cut.returned
                    totals.lost += len(wrong)
                    totals.notes += wrong
                    if any(map(_hidden, cut.tree)) and chance.random() < 0.02:
                        totals.half += len(_not_swept(cut))
    return totals


def _not_swept(cut: Cut) -> list[Path]:
    with tempfile.TemporaryDirectory(prefix="fieldkit-faults-") as folder:
        root = Path(folder)
        rebuild(cut, root)
        for inner in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            files.sweep(inner)
        return [path for path in root.rglob("*") if _hidden(path.relative_to(root).as_posix())]

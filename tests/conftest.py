"""Fixtures that the tests share: a sample workspace, the real data, a browser, a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.postgres import a_database

from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
# Its own update and sync traffic is switched off, so that every request seen is the page's.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[Workspace]:
    ws = sample_workspace(tmp_path / "sample")
    yield ws
    ws.ledger.close()


@pytest.fixture
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is to cost time and memory; here it would cost most of the tests'."""
    monkeypatch.setattr("fieldkit.keys.store._OPS", 1)
    monkeypatch.setattr("fieldkit.keys.store._MEMORY", 8192)


@pytest.fixture
def session_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where unlocked keys lie in this test, instead of with those of the person who runs it."""
    folder = tmp_path_factory.mktemp("session") / "fieldkit"
    monkeypatch.setattr("fieldkit.keys.session._places", lambda _environment: iter([folder]))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real complaints beside the checkout; not part of the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder of real data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium of the system's, driven by playwright."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server that the session starts and stops."""
    with a_database() as url:
        if url is None:
            pytest.skip("no PostgreSQL server on this machine")
        yield url


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes a new empty database on the server and returns its URL; all are dropped afterwards."""
    import psycopg

    address = postgres.replace("postgresql+psycopg", "postgresql")
    names: list[str] = []

    def make() -> str:
        names.append(f"ledger_{uuid.uuid4().hex}")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {names[-1]}")
        return postgres.replace("/postgres?", f"/{names[-1]}?")

    yield make
    with psycopg.connect(address, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With ``CI=true`` a skipped test that needs a browser or a server is a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    needed = any(item.get_closest_marker(name) for name in ("browser", "postgres"))
    if report.skipped and needed and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must not be skipped where CI=true: {report.longrepr}"

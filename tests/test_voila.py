"""The symposium dashboard in plain Voila, as somebody starts it by hand from the folder of the kit."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from fieldkit.workspace import Workspace

ROOT = Path(__file__).parents[1]


@pytest.fixture
def address(sample: Workspace) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", "dashboards/symposium.ipynb", "--no-browser", f"--port={port}"]
    environment = {**os.environ, "FIELDKIT_WORKSPACE": str(sample.settings.folder)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait_until_it_listens(url + "voila/files/nothing")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_it_listens(url: str) -> None:
    for _ in range(300):
        try:
            urlopen(url, timeout=5)
        except URLError as error:
            if not isinstance(error.reason, OSError):
                return  # it answered, with a refusal
        time.sleep(0.1)
    raise AssertionError("Voila did not start")


@pytest.mark.browser
def test_plain_voila_shows_the_dashboard_and_asks_nobody(address: str, browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_function(
        "() => document.querySelector('.fk-board')?.dataset.answered === '0'", timeout=90_000
    )
    assert page.locator(".fk-strong").first.inner_text()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    page.close()


@pytest.mark.browser
def test_plain_voila_serves_no_files(address: str, browser) -> None:
    page = browser.new_page()
    for path in (
        "voila/files/symposium.ipynb",
        "voila/files/README.md",
        "voila/files/docs/images/record.png",
    ):
        response = page.goto(address + path)
        assert response is not None
        assert response.status in (403, 404), path
    page.close()

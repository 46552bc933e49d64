"""The dashboards' server: who is let in, what is open, and that everything else is shut."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from fieldkit.dashboards.gate import Guard
from fieldkit.dashboards.server import Serving, running
from fieldkit.errors import ServeError
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace

PAGE = "/voila/render/symposium.ipynb"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    ws = sample_workspace(tmp_path_factory.mktemp("serve") / "sample")
    evidence = ws.settings.records / "photo.jpg"
    evidence.write_bytes(b"\xff\xd8 a photograph")
    yield ws
    ws.ledger.close()


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[Serving]:
    with running(workspace, port=0) as serving:
        yield serving


def ask(server: Serving, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    response = connection.getresponse()
    response.body = response.read() if path != PAGE or response.status != 200 else b""
    connection.close()
    return response


@pytest.fixture(scope="module")
def cookie(server: Serving) -> str:
    entered = ask(server, f"/?token={server.token}")
    assert (entered.status, entered.getheader("Location")) == (302, PAGE)
    return entered.getheader("Set-Cookie").split(";")[0]


def test_the_token_opens_once_and_leaves_the_address_bar(server, cookie):
    entered = ask(server, f"/?token={server.token}").getheader("Set-Cookie")
    assert "HttpOnly" in entered
    assert "SameSite=Lax" in entered
    assert server.token not in entered
    assert ask(server, "/", Cookie=cookie).getheader("Location") == PAGE


OPEN_PATHS = [
    "/",
    PAGE,
    "/voila/static/voila.js",
    "/voila/templates/fieldkit/static/voila-style.js",
    "/api/kernels/" + str(uuid.UUID(int=7)),
    "/api/kernels/" + str(uuid.UUID(int=7)) + "/channels",
]
SHUT_PATHS = [
    "/api",
    "/api/status",
    "/api/me",
    "/api/contents",
    "/api/contents/symposium.ipynb",
    "/api/contents/..",
    "/api/kernels",
    "/api/kernelspecs",
    "/api/sessions",
    "/api/terminals",
    "/api/config/notebook",
    "/api/events/subscribe",
    "/api/nbconvert",
    "/api/security/csp-report",
    "/api/shutdown",
    "/api/spec.yaml",
    "/files/symposium.ipynb",
    "/files/../voila.json",
    "/nbconvert/html/symposium.ipynb",
    "/view/symposium.ipynb",
    "/edit/symposium.ipynb",
    "/tree",
    "/lab",
    "/notebooks/symposium.ipynb",
    "/terminals/1",
    "/login",
    "/logout",
    "/metrics",
    "/static/favicon.ico",
    "/voila",
    "/voila/tree/",
    "/voila/files/symposium.ipynb",
    "/voila/files/photo.jpg",
    "/voila/api/contents/",
    "/voila/query/" + str(uuid.UUID(int=7)),
    "/voila/execution/" + str(uuid.UUID(int=7)),
    "/voila/render/other.ipynb",
]


@pytest.mark.parametrize("path", OPEN_PATHS + SHUT_PATHS)
def test_nobody_gets_in_without_the_token(server, path):
    for headers in ({}, {"Cookie": f"fieldkit-{server.port}=guess"}, {"Authorization": "token guess"}):
        refused = ask(server, path, **headers)
        assert refused.status == 403
        assert b"fieldkit serve" in refused.body
        assert len(refused.body) < 100


@pytest.mark.parametrize("path", OPEN_PATHS + SHUT_PATHS)
def test_a_foreign_host_or_origin_is_refused_token_or_not(server, cookie, path):
    own = f"127.0.0.1:{server.port}"
    for host in (
        "evil.example",
        f"evil.example:{server.port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{server.port}",
        "[::1]",
    ):
        assert ask(server, path, Host=host, Cookie=cookie).status == 403, host
        assert ask(server, f"{path}?token={server.token}", Host=host).status == 403, host
    for origin in (
        "http://evil.example",
        "null",
        f"https://{own}",
        f"http://{own}.evil.example",
        "http://127.0.0.1:1",
    ):
        assert ask(server, path, Origin=origin, Cookie=cookie).status == 403, origin


@pytest.mark.parametrize("path", SHUT_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_what_the_page_does_not_need_is_shut_to_the_viewer_too(server, cookie, path, method):
    own = f"http://127.0.0.1:{server.port}"
    refused = ask(server, path, method, Cookie=cookie, Origin=own)
    assert refused.status == 404
    assert refused.body == b"There is no such page.\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_open_pages_are_for_reading_only(server, cookie, method):
    own = f"http://127.0.0.1:{server.port}"
    for path in OPEN_PATHS:
        assert ask(server, path, method, Cookie=cookie, Origin=own).status == 404
        assert ask(server, path, method, Cookie=cookie).status == 403, "a write without an Origin"


WANTED = ("fieldkit.toml", "ledger.sqlite", "records/photo.jpg", "etc/passwd", "server.py")
WAYS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "....//", "..;/", "..%252f", "..%c0%af", "/")
DOORS = (
    "/voila/static/",
    "/voila/templates/fieldkit/static/",
    "/voila/labextensions/",
    "/voila/files/",
    "/voila/render/",
    "/files/",
)


def test_no_way_up_reaches_a_file(server, cookie):
    forms = [
        door + way * times + name for door in DOORS for way in WAYS for times in (1, 6) for name in WANTED
    ]
    forms += [door + quote(str(server.process.args[0])) for door in DOORS]
    assert len(forms) > 500
    for form in forms[:: max(1, len(forms) // 150)]:
        answer = ask(server, form, Cookie=cookie)
        assert answer.status in (400, 403, 404), form
        assert b"origin =" not in answer.body
        assert b"root:" not in answer.body


def open_page(server: Serving, cookie: str) -> tuple[str, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", PAGE, headers={"Cookie": cookie})
    answer = connection.getresponse()
    text = answer.read().decode()
    answer.close()
    connection.close()
    return text, answer


def websocket(server: Serving, cookie: str, kernel: str):
    websockets = pytest.importorskip("websockets.sync.client")
    return websockets.connect(
        f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels",
        additional_headers={"Cookie": cookie},
        origin=f"http://127.0.0.1:{server.port}",
        open_timeout=60,
        proxy=None,
    )


def message(kind: str, content: dict, channel: str = "shell") -> str:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    return json.dumps(
        {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": channel,
            "buffers": [],
        }
    )


def test_the_socket_runs_no_code(server, cookie, workspace):
    page, _ = open_page(server, cookie)
    kernel = re.search(r'"kernelId": "([0-9a-f-]{36})"', page).group(1)
    target = workspace.settings.folder / "made-by-the-socket"
    code = {
        "code": f"open({str(target)!r}, 'w').close()",
        "silent": False,
        "user_expressions": {},
        "allow_stdin": False,
    }
    with websocket(server, cookie, kernel) as socket_:
        for kind, content in (
            ("execute_request", code),
            ("complete_request", {"code": "import os", "cursor_pos": 9}),
            ("inspect_request", {"code": "os", "cursor_pos": 2, "detail_level": 1}),
            ("history_request", {"hist_access_type": "tail", "n": 5, "output": False, "raw": True}),
        ):
            socket_.send(message(kind, content))
        socket_.send(
            message("debug_request", {"type": "request", "command": "initialize", "seq": 1}, "control")
        )
        socket_.send(message("kernel_info_request", {}))
        seen = []
        while "kernel_info_reply" not in seen:
            seen.append(json.loads(socket_.recv(timeout=60))["msg_type"])
        time.sleep(1)
    assert not target.exists()
    assert {"execute_reply", "complete_reply", "inspect_reply", "history_reply", "debug_reply"}.isdisjoint(
        seen
    )


def test_the_page_shows_no_code_and_no_path(server, cookie, workspace):
    page, answer = open_page(server, cookie)
    assert "fk.symposium" not in page
    assert str(workspace.settings.folder) not in page
    assert "https://" not in page
    assert "frame-ancestors 'none'" in answer.getheader("Content-Security-Policy")


def test_it_listens_on_loopback_only(server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", server.port))  # free, as it would not be if the server listened everywhere


def test_a_port_in_use_is_said(server, workspace):
    with (
        pytest.raises(ServeError, match=f"Port {server.port} is in use"),
        running(workspace, port=server.port),
    ):
        pass


def test_a_guessable_token_is_refused(workspace):
    with pytest.raises(ServeError, match="at least 16"), running(workspace, token="1" * 15):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_ctrl_c_ends_everything_at_once_and_quietly(workspace):
    program = "import sys, fieldkit as fk\nfk.serve(fk.open(sys.argv[1]), port=0, open_browser=False)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(workspace.settings.folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # Whoever runs the tests in the background may have left the signal ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    line = process.stdout.readline()
    port = int(re.search(r"127\.0\.0\.1:(\d+)/\?token=", line).group(1))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "Stopped.\n", "")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_the_guard_compares_whole_tokens():
    guard = Guard("a" * 20, ["symposium.ipynb"])
    assert guard.session != guard.token
    assert len(guard.session) > 30


def test_the_slow_checker_is_kept_out():
    code = (
        "import sys, fieldkit.dashboards.jupyter_app; "
        "print('jsonschema' in sys.modules, bool(sys.modules.get('rfc3987_syntax')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"

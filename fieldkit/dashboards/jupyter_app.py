"""The dashboards' server process: Voila as an extension of jupyter-server behind one list of what may be asked.

Started by :mod:`fieldkit.dashboards.server`, which sends the orders as one line of JSON and ends the server by closing
the pipe. Whatever is not on the list in :data:`OPEN` is refused, whoever asks.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
import threading
from pathlib import Path
from typing import Any

KERNEL = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

#: Everything the server answers, as method and path; ``{notebook}`` stands for a dashboard's file name.
OPEN = (
    ("GET", r"/"),
    ("GET", r"/voila/render/{notebook}"),
    ("GET", r"/voila/static/[\w./@~-]+"),
    ("GET", r"/voila/templates/(?:fieldkit|lab|base)/static/[\w./@~-]+"),
    ("GET", r"/voila/labextensions/[\w./@~-]+"),
    ("GET", r"/voila/api/themes/[\w./@~-]+"),
    ("POST", rf"/voila/api/shutdown/{KERNEL}"),
    ("GET", rf"/api/kernels/{KERNEL}"),
    ("GET", rf"/api/kernels/{KERNEL}/channels"),
)

#: The exit code that says that the port is in use.
IN_USE = 98

#: What a page may send to its kernel: widgets' messages, and nothing that runs code.
MESSAGES = ["comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request", "shutdown_request"]


def without_rfc3987() -> None:
    """Keep ``rfc3987_syntax`` from being imported in this process: 1.2 s for a check of addresses that nobody uses."""
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


class Guard:
    """Decides on every request before any handler sees it.

    A foreign Host or Origin, a missing token, and whatever is not in :data:`OPEN` are refused. The token is taken
    once from the address; then a cookie stands for it, and the address bar no longer shows it.
    """

    def __init__(self, token: str, notebooks: list[str]) -> None:
        self.token = token
        self.session = secrets.token_urlsafe(32)
        self.port = 0
        names = "|".join(re.escape(name) for name in notebooks)
        self._open = [(method, re.compile(path.replace("{notebook}", f"(?:{names})"))) for method, path in OPEN]

    @property
    def cookie(self) -> str:
        """The name of the cookie; ports of one machine share their cookies, so it carries the port."""
        return f"fieldkit-{self.port}"

    def refusal(self, request: Any) -> tuple[int, str] | None:
        """The status and sentence with which *request* is refused, or None."""
        hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")}
        if request.headers.get_list("Host") not in [[host] for host in hosts]:
            return 403, "This server answers only to this machine's own address."
        origins = {f"http://{host}" for host in hosts}
        origin = request.headers.get("Origin")
        writes = request.method not in ("GET", "HEAD") or "upgrade" in request.headers.get("Connection", "").lower()
        if (origin is not None or writes) and origin not in origins:
            return 403, "This page was asked for by another site."
        if not self.known(request):
            return 403, "Open the address that `fieldkit serve` printed, with its token."
        if ".." in request.path or not any(m == request.method and p.fullmatch(request.path) for m, p in self._open):
            return 404, "There is no such page."
        return None

    def known(self, request: Any) -> bool:
        """Whether *request* carries the token or the cookie that stands for it."""
        if self.has_token(request):
            return True
        cookie = request.cookies.get(self.cookie)
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self.session.encode())

    def has_token(self, request: Any) -> bool:
        """Whether *request* carries the token itself."""
        given = [value for value in request.query_arguments.get("token", [])]
        return any(hmac.compare_digest(value, self.token.encode()) for value in given)


def make_server(orders: dict[str, Any]) -> Any:
    """The server of *orders* (``port``, ``retries``, ``token``, ``dashboards``), for 127.0.0.1, not yet running."""
    from traitlets.config import Config

    folder = Path(orders["dashboards"])
    notebooks = sorted(path.name for path in folder.glob("*.ipynb"))
    guard = Guard(orders["token"], notebooks)
    config = Config(json.loads(_settings_file(folder).read_text(encoding="utf-8")))
    config.MappingKernelManager.allowed_message_types = MESSAGES
    config.IdentityProvider.token = orders["token"]
    server = _server_class()(
        config=config, guard=guard, home="/voila/render/symposium.ipynb", ip="127.0.0.1", port=orders["port"],
        port_retries=orders["retries"], root_dir=str(folder), jpserver_extensions={"voila.server_extension": True},
        open_browser=False, log_level="WARN",
    )  # fmt: skip
    server.initialize(argv=[], find_extensions=False)
    guard.port = server.port
    server.close_gates()
    return server


def _settings_file(dashboards: Path) -> Path:
    return dashboards.parent / "voila.json"


def _server_class() -> Any:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_server.auth.identity import IdentityProvider, User
    from jupyter_server.serverapp import ServerApp
    from jupyter_server.services.kernels.handlers import KernelHandler
    from tornado import web
    from traitlets import Any as AnyTrait
    from traitlets import Unicode, default
    from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

    class OwnKernel(KernelSpecManager):  # type: ignore[misc]
        """Knows only the Python that runs the kit, whatever kernels a person has installed under its name."""

        @default("kernel_dirs")
        def _no_folders(self) -> list[str]:
            return []

    class Known(IdentityProvider):  # type: ignore[misc]
        """Everybody whom the guard let through is the one viewer; nobody else gets this far."""

        def get_user(self, handler: Any) -> User | None:
            return User("viewer") if handler.settings["fieldkit_guard"].known(handler.request) else None

        def get_handlers(self) -> list[Any]:
            return []

    class Refused(web.RequestHandler):  # type: ignore[misc]
        """Answers what the guard refused with one sentence."""

        def initialize(self, status: int, sentence: str) -> None:
            self.refusal = status, sentence

        def check_xsrf_cookie(self) -> None:
            """Nothing is done, so nothing needs protecting."""

        def prepare(self) -> None:
            self.set_status(self.refusal[0])
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_header("X-Content-Type-Options", "nosniff")
            self.finish(self.refusal[1] + "\n")

    class Entered(web.RequestHandler):  # type: ignore[misc]
        """Puts the cookie in place of the token and goes on to the page without it."""

        def initialize(self, guard: Guard, home: str) -> None:
            self.guard, self.home = guard, home

        def get(self) -> None:
            if self.guard.has_token(self.request):
                self.set_cookie(self.guard.cookie, self.guard.session, httponly=True, samesite="Lax")
            self.set_header("Cache-Control", "no-store")
            self.set_header("Referrer-Policy", "no-referrer")
            self.redirect(self.home if self.request.path == "/" else self.request.path)

    class DashboardServer(ServerApp):  # type: ignore[misc]
        """jupyter-server without its services: no contents, files, terminals, sessions, settings or log-in page."""

        default_services = ()
        guard = AnyTrait()
        home = Unicode()
        identity_provider_class = Known
        kernel_spec_manager_class = OwnKernel

        def load_config_file(self, suppress_errors: bool = True) -> None:
            """No settings but ours: a person's own might open another address or another folder."""

        def init_signal(self) -> None:
            """The one who started the server ends it, by closing the pipe."""

        def start_app(self) -> None:
            """Nothing to announce, and no file with the token to write."""

        def init_webapp(self) -> None:
            # Origin is checked by the guard for everything that writes, which is what the other cookie is for.
            self.tornado_settings |= {
                "disable_check_xsrf": True,
                "xsrf_cookies": False,
                "fieldkit_guard": self.guard,
                "websocket_max_message_size": 4 * 1024 * 1024,
                "headers": {"Content-Security-Policy": _policy(), "Referrer-Policy": "no-referrer"},
            }
            super().init_webapp()
            # Without an address of its own Voila takes MathJax from its bundle; with one, from that.
            self.web_app.settings |= {"mathjax_url": None, "mathjax_config": None}

        def close_gates(self) -> None:
            """Put the guard before every route, those of extensions too."""
            app = self.web_app
            kernel = rf"/api/kernels/(?P<kernel_id>{KERNEL})"
            app.add_handlers(r".*", [(kernel, KernelHandler), (kernel + "/channels", VoilaKernelWebsocketHandler)])
            find = app.find_handler

            def find_open(request: Any, **kwargs: Any) -> Any:
                refusal = self.guard.refusal(request)
                if refusal is not None:
                    arguments = dict(zip(("status", "sentence"), refusal, strict=True))
                    return app.get_handler_delegate(request, Refused, arguments)
                if request.path == "/" or self.guard.has_token(request):
                    return app.get_handler_delegate(request, Entered, {"guard": self.guard, "home": self.home})
                return find(request, **kwargs)

            app.find_handler = find_open

    return DashboardServer


def _policy() -> str:
    # Widgets' scripts are blobs and Voila's own are inline; nothing may come from, or go to, any other machine.
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
        "frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def _add_template() -> None:
    # Voila looks for templates in Jupyter's data folders; ours, inside the package, comes last.
    from jupyter_core import paths

    paths.SYSTEM_JUPYTER_PATH.append(str(Path(__file__).parent / "jupyter"))


def main() -> None:
    """Read the orders, start the server, say its port, and end when the pipe closes."""
    orders = json.loads(sys.stdin.readline())
    without_rfc3987()
    _add_template()
    try:
        server = make_server(orders)
    except SystemExit:  # what jupyter-server does when it finds no free port
        sys.exit(IN_USE)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        server.stop()

    def say_the_port() -> None:
        sys.stdout.write(json.dumps({"port": server.port}) + "\n")
        sys.stdout.flush()

    # After the callback that binds the port, which the server has put into the loop before.
    server.io_loop.add_callback(say_the_port)
    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        server.start()
    except SystemExit:
        sys.exit(IN_USE)


if __name__ == "__main__":
    main()

"""The dashboards' server process: Voila as an extension of jupyter-server behind one list of what may be asked.

Started by :mod:`fieldkit.dashboards.server`, which sends the orders as one line of JSON and ends the server by closing
the pipe. Whatever is not on the list in :mod:`fieldkit.dashboards.gate` is refused, whoever asks.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from fieldkit.dashboards.gate import IN_USE, KERNEL, MESSAGES, Guard
from fieldkit.records.running import leave_out_uri_grammar

leave_out_uri_grammar()  # before the imports that would bring it

from jupyter_client.kernelspec import KernelSpecManager  # noqa: E402
from jupyter_server.auth.identity import IdentityProvider, User  # noqa: E402
from jupyter_server.serverapp import ServerApp  # noqa: E402
from jupyter_server.services.kernels.handlers import KernelHandler  # noqa: E402
from tornado import web  # noqa: E402
from traitlets import Any as AnyTrait  # noqa: E402
from traitlets import Unicode, default  # noqa: E402
from traitlets.config import Config  # noqa: E402
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler  # noqa: E402


def make_server(orders: dict[str, Any]) -> Any:
    """The server of *orders* (``port``, ``retries``, ``token``, ``dashboards``), for 127.0.0.1, not yet running."""
    folder = Path(orders["dashboards"])
    notebooks = sorted(path.name for path in folder.glob("*.ipynb"))
    guard = Guard(orders["token"], notebooks)
    config = Config(json.loads(_settings_file(folder).read_text(encoding="utf-8")))
    config.MappingKernelManager.allowed_message_types = MESSAGES
    config.IdentityProvider.token = orders["token"]
    server = DashboardServer(
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


class OwnKernel(KernelSpecManager):
    """Knows only the Python that runs the kit, whatever kernels a person has installed under its name."""

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []


class Known(IdentityProvider):
    """Everybody whom the guard let through is the one viewer; nobody else gets this far."""

    def get_user(self, handler: Any) -> User | None:
        """The viewer, when the guard knows the request."""
        return User("viewer") if handler.settings["fieldkit_guard"].known(handler.request) else None

    def get_handlers(self) -> list[Any]:
        """No log-in page: the token is the only way in."""
        return []


class Refused(web.RequestHandler):
    """Answers what the guard refused with one sentence."""

    def initialize(self, status: int, sentence: str) -> None:
        """Take what is to be answered."""
        self.refusal = status, sentence

    def check_xsrf_cookie(self) -> None:
        """Nothing is done, so nothing needs protecting."""

    def prepare(self) -> None:
        """Answer at once, whatever the method."""
        self.set_status(self.refusal[0])
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(self.refusal[1] + "\n")


class Entered(web.RequestHandler):
    """Puts the cookie in place of the token and goes on to the page without it."""

    def initialize(self, guard: Guard, home: str) -> None:
        """Take the guard and the page to go to."""
        self.guard, self.home = guard, home

    def get(self) -> None:
        """Set the cookie, when the token came along, and redirect."""
        if self.guard.has_token(self.request):
            self.set_cookie(self.guard.cookie, self.guard.session, httponly=True, samesite="Lax")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.redirect(self.home if self.request.path == "/" else self.request.path)


class DashboardServer(ServerApp):
    """jupyter-server without its services: no contents, files, terminals, sessions, settings or log-in page."""

    default_services = ()  # type: ignore[assignment]
    guard = AnyTrait()
    home = Unicode()
    identity_provider_class = Known
    kernel_spec_manager_class = OwnKernel

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """No settings but ours: a person's own might open another address or another folder."""

    def init_signal(self) -> None:
        """The one who started the server ends it, by closing the pipe."""

    def start_app(self) -> None:
        """Nothing to announce, and no file with the token to write."""

    def init_webapp(self) -> None:
        """The application, with the guard's settings."""
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
        app: Any = self.web_app
        kernel = rf"/api/kernels/(?P<kernel_id>{KERNEL})"
        app.add_handlers(
            r".*", [(kernel, KernelHandler), (kernel + "/channels", VoilaKernelWebsocketHandler)]
        )
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

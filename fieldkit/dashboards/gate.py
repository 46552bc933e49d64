"""What the dashboards' server lets in: one list of paths, one token, one machine."""

from __future__ import annotations

import hmac
import re
import secrets
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
MESSAGES = [
    "comm_open",
    "comm_close",
    "comm_msg",
    "comm_info_request",
    "kernel_info_request",
    "shutdown_request",
]


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
        self._open = [
            (method, re.compile(path.replace("{notebook}", f"(?:{names})"))) for method, path in OPEN
        ]

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
        writes = (
            request.method not in ("GET", "HEAD")
            or "upgrade" in request.headers.get("Connection", "").lower()
        )
        if (origin is not None or writes) and origin not in origins:
            return 403, "This page was asked for by another site."
        if not self.known(request):
            return 403, "Open the address that `fieldkit serve` printed, with its token."
        if ".." in request.path or not any(
            m == request.method and p.fullmatch(request.path) for m, p in self._open
        ):
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
        given = request.query_arguments.get("token", [])
        return any(hmac.compare_digest(value, self.token.encode()) for value in given)

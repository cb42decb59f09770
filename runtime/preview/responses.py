"""Make the HTTP responses of the live page."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from .access import Refusal

if TYPE_CHECKING:
    from websockets.http11 import Response

_PAGE = Path(__file__).with_name("page")
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def read_files() -> dict[str, tuple[bytes, str]]:
    """Return the content and type of the page's files, by their paths."""
    return {path: ((_PAGE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}


def response(status: HTTPStatus, body: bytes, kind: str, cookie: str | None = None) -> Response:
    """Return a complete response, after which the connection is closed."""
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    headers.update({**_SECURITY_HEADERS, **({"Set-Cookie": cookie} if cookie else {})})
    return Response(status.value, status.phrase, headers, body)


def refused(refusal: Refusal) -> Response:
    """Return the response to a request that is refused: one line of text."""
    return response(refusal.status, f"{refusal.reason}\n".encode(), "text/plain; charset=utf-8")


def stream_head(kind: str) -> bytes:
    """Return the head of a response that goes on until the connection is closed."""
    headers = {"Content-Type": kind, "Connection": "close", **_SECURITY_HEADERS}
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()

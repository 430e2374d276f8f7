"""Rules of every request: who may ask, how much, and what a page may do.

A page on 127.0.0.1 can be reached from any page that the browser shows: by a form (CSRF), or by a
host name that an attacker points here (DNS rebinding). Browsers send Origin with every POST.
"""

from __future__ import annotations

import time
from collections import deque

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Middleware that checks requests and sets the headers of answers.

    Parameters
    ----------
    app : ASGI application
        Application behind it.
    most_bytes : int
        Largest body, in bytes.
    most_posts : int
        Largest number of POSTs in ``seconds``.
    seconds : float
        Span of that number.
    """

    def __init__(
        self, app: ASGIApp, *, most_bytes: int, most_posts: int = 120, seconds: float = 60.0
    ) -> None:
        self._app, self._most_bytes = app, most_bytes
        self._most_posts, self._seconds = most_posts, seconds
        self._posts: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason if the request is refused."""
        if scope["method"] in ("GET", "HEAD"):
            return None
        headers = Headers(scope=scope)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        own = f"{scope['scheme']}://{headers.get('host', '')}"
        if (origin is not None and origin != own) or (site is not None and site != "same-origin"):
            return 403, f"this page answers to {own} only, not to {origin or site}"
        length = headers.get("content-length", "")
        if not length.isdigit():
            return 411, "the length of the body is not given"
        if int(length) > self._most_bytes:
            return 413, f"the body has {int(length):,} bytes, at most {self._most_bytes:,} are read"
        now = time.monotonic()
        while self._posts and now - self._posts[0] > self._seconds:
            self._posts.popleft()
        if len(self._posts) >= self._most_posts:
            return 429, f"more than {self._most_posts} requests in {self._seconds:.0f} s; wait"
        self._posts.append(now)
        return None

"""Rules of every request: who may ask, how much, and what a page may do.

A page on 127.0.0.1 can be reached from any page that the browser shows: by a form (CSRF), or by a
host name that an attacker points here (DNS rebinding). Browsers send Origin with every POST. Where
other machines reach the pages, each request needs a token, which a cookie carries.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import defaultdict, deque
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otoscope.errors import ParameterError

__all__ = ["LEAST_TOKEN", "Guard", "check_token"]

LEAST_TOKEN = 16
"""Smallest number of characters of a token."""

_COOKIE = "otoscope"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CLIENTS = 10_000  # of which requests are counted
_ENTRY = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>otoscope</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"></head>
<body><form><label>Token <input name="token" type="password" autofocus required></label>
<button>Open</button><p>The one who has started the server knows it.</p></form></body></html>
"""


def check_token(token: str) -> None:
    """Refuse a token that can be guessed.

    Raises
    ------
    ParameterError
        If it has too few characters.
    """
    if len(token) < LEAST_TOKEN:
        raise ParameterError(
            f"token has {len(token)} characters, must have {LEAST_TOKEN} or more: whoever guesses "
            "it can use the pages"
        )


class Guard:
    """Middleware that checks requests and sets the headers of answers.

    Parameters
    ----------
    app : ASGI application
        Application behind it.
    most_bytes : int
        Largest body, in bytes.
    larger : mapping of str to int, optional
        Paths that take larger bodies, with their largest.
    token : str, optional
        Secret that every request needs, see `check_token`; by default none does.
    most_posts : int
        Largest number of POSTs of a client in ``seconds``.
    seconds : float
        Span of that number.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: int,
        larger: Mapping[str, int] | None = None,
        token: str | None = None,
        most_posts: int = 120,
        seconds: float = 60.0,
    ) -> None:
        self._app, self._most_bytes, self._larger = app, most_bytes, dict(larger or {})
        self._pass = None if token is None else _digest(token)
        self._most_posts, self._seconds = most_posts, seconds
        self._posts: defaultdict[str, deque[float]] = defaultdict(deque)

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

        answer = self._entry(scope)
        refusal = None if answer else self._refusal(scope)
        if refusal is not None:
            answer = PlainTextResponse(refusal[1], refusal[0])
        await (answer or self._app)(scope, receive, send_with_headers)

    def _entry(self, scope: Scope) -> Response | None:
        """Return the answer to a request without the token, and to the one that brings it."""
        if self._pass is None:
            return None
        request = Request(scope)
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._pass.encode()):
            return None
        given = bearer if scheme.lower() == "bearer" else request.query_params.get("token")
        if given is None:
            return HTMLResponse(_ENTRY, 401)
        if refusal := self._counted(scope):
            return PlainTextResponse(refusal[1], refusal[0])
        if not hmac.compare_digest(_digest(given), self._pass):
            return HTMLResponse(_ENTRY, 401)
        if bearer:
            return None
        answer = RedirectResponse("/" + scope["path"].lstrip("/"), 303)  # without the token
        answer.set_cookie(_COOKIE, self._pass, httponly=True, samesite="strict")
        return answer

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
        most = self._larger.get(scope.get("path", ""), self._most_bytes)
        if int(length) > most:
            return 413, f"the body has {int(length):,} bytes, at most {most:,} are read"
        return self._counted(scope)

    def _counted(self, scope: Scope) -> tuple[int, str] | None:
        """Count a request of a client; return status and reason if there are too many."""
        if len(self._posts) > _CLIENTS:
            self._posts.clear()
        posts, now = self._posts[(scope.get("client") or ("", 0))[0]], time.monotonic()
        while posts and now - posts[0] > self._seconds:
            posts.popleft()
        if len(posts) >= self._most_posts:
            return 429, f"more than {self._most_posts} requests in {self._seconds:.0f} s; wait"
        posts.append(now)
        return None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

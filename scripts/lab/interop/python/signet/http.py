"""Requests to the issuer."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Iterator, Mapping, Optional


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect names a server that nobody configured: it is an error."""


class Http:
    def __init__(self, timeout: float, context: Optional[ssl.SSLContext]) -> None:
        https = urllib.request.HTTPSHandler(context=context or ssl.create_default_context())
        self._opener, self.timeout = urllib.request.build_opener(_NoRedirects(), https), timeout

    def get(self, url: str, headers: Mapping[str, str], wait: float = 0) -> Any:
        """The answer, whatever its status; to be closed. `wait` seconds more than the time limit."""
        try:
            return self._opener.open(urllib.request.Request(url, headers=dict(headers)), timeout=self.timeout + wait)
        except urllib.error.HTTPError as reply:
            return reply

    def body(self, reply: Any, most: int, deadline: Callable[[], float]) -> Iterator[bytes]:
        """The body in pieces. Raises when it is too long, or goes on after the deadline (monotonic)."""
        size = 0
        while chunk := reply.read1(65_536):
            size += len(chunk)
            if size > most:
                raise ValueError(f"more than {most} bytes")
            if time.monotonic() > deadline():
                raise TimeoutError("no end of the answer in time")
            yield chunk

"""The public keys of the issuer."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import re
import threading
import time
import urllib.parse
from typing import Any, Mapping, NamedTuple, Optional

import jwt

from .http import Http
from .refused import Refused
from .token import json_of

log = logging.getLogger("signet")
MAX_BYTES = 256 * 1024  # of a JWKS


class _Jwks(NamedTuple):
    keys: Mapping[str, Any]
    etag: Optional[str] = None
    made_at: float = -math.inf  # monotonic: when the issuer made it, as far as is known
    good_until: float = -math.inf  # monotonic: from then on its keys are not used
    fresh_until: float = -math.inf  # epoch: the monotonic clock may stop while a machine sleeps


class Keys:
    """The JWKS of the issuer: kept for its max-age, fetched again in the background, one request at a time."""

    def __init__(self, http: Http, url: str, max_stale: float) -> None:
        self._http, self._url, self._max_stale = http, url, max_stale
        self._lock = threading.Lock()  # of the one request
        self.withdrawn: set[str] = set()  # never used again, whatever a JWKS says
        self._jwks, self._failures, self._due_at = _Jwks({}), 0, -math.inf
        self._failed_at = self._answered_at = self._searched_at = -math.inf
        self._cool_down = 1.0  # seconds between two searches for unknown kids
        self._not_found: dict[str, float] = {}  # kid -> monotonic: not searched before

    def get(self, kid: str) -> Any:
        jwks = self._jwks
        return None if kid in self.withdrawn or time.monotonic() >= jwks.good_until else jwks.keys.get(kid)

    def are_there(self) -> bool:
        return time.monotonic() < self._jwks.good_until

    def is_over(self) -> bool:
        return self.are_there() and time.time() >= self._jwks.fresh_until

    def is_due(self) -> bool:
        return time.monotonic() >= self._due_at and not self._lock.locked()

    def may_seek(self, kid: str, urgent: bool = False) -> bool:
        """Whether the issuer is worth a question. Anybody can send unknown kids: a flood must not become one there."""
        return self._lock.locked() or self._may_ask(kid, urgent)

    def _may_ask(self, kid: str, urgent: bool) -> bool:
        now = time.monotonic()
        if self._failures and now < self._failed_at + self._back_off():
            raise Refused("keys_unavailable", "keys_unavailable", "the last request failed a moment ago")
        if not self.are_there():
            if now >= self._answered_at + 1:
                return True
            raise Refused("keys_unavailable", "keys_unavailable", "the answer of a moment ago was too old")
        if kid in self.withdrawn:
            return False
        return urgent or (now >= self._searched_at + self._cool_down and now >= self._not_found.get(kid[:255], 0))

    def seek(self, kid: str, urgent: bool = False) -> None:
        """Asks for a kid that is not known, unless that was done a moment ago. `urgent`: no stranger can cause it."""
        if not self._lock.acquire(timeout=self._http.timeout + 1):
            raise Refused("keys_unavailable", "keys_unavailable", "no answer in time")
        try:
            if self.get(kid) is not None or not self._may_ask(kid, urgent):
                return
            if not urgent:
                self._searched_at = time.monotonic()
            self._fetch(kid)
            if urgent:
                return
            found = self.get(kid) is not None
            self._cool_down = 1.0 if found else min(10.0, self._cool_down * 2)
            if len(self._not_found) >= 1000:
                self._not_found.clear()
            if not found:
                self._not_found[kid[:255]] = time.monotonic() + 5
        finally:
            self._lock.release()

    def refresh(self) -> None:
        if not self._lock.acquire(timeout=self._http.timeout + 1):
            return
        try:
            if self.is_over() or time.monotonic() >= self._due_at:
                self._fetch()
        except Refused:
            pass  # logged; the keys stay good for a while
        finally:
            self._lock.release()

    def _back_off(self) -> float:
        return min(30 if self.are_there() else 2, 0.5 * 2 ** min(self._failures - 1, 10))

    def _fetch(self, kid: Optional[str] = None) -> None:
        # A kid that is searched stands in the URL, so that no shared cache can answer with an old copy.
        url = self._url if kid is None else f"{self._url}?kid={urllib.parse.quote(kid[:255], '', errors='replace')}"
        headers = {} if kid is None else {"cache-control": "no-cache"}
        if self._jwks.etag:
            headers["if-none-match"] = self._jwks.etag
        began = time.monotonic()
        try:
            with self._http.get(url, headers) as reply:
                if reply.status == 304 and self._jwks.etag:
                    keys = self._jwks.keys
                elif reply.status != 200:
                    raise ValueError(f"status {reply.status}")
                else:
                    keys = read_jwks(b"".join(self._http.body(reply, MAX_BYTES, lambda: began + self._http.timeout)))
            self._keep(keys, reply, began)
        except Exception as error:
            self._failed_at, self._failures = time.monotonic(), self._failures + 1
            self._due_at = self._failed_at + self._back_off()
            log.warning("keys: %.200s", error)
            raise Refused("keys_unavailable", "keys_unavailable", f"{error}"[:200]) from error
        self._failures, self._answered_at = 0, time.monotonic()

    def _keep(self, keys: Mapping[str, Any], reply: Any, began: float) -> None:
        said = re.search(r"(?:^|[\s,])max-age=(\d{1,9})", reply.headers.get("cache-control", ""), re.I | re.A)
        lifetime = min(86_400, max(5, int(said[1]) if said else 300))
        age = re.match(r"\s*(\d{1,9})\s*(?:,|$)", reply.headers.get("age", ""), re.A)
        made_at = began - (int(age[1]) if age else 0)
        fresh_for = max(1.0, lifetime - (time.monotonic() - made_at))
        self._due_at = time.monotonic() + fresh_for
        # An older copy of a shared cache would forget the newest key, and bring back a revoked one.
        if reply.status == 200 and made_at + 1 < self._jwks.made_at:
            return
        etag = reply.headers.get("etag") if reply.status == 200 else self._jwks.etag
        good_until = made_at + lifetime + self._max_stale
        self._jwks = _Jwks(keys, etag, max(made_at, self._jwks.made_at), good_until, time.time() + fresh_for)


def read_jwks(raw: bytes) -> dict[str, Any]:
    """The keys that can be used, by kid. One that can't must not take the others with it."""
    found = {}
    for one in json_of(raw)["keys"][:64]:
        try:
            if one["alg"] != "RS256" or one.get("use", "sig") != "sig" or "d" in one or one["kty"] != "RSA":
                continue
            key = jwt.PyJWK(one, "RS256").key
            numbers = key.public_numbers()
            n = base64.urlsafe_b64encode(numbers.n.to_bytes((key.key_size + 7) // 8, "big")).rstrip(b"=").decode()
            thumbprint = hashlib.sha256(f'{{"e":"AQAB","kty":"RSA","n":"{n}"}}'.encode()).digest()  # RFC 7638
            own = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
            if key.key_size >= 2048 and numbers.e == 65537 and one["kid"] == own:
                found[own] = key
        except Exception:
            continue
    if not found:
        raise ValueError("a JWK Set without a key that can be used")
    return found

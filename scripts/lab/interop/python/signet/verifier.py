"""The verifier: keys, revocations and the checks together."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import ssl
import threading
import time
import urllib.parse
import weakref
from collections import Counter
from typing import Any, Optional, Sequence, Union

from .feed_copy import FeedCopy
from .follow import Follower, Standstill
from .http import Http
from .keys import Keys
from .refused import Refused, bad
from .token import Claims, accept, check_signature, parse, text

log = logging.getLogger("signet")


class _MustWait(Exception):
    """The issuer has to be asked first."""


class Verifier:
    """Verifies the access tokens of one issuer for one service. For any number of threads and tasks.

    Nothing is asked before `start`, `hydrate` or the first token. From then on two daemon threads follow the issuer;
    they do not hold up the end of the process. After a fork the child begins anew, so a server may fork when it likes.

    issuer: exactly `iss` of the tokens, without a slash at the end; https, except for loopback
    audience: the identifier of this service, or several; a token needs one of them in `aud`
    revocations: follow the revocation feed of the issuer
    on_stale: without a fresh copy of the feed `accept` takes tokens until they expire, `reject` answers 503
    clock_skew: seconds that two clocks may differ, at most 60
    keys_max_stale: seconds that keys are used after their max-age while the issuer can't be reached
    timeout: seconds for a request to the issuer
    insecure_issuer: allow plain http: whoever can change that traffic can sign tokens for this service
    ssl_context: for an authority or a client certificate of your own

    Raises ValueError for options that are wrong.
    """

    def __init__(
        self,
        issuer: str,
        audience: Union[str, Sequence[str]],
        *,
        revocations: bool = True,
        on_stale: str = "accept",
        clock_skew: int = 5,
        keys_max_stale: float = 86_400,
        timeout: float = 5,
        insecure_issuer: bool = False,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        _check_issuer(issuer, insecure_issuer)
        self.issuer = issuer
        self.audience = (audience,) if isinstance(audience, str) else tuple(audience or ())
        if not self.audience or not all(text(one) for one in self.audience):
            raise ValueError("audience: the identifier of this service is needed")
        if on_stale not in ("accept", "reject"):
            raise ValueError('on_stale: "accept" or "reject"')
        if not 0 <= clock_skew <= 60:
            raise ValueError("clock_skew: 0 to 60 seconds")
        if not keys_max_stale >= 0 or not timeout > 0:
            raise ValueError("keys_max_stale, timeout: seconds")
        self._revocations, self._on_stale, self._skew = revocations, on_stale, clock_skew
        self._max_stale, self._http = keys_max_stale, Http(timeout, ssl_context)
        self._refused: Counter[str] = Counter()
        self._begin()
        _verifiers.add(self)

    def _begin(self) -> None:
        """Everything that belongs to one process. In a child a lock of the parent might never be released."""
        self._lock, self._closing, self._running = threading.Lock(), threading.Event(), False
        self._standstill, self._standstills = Standstill(), 0
        self._keys = Keys(self._http, f"{self.issuer}/.well-known/jwks.json", self._max_stale)
        copy = FeedCopy(self.issuer, self._skew, self._feed_key, self._keys.withdrawn)
        url = f"{self.issuer}/.well-known/revocations"
        follower = Follower(self._http, url, copy, self._standstill, self._closing)
        self._feed = follower if self._revocations else None

    def verify(self, token: str) -> Claims:
        """The claims of a good token, in a dict of their own. It waits only when the issuer has to be asked first.

        Raises Refused."""
        return self._noting(token, True)

    async def verify_async(self, token: str) -> Claims:
        """The same for asyncio: the event loop never waits."""
        try:
            return self._noting(token, False)
        except _MustWait:
            return await asyncio.to_thread(self._noting, token, True)

    def hydrate(self) -> None:
        """Begins to follow the issuer, and returns when keys and revocations are there.

        Raises Refused `keys_unavailable`; the verifier goes on trying all the same."""
        self.start()
        if not self._keys.are_there():
            self._keys.seek("", urgent=True)
        if self._feed:
            self._feed.catch_up()

    def stats(self) -> dict[str, Any]:
        """How much was refused by reason, and how many revocations are in memory."""
        copy = self._feed and self._feed.copy
        return {"refused": dict(self._refused), "revocations": len(copy.revoked) + len(copy.kept) if copy else 0}

    def close(self) -> None:
        """Ends the threads, at the end of their requests. The verifier starts them again when it is used again."""
        self._closing.set()
        self._begin()

    def note(self, refused: Refused) -> Refused:
        """Counts a refusal and logs it. For guards that find a part of it by themselves."""
        with self._lock:
            self._refused[refused.refusal] += 1
        log.info("refused: %s (%s): %s", refused.refusal, refused.code, refused)
        return refused

    def _noting(self, token: str, may_wait: bool) -> Claims:
        try:
            return self._judge(token, may_wait)
        except Refused as refused:
            raise self.note(refused) from None

    def _judge(self, token: str, may_wait: bool) -> Claims:
        self.start()
        kid, payload = parse(token)
        if self._keys.get(kid) is None and self._keys.may_seek(kid):
            if not may_wait:
                raise _MustWait
            self._keys.seek(kid)
        check_signature(token, self._key_of(kid))
        claims = accept(payload, self.issuer, self.audience, self._skew, int(time.time()))
        if self._is_due():  # only a good token waits
            if not may_wait:
                raise _MustWait
            self._catch_up()
            claims = accept(payload, self.issuer, self.audience, self._skew, int(time.time()))  # over by now?
        self._key_of(kid)  # it may have been revoked meanwhile
        self._check_revocations(claims)
        return claims

    def _key_of(self, kid: str) -> Any:
        key = self._keys.get(kid)
        if key is not None:
            return key
        if kid in self._keys.withdrawn:
            raise bad("revoked_key", "revoked kid")
        raise bad("kid_unknown", "unknown kid")

    def _feed_key(self, kid: str) -> Any:
        if self._keys.get(kid) is None:
            self._keys.seek(kid, urgent=True)
        return self._keys.get(kid)

    def _check_revocations(self, claims: Claims) -> None:
        if self._feed is None:
            return
        if self._on_stale == "reject" and self._feed.copy.is_stale(int(time.time())):
            raise Refused("revocations_stale", "feed_stale")
        refusal = self._feed.copy.refusal_of(claims)
        if refusal is None:
            return
        raise Refused("token_stale" if refusal == "stale_version" else "invalid_token", refusal, "taken back")

    def _is_due(self) -> bool:
        """Whether what is known of keys and revocations is older than it looks."""
        keys = self._standstill.count() != self._standstills and self._keys.is_over()
        return keys or (self._feed is not None and self._feed.is_due())

    def _catch_up(self) -> None:
        if self._standstill.count() != self._standstills:
            count = self._standstill.count()
            if self._keys.is_over():
                self._keys.refresh()
            self._standstills = count
        if self._feed is not None and self._feed.is_due():
            self._feed.catch_up()

    def start(self) -> None:
        """Begins to follow the issuer, and returns at once. Without it the first token does so, and waits for it."""
        if self._running:
            return
        with self._lock:
            if self._running:
                return
            self._running = True
            threading.Thread(target=self._beat, args=(self._closing,), name="signet-keys", daemon=True).start()
            if self._feed:
                threading.Thread(target=self._feed.run, name="signet-revocations", daemon=True).start()

    def _beat(self, closing: threading.Event) -> None:
        keys, standstill = self._keys, self._standstill
        while not closing.is_set():
            if keys.is_due():
                threading.Thread(target=keys.refresh, name="signet-jwks", daemon=True).start()
            closing.wait(1)
            standstill.beat()


_verifiers: weakref.WeakSet[Verifier] = weakref.WeakSet()


def _after_fork() -> None:
    for verifier in list(_verifiers):
        verifier._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _check_issuer(issuer: str, insecure: bool) -> None:
    if not isinstance(issuer, str) or not issuer:
        raise ValueError("issuer: the URL of the token server is needed")
    if issuer.endswith("/"):
        raise ValueError(f"issuer: {issuer!r} ends with a slash, and `iss` does not")
    if re.search("[?#]", issuer):
        raise ValueError(f"issuer: {issuer!r} has a query or a fragment")
    url = urllib.parse.urlsplit(issuer)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"issuer: {issuer!r} is not a URL")
    if "@" in url.netloc:
        raise ValueError("issuer: a URL with a password in it")
    if url.scheme == "https" or _is_loopback(url.hostname):
        return
    if not insecure:
        raise ValueError(f"issuer: {issuer!r} is not https; `insecure_issuer=True` allows that")
    log.warning("%s is reached over plain http: whoever can change that traffic can sign tokens", issuer)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

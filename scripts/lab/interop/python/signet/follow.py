"""Follows the revocation feed of the issuer by long polling, in a thread of its own."""

from __future__ import annotations

import email.utils
import logging
import random
import re
import threading
import time
from typing import Callable, Iterator

from .feed_copy import MIB, FeedCopy, Gap, lines_of
from .http import Http

log = logging.getLogger("signet")
WAIT = 25  # seconds of a long poll
MOST_PAUSE = 2.0  # seconds after failures
FIRST_LOOK = 60.0  # seconds that the first tokens wait for it at the most


class Standstill:
    """Counts how often this process stood still: a laptop that slept, a container that was paused."""

    def __init__(self) -> None:
        self._count, self._beat_at = 0, time.time()

    def count(self) -> int:
        if time.time() - self._beat_at >= 3:
            self._count, self._beat_at = self._count + 1, time.time()
        return self._count

    def beat(self) -> None:
        self.count()
        self._beat_at = time.time()


class Follower:
    """Keeps `copy` current. `is_due` says whether a token has to wait, and `catch_up` is what it waits for."""

    def __init__(self, http: Http, url: str, copy: FeedCopy, standstill: Standstill, closing: threading.Event) -> None:
        self._http, self._url, self.copy = http, url, copy
        self._standstill, self._closing = standstill, closing
        self._started = time.time() - time.monotonic()
        self._tidied_at = time.monotonic()
        self._first = threading.Event()  # set when the first look is over, whatever came of it
        self._catching_up = threading.Lock()
        self._standstills = 0
        self._looked_at = 0.0  # epoch
        self._in_vain = self._in_doubt = False  # the last look failed: the next answer has to come at once
        self._starts_anew = 0  # how many answers in a row led nowhere
        self._retry_after = 0.0

    def is_due(self) -> bool:
        if not self._first.is_set() or self._standstill.count() != self._standstills:
            return True  # also while another token waits for the look
        return not self._in_vain and self.copy.is_stale(int(time.time()))

    def catch_up(self) -> None:
        """Returns when a look is over, with or without success. Several tokens wait for one look."""
        if not self._first.is_set():
            self._first.wait(FIRST_LOOK)
            return
        if not self._catching_up.acquire(timeout=self._http.timeout + 1):
            return
        count = self._standstill.count()
        try:
            if self.is_due() and not self._look(0):
                self._look(0)
        except Exception as error:
            self._failed(error)
        finally:
            self._standstills = count
            self._catching_up.release()

    def run(self) -> None:
        """Follows until `closing`."""
        failures = 0
        while not self._closing.is_set():
            done = True
            try:
                done, failures = self._look(0 if self._in_doubt else WAIT), 0
            except Exception as error:
                failures += 1
                self._failed(error)
            self._tidy()
            if done or self._starts_anew > 1:
                self._first.set()
            self._closing.wait(max(self._pause(failures, done), self._retry_after))

    def _tidy(self) -> None:
        now = time.monotonic()
        if now >= self._tidied_at + 10:
            self._tidied_at = now
            self.copy.forget(min(time.time(), self._started + now))  # a wrong system clock must not make us forget

    def _pause(self, failures: int, done: bool) -> float:
        if failures:
            return _growing(failures) * random.uniform(0.5, 1)
        return 0 if not done and self._starts_anew <= 1 else _growing(max(0, self._starts_anew - 1))

    def _failed(self, error: Exception) -> None:
        self._in_vain = self._in_doubt = True
        log.warning("revocations: %.200s", f"{error or type(error).__name__}")

    def _look(self, wait: int) -> bool:
        """One request. Returns False after a gap: then everything has to be asked for. What was applied stays."""
        self._retry_after, now = 0.0, time.time()
        if now < self._looked_at - self.copy.skew:
            self.copy.start_anew()  # the clock was ahead: too much was forgotten (rule 9)
        self._looked_at = now
        cursor = self.copy.held.cursor if self.copy.held else None
        wait = wait if cursor else 0
        limit = self._http.timeout + wait
        deadline = [time.monotonic() + limit]
        query = f"after={cursor or 0}{f'&wait={wait}' if wait else ''}"
        with self._http.get(f"{self._url}?{query}", {}, wait) as reply:
            if reply.status in (200, 429, 503):
                self._retry_after = retry_after(reply.headers.get("retry-after", ""), now)
            media_type = reply.headers.get("content-type", "").split(";")[0].strip().lower()
            if reply.status != 200 or media_type != "application/revocations-seq":
                raise ValueError(f"not a stream of changes: status {reply.status} {media_type[:40]}")
            lines = lines_of(self._http.body(reply, 128 * MIB, lambda: deadline[0]))

            def goes_on() -> None:
                deadline[0] = time.monotonic() + limit

            done = self._take(lines, goes_on, cursor is None)
        self._in_vain, self._in_doubt = self.copy.is_stale(int(time.time())), False
        return done

    def _take(self, lines: Iterator[bytes], goes_on: Callable[[], None], from_nothing: bool) -> bool:
        try:
            read = self.copy.read(lines, lambda: int(time.time()), goes_on)
        except Gap:
            self._starts_anew += 1
            return False
        first = read.applied and from_nothing and self._starts_anew == 0
        self._starts_anew = self._starts_anew + 1 if read.whole and not first else 0
        return True


def retry_after(said: str, now: float) -> float:
    """Seconds that an answer asks to wait, at most a minute, and up to a quarter more by chance."""
    if re.fullmatch(r"\d{1,9}", said.strip(), re.A):
        seconds = float(said)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(60.0, max(0.0, seconds)) * random.uniform(1, 1.25)


def _growing(times: int) -> float:
    return min(MOST_PAUSE, 0.25 * 2 ** min(times, 10))

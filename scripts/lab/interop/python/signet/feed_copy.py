"""The copy of the revocation feed, by the ten rules of src/revocations/README.md in the repository of Signet.

The test vectors there run against `FeedCopy`.
"""

from __future__ import annotations

import logging
import math
import threading
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional

from .feed_document import document_of
from .refused import Refused
from .token import Claims, check_signature, json_of, parse

log = logging.getLogger("signet")
MIB = 2**20
LONGEST_ENTRY = 900 + 2 * 60 + 86_400  # seconds: no entry is kept for longer


class FeedRefused(Exception):
    """An answer of the feed, or the rest of one, is not taken. `why` is a word that the test vectors know."""

    def __init__(self, why: str, message: str = "") -> None:
        super().__init__(f"{why} {message}".strip())
        self.why = why


class Gap(Exception):
    """Something is missing before a change: ask for everything."""


Entries = dict[tuple[str, Any], tuple[Optional[int], int, float]]  # (kind, id) -> lowest good version, seq, until
Whole = tuple[Entries, Claims]  # its pages that have come: their entries, and the last of them
_KINDS = (
    ("sessions", "sid", "revoked_session"),
    ("tokens", "jti", "revoked_token"),
    ("clients", "client_id", "revoked_client"),
    ("accounts", "sub", "revoked_account"),
)


class Held(NamedTuple):
    history: str
    seq: int
    iat: int
    exp: int
    cursor: Optional[str]  # None: ask for everything
    left: tuple[str, ...] = ()  # the last histories that were left


class Read(NamedTuple):
    """What an answer brought."""

    applied: bool  # anything that was not older than the copy
    whole: bool


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each as soon as it has come."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in (*lines, rest):
            if len(line) > MIB:
                raise FeedRefused("size", "a line of more than 1 MiB")
        yield from lines
    if rest:
        raise FeedRefused("cut", "the answer ends within a line")


def _put(entries: Entries, key: tuple[str, Any], new: tuple[Optional[int], int, float], wins: bool) -> None:
    old = entries.get(key, new)
    version, seq, _ = new if wins else old
    entries[key] = (version, seq, max(old[2], new[2]))


class FeedCopy:
    """Everything that is revoked. Whoever judges a token reads it without a lock: `revoked` first, then `kept`."""

    def __init__(self, issuer: str, skew: int, key_of: Callable[[str], Any], withdrawn: set[str]) -> None:
        self._issuer, self.skew, self._key_of, self._withdrawn = issuer, skew, key_of, withdrawn
        self._lock = threading.Lock()  # of whoever changes it
        self.held: Optional[Held] = None
        self.revoked: Entries = {}
        self.kept: Entries = {}  # what histories that were left refused

    def refusal_of(self, claims: Claims) -> Optional[str]:
        """What refuses these claims. What a refresh can't mend goes first."""
        version, stale = claims.get("token_version", 0), None
        for entries in (self.revoked, self.kept):
            for kind, claim, word in _KINDS:
                entry = entries.get((kind, claims.get(claim)))
                if entry is None or (entry[0] is not None and version >= entry[0]):
                    continue
                if kind != "accounts" or entry[0] is None:
                    return word
                stale = "stale_version"
        return stale

    def _dates(self, now: float) -> tuple[int, int]:
        """`iat` and `exp` of the copy: no measure when our clock was set back (rule 9)."""
        held = self.held
        return (held.iat, held.exp) if held is not None and held.iat <= now + self.skew else (-1, -1)

    def is_stale(self, now: float) -> bool:
        return now >= self._dates(now)[1] + self.skew

    def start_anew(self) -> None:
        with self._lock:
            self.held = self.held and self.held._replace(cursor=None)

    def forget(self, now: float) -> None:
        with self._lock:
            for entries in (self.revoked, self.kept):
                for key in [key for key, (_, _, until) in entries.items() if until <= now]:
                    del entries[key]

    def read(self, lines: Iterable[bytes], clock: Callable[[], float], goes_on: Callable[[], None]) -> Read:
        """Takes one answer. What was applied before an exception stays.

        `goes_on` is called when the answer brings something."""
        whole: Optional[Whole] = None  # the pages that have come
        doc: Optional[Claims] = None
        applied, had_pages, vain = False, False, 0
        for line in lines:
            now, first = clock(), doc is None
            doc = self._verified(line, now)
            self._withdrawn.update(doc["keys"])
            with self._lock:
                seq = self.held.seq if self.held else -1
                if "pages" in doc:
                    whole = self._page(doc, whole, first, now)
                    if doc["page"] == doc["pages"]:
                        applied, whole = self._move_to(whole[1], whole[0], now) or applied, None
                elif whole:
                    raise FeedRefused("page", "pages are missing")
                else:
                    self._change(doc, now)
                    applied = True
            had_pages |= "pages" in doc
            brings = "pages" in doc or doc["seq"] > seq
            if brings:
                goes_on()
            vain += not brings
            if vain > 512:
                raise FeedRefused("size", "too many documents that bring nothing")
        if whole or doc is None:
            raise FeedRefused("cut", "the answer is empty, or ends within a whole")
        if doc["exp"] <= clock() - self.skew:
            raise FeedRefused("stale", "not fresh")
        return Read(applied, had_pages)

    def _verified(self, line: bytes, now: float) -> Claims:  # rule 1
        try:
            kid, payload = parse(line.decode("latin-1"), "revocation-changes+jwt", MIB)
        except Refused as error:
            raise FeedRefused("header", str(error)) from None
        key = None if kid in self._withdrawn else self._key_of(kid)
        if key is None:
            raise FeedRefused("key", "signed by a key that is revoked, or not in the JWKS")
        try:
            check_signature(line.decode("latin-1"), key)
        except Refused as error:
            raise FeedRefused("signature", str(error)) from None
        try:
            doc = document_of(json_of(payload))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FeedRefused("claims") from None
        if doc["iss"] != self._issuer:
            raise FeedRefused("issuer")
        if doc["iat"] > now + self.skew or doc["exp"] - doc["iat"] > 3600:
            raise FeedRefused("dates")
        return doc

    def _add(self, entries: Entries, doc: Claims, now: float) -> None:  # within one history the later number counts
        until = min(doc.get("until", math.inf), now + LONGEST_ENTRY)  # rule 10
        for kind, _, _ in _KINDS:
            for id, version in doc[kind].items():
                known = entries.get((kind, id))
                _put(entries, (kind, id), (version, doc["seq"], until), known is None or known[1] <= doc["seq"])

    def _change(self, doc: Claims, now: float) -> None:  # rules 3 and 4
        held = self.held
        if held is None or doc["history"] != held.history or held.seq < doc["after"]:
            self.held = held and held._replace(cursor=None)
            raise Gap("a gap: ask for everything")
        self._add(self.revoked, doc, now)
        iat, exp = self._dates(now)
        self.held = held._replace(
            seq=max(held.seq, doc["seq"]),
            iat=max(iat, doc["iat"]),
            exp=max(exp, doc["exp"]),
            cursor=doc["cursor"] if doc["seq"] >= held.seq else held.cursor,
        )

    def _page(self, doc: Claims, whole: Optional[Whole], first: bool, now: float) -> Whole:  # rule 5
        entries, before = whole if whole else ({}, {})
        if doc["page"] != before.get("page", 0) + 1 or doc["page"] > doc["pages"]:
            raise FeedRefused("page", "not in order")
        if not before and not first:
            raise FeedRefused("page", "a whole that is not at the beginning")
        if before and any(before[one] != doc[one] for one in ("history", "seq", "pages", "whole")):
            raise FeedRefused("page", "pages of two wholes")
        for one in ("iat", "exp") if before else ():
            doc[one] = min(doc[one], before[one])
        self._add(entries, doc, now)
        return entries, doc

    def _move_to(self, doc: Claims, entries: Entries, now: float) -> bool:  # rules 6 and 7
        held, (iat, exp) = self.held, self._dates(now)
        same, left = held is not None and doc["history"] == held.history, held.left if held else ()
        if held and (doc["seq"] < held.seq if same else doc["history"] in left and doc["iat"] < iat):
            return False
        if held and not same:  # the store went back: what was refused stays so, by the stricter version
            log.warning("the store of the issuer went back: what was revoked before stays refused")
            for key, new in self.revoked.items():
                old = self.kept.get(key, new)[0]
                _put(self.kept, key, new, new[0] is None or (old is not None and new[0] > old))
            left = tuple(one for one in (*left, held.history) if one != doc["history"])[-8:]
        if not same:
            iat, exp = -1, -1
        self.held = Held(doc["history"], doc["seq"], max(iat, doc["iat"]), max(exp, doc["exp"]), doc["cursor"], left)
        self.revoked = entries
        return True

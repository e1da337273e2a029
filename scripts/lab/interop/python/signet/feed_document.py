"""The members of one document of the feed."""

from __future__ import annotations

import re
from typing import Any

from .token import Claims, number


def document_of(doc: Claims) -> Claims:
    """The members that a follower reads, with empty ones for those that are absent. Raises for a wrong type."""

    def name(value: Any, longest: int = 255) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= longest:
            raise ValueError("a name")
        return value

    def count(value: Any) -> int:
        if not number(value):
            raise ValueError("a number")
        return int(value)

    def ids(value: Any) -> dict[str, Any]:
        if not isinstance(value, list):
            raise ValueError("a list")
        return {name(one): None for one in value}

    kept: Claims = {one: count(doc[one]) for one in ("after", "seq", "iat", "exp")}
    kept.update((one, count(doc[one])) for one in ("page", "pages", "until") if one in doc)
    kept.update(iss=name(doc["iss"]), history=name(doc["history"], 64), cursor=doc["cursor"])
    if "whole" in doc:
        kept["whole"] = name(doc["whole"], 64)
    kept["keys"] = ids(doc.get("keys", []))
    for kind in ("sessions", "tokens"):
        kept[kind] = ids(doc.get(kind, []))
    for kind in ("accounts", "clients"):
        pairs = doc.get(kind, {}).items()
        kept[kind] = {name(id): version if version is None else count(version) for id, version in pairs}
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", kept["cursor"]):
        raise ValueError("cursor")
    if kept["seq"] < kept["after"]:
        raise ValueError("numbers that run backward")
    if not ("page" in kept) == ("pages" in kept) == ("whole" in kept):
        raise ValueError("half a page")
    if "page" in kept and kept["after"]:
        raise ValueError("a page of a change")
    return kept

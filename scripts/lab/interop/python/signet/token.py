"""What is checked of a token: its text, its header, its signature and its claims, in this order."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Callable, Optional, Sequence

import jwt

from .refused import Refused, bad

Claims = dict[str, Any]


def token_of(line: Optional[str], joined: bool = False) -> str:
    """The token of the one Authorization line. `joined`: the server joins several lines to one, by a comma."""
    if line is None:
        raise Refused("missing_token", "token_missing")
    line = line.strip(" \t")  # no part of the value (RFC 9110 section 5.5), and some servers leave it
    if joined and "," in line and re.search(r"(^|,)\s*bearer\b", line, re.I | re.A):
        raise Refused("invalid_request", "token_repeated", "the request has two Authorization headers")
    if len(line) > 4096 + 16:
        raise bad("malformed", "the Authorization header is too long")
    scheme = re.match("bearer +", line, re.I | re.A)
    if scheme:
        return line[scheme.end() :]
    if re.fullmatch(r"bearer\s*", line, re.I | re.A):
        raise bad("malformed", "Bearer without a token")
    raise Refused("missing_token", "token_missing", "the Authorization scheme is not Bearer")


def bytes_of(part: str) -> bytes:
    """Base64url in its one canonical spelling: others have the same bytes, and a text would be no identity."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise bad("malformed", "a part of the token is not base64url") from None
    if not raw or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise bad("malformed", "a part of the token is not canonical base64url")
    return raw


def json_of(raw: bytes) -> Any:
    """JSON in UTF-8. Of two members with one name the last one counts, as in the other verifiers.

    Raises ValueError, also for NaN; RecursionError for what is nested too deeply."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(raw.decode("utf-8"), parse_constant=refuse)


def parse(token: str, typ: str = "at+jwt", longest: int = 4096) -> tuple[str, bytes]:
    """All that needs no key. A header of `alg`, `kid` and `typ` alone settles crit, b64, jwk, jku, x5u, x5c and zip.

    Returns the unverified `kid` and the payload."""
    if not isinstance(token, str):
        raise Refused("missing_token", "token_missing", "the token is not a text")
    if len(token) > longest:
        raise bad("malformed", "the token is too long")
    parts = token.split(".", 3)
    if len(parts) != 3 or len(parts[0]) > 4096:
        raise bad("malformed", "the token does not have three parts")
    raw, payload, _ = map(bytes_of, parts)
    try:
        header = json_of(raw)
        payload.decode("utf-8")
    except (ValueError, RecursionError):
        raise bad("malformed", "header or payload is not UTF-8, or the header is not JSON") from None
    if not isinstance(header, dict):
        raise bad("malformed", "the header is not a JSON object")
    if not header.keys() <= {"alg", "kid", "typ"}:
        raise bad("malformed", "the header has another member")
    if header.get("alg") != "RS256":
        raise bad("alg", "alg is not RS256")
    said = header.get("typ")
    if not isinstance(said, str) or re.sub("^application/", "", said.lower()) != typ:
        raise bad("typ", "another typ")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise bad("malformed", "kid is not a text, or is empty")
    return kid, payload


_jws = jwt.PyJWS()


def check_signature(token: str, key: Any) -> None:
    try:
        _jws.decode(token, key, algorithms=["RS256"])
    except jwt.PyJWTError as error:
        raise bad("signature", str(error)) from None


# Stores, logs and people do not see these: two identifiers could become one.
_UNCLEAN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TIME, _COUNT = 253_402_300_799, 2**53 - 1  # the last second of the year 9999; the last whole number of JSON


def text(value: Any, longest: int = 255, blank: bool = False) -> bool:
    if not isinstance(value, str) or _UNCLEAN.search(value):
        return False
    return len(value.encode("utf-16-le")) <= 2 * longest and (blank or bool(value.replace("\ufeff", "").strip()))


def number(value: Any, most: int = _COUNT) -> bool:
    return (type(value) is int or (type(value) is float and value.is_integer())) and 0 <= value <= most


def _texts(value: Any, longest: int = 255) -> bool:
    return isinstance(value, list) and len(value) <= 32 and all(text(one, longest) for one in value)


_REQUIRED = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti")
_CLAIMS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("iss", "sub", "client_id", "jti", "sid"), text),
    **dict.fromkeys(("iat", "exp", "nbf", "auth_time"), lambda value: number(value, _TIME)),
    "aud": lambda value: text(value) or (_texts(value) and value != []),
    "scope": lambda value: text(value, 2048, True),
    "roles": lambda value: _texts(value, 64),
    "token_version": number,
    "email_verified": lambda value: isinstance(value, bool),
}


def accept(raw: bytes, issuer: str, audience: Sequence[str], skew: int, now: int) -> Claims:
    """The claims of a payload whose signature is good. Claims that are not known here are kept as they are."""
    try:
        claims = json_of(raw)
    except ValueError:
        raise bad("malformed", "the payload is not JSON") from None
    except RecursionError:
        raise bad("claim", "the payload is nested too deeply") from None
    if not isinstance(claims, dict):
        raise bad("claim", "the payload is not a JSON object")
    for name, good in _CLAIMS.items():
        if name not in claims:
            if name in _REQUIRED:
                raise bad("claim", f"{name} is missing")
        elif not good(claims[name]):
            raise bad("claim", f"{name} is not as it may be")
        elif type(claims[name]) is float:
            claims[name] = int(claims[name])
    iat, exp, aud = claims["iat"], claims["exp"], claims["aud"]
    if claims["iss"] != issuer:
        raise bad("issuer", f"iss is not {issuer}")
    if not any(one in audience for one in ([aud] if isinstance(aud, str) else aud)):
        raise bad("audience", "other aud")
    if "cnf" in claims:
        raise bad("proof_of_possession", "cnf asks for a proof of possession")
    if iat > now + skew or claims.get("nbf", 0) > now + skew:
        raise bad("not_yet_valid", "iat or nbf is in the future")
    if not 0 < exp - iat <= 900:
        raise bad("lifetime", "exp is not after iat, or too long after it")
    if exp <= now - skew:
        raise Refused("token_expired", "expired", "exp is in the past")
    return claims

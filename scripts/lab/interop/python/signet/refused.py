"""Why a token or its caller is refused, and what is answered."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, Optional

# code: status, title, `error` of the challenge (None: no challenge, "": without `error`), Retry-After
ANSWERS: dict[str, tuple[int, str, Optional[str], Optional[int]]] = {
    "invalid_request": (400, "A request carries exactly one Authorization header.", "invalid_request", None),
    "missing_token": (401, "This route needs an access token: Authorization: Bearer <token>.", "", None),
    "invalid_token": (401, "The access token is not valid.", "invalid_token", None),
    "token_expired": (401, "The access token has expired.", "invalid_token", None),
    "token_stale": (
        401,
        "The roles or the status of the account changed after this token was issued: refresh once.",
        "invalid_token",
        None,
    ),
    "insufficient_user_authentication": (
        401,
        "This route asks for a more recent login.",
        "insufficient_user_authentication",
        None,
    ),
    "insufficient_scope": (403, "The token does not allow this.", "insufficient_scope", None),
    "keys_unavailable": (503, "The keys of the issuer cannot be fetched. Try again shortly.", None, 2),
    "revocations_stale": (503, "This server has lost touch with the revocations. Try again shortly.", None, 5),
}
STATUS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}


class Refused(Exception):
    """A token or its caller was refused. It is also a WSGI application that answers so.

    `code` is what the caller learns; `refusal` is the reason as a word, for logs and metrics. Neither holds a token.
    """

    def __init__(self, code: str, refusal: str, reason: str = "", **challenge: str) -> None:
        super().__init__(reason or ANSWERS[code][1])
        self.code, self.refusal, self.challenge = code, refusal, challenge

    def answer(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers with the challenge of RFC 6750, and the problem document of RFC 9457."""
        status, title, error, retry_after = ANSWERS[self.code]
        problem = {"type": f"urn:signet:error:{self.code}", "title": title, "status": status, "code": self.code}
        body = json.dumps(problem, separators=(",", ":")).encode()
        headers = [
            ("cache-control", "no-store"),
            ("content-type", "application/problem+json; charset=utf-8"),
            ("content-length", str(len(body))),
        ]
        if error is not None:
            told = {"error": error, "error_description": title} if error else {}
            parameters = {"realm": "signet", **told, **self.challenge}
            said = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
            headers.append(("www-authenticate", f"Bearer {said}"))
        if retry_after is not None:
            headers.append(("retry-after", str(retry_after)))
        return status, headers, body

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status, headers, body = self.answer()
        start_response(f"{status} {STATUS[status]}", headers)
        return [b""] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def bad(refusal: str, reason: str) -> Refused:
    return Refused("invalid_token", refusal, reason)

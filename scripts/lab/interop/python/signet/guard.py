"""Guards for whole applications, default deny: ASGI (Starlette, FastAPI) and WSGI (Flask, Django)."""

from __future__ import annotations

import contextvars
import functools
import inspect
import time
from typing import Any, Awaitable, Callable, Iterable, Mapping, MutableMapping, Optional, Sequence

from .refused import Refused
from .token import Claims, token_of
from .verifier import Verifier

Held = Mapping[str, Sequence[str]]
Scope = MutableMapping[str, Any]


class _Seat:
    """The caller of one request: for `demand`, which stands behind the framework."""

    def __init__(self) -> None:
        self.claims: Optional[Claims] = None
        self.refused: Optional[Refused] = None


_seat: contextvars.ContextVar[Optional[_Seat]] = contextvars.ContextVar("signet", default=None)


def authorize(
    claims: Claims,
    *,
    roles: Optional[Sequence[str]] = None,
    scope: Optional[Sequence[str]] = None,
    any_of: Optional[Sequence[Held]] = None,
    max_auth_age: Optional[int] = None,
) -> None:
    """Checks the claims of a good token: one of the roles, all of the scopes, one of `any_of` (a list of
    {"roles": …} and {"scope": …}), a login at most `max_auth_age` seconds ago.

    Raises Refused; ValueError for a demand that would have no effect."""
    _check_demands(roles, scope, any_of, max_auth_age)
    if max_auth_age is not None:
        auth_time = claims.get("auth_time")
        if auth_time is None or int(time.time()) - auth_time > max_auth_age:
            raise Refused("insufficient_user_authentication", "auth_age", max_age=str(max_auth_age))
    lacking = _lacking(claims, roles, scope)
    if lacking:
        raise lacking
    if any_of is None:
        return
    faults = [_lacking(claims, one.get("roles"), one.get("scope")) for one in any_of]
    if None in faults:
        return
    named = next((one["scope"] for one in any_of if "scope" in one), None)
    told = {} if named is None else {"scope": " ".join(named)}  # a service can ask for a scope, nobody for a role
    raise Refused("insufficient_scope", faults[0].refusal if faults[0] else "role", "has nothing of any_of", **told)


def _lacking(claims: Claims, roles: Optional[Sequence[str]], scope: Optional[Sequence[str]]) -> Optional[Refused]:
    if roles is not None and not set(roles) & set(claims.get("roles", ())):
        return Refused("insufficient_scope", "role", "the caller has none of the roles")
    if scope is not None and not set(scope) <= set(claims.get("scope", "").split(" ")):
        return Refused("insufficient_scope", "scope", scope=" ".join(scope))
    return None


def _check_demands(roles: Any, scope: Any, any_of: Any, max_auth_age: Any) -> None:
    """A slip must not leave a route more open than it looks."""
    for name, value in (("roles", roles), ("scope", scope)):
        fine = (
            isinstance(value, (list, tuple))
            and value
            and all(isinstance(one, str) and len(one.split()) == 1 and one == one.strip() for one in value)
        )
        if value is not None and not fine:
            raise ValueError(f"{name}: a list of names without spaces")
    if any_of is not None:
        if not isinstance(any_of, (list, tuple)) or not any_of:
            raise ValueError("any_of: a list")
        for one in any_of:
            if not isinstance(one, Mapping) or not one or not one.keys() <= {"roles", "scope"} or None in one.values():
                raise ValueError('any_of: each is {"roles": [...]} or {"scope": [...]}')
            _check_demands(one.get("roles"), one.get("scope"), None, None)
    if max_auth_age is not None and not (type(max_auth_age) is int and max_auth_age > 0):
        raise ValueError("max_auth_age: whole seconds")


def demand(
    *,
    roles: Optional[Sequence[str]] = None,
    scope: Optional[Sequence[str]] = None,
    any_of: Optional[Sequence[Held]] = None,
    max_auth_age: Optional[int] = None,
) -> Callable[[Any], Any]:
    """A decorator for a handler behind `ASGI` or `WSGI`: what it demands besides a good token, as in `authorize`.

    Without a caller (a public path, no guard in front) it answers 401. Raises ValueError where it is written."""
    _check_demands(roles, scope, any_of, max_auth_age)
    if roles is scope is any_of is max_auth_age is None:
        raise ValueError("demand: it demands nothing")

    def check() -> None:
        seat = _seat.get()
        try:
            if seat is None or seat.claims is None:
                raise Refused("missing_token", "token_missing")
            authorize(seat.claims, roles=roles, scope=scope, any_of=any_of, max_auth_age=max_auth_age)
        except Refused as refused:
            if seat is not None:
                seat.refused = refused  # the guard answers, whatever the framework makes of it
            raise

    def decorate(handler: Any) -> Any:
        if inspect.iscoroutinefunction(handler):

            @functools.wraps(handler)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                check()
                return await handler(*args, **kwargs)

        else:

            @functools.wraps(handler)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                check()
                return handler(*args, **kwargs)

        return guarded

    return decorate


def _paths(public: Iterable[str]) -> frozenset[str]:
    paths = () if isinstance(public, str) else tuple(public)
    if isinstance(public, str) or not all(isinstance(one, str) and one.startswith("/") for one in paths):
        raise ValueError("public: a list of paths, each with a slash at the beginning")
    return frozenset(paths)


class ASGI:
    """Guards an ASGI application: every path needs a good token, except those of `public`, which are exact.

    The claims are `scope["user"]` (`request.user` in Starlette); None on a public path."""

    def __init__(self, app: Callable[..., Awaitable[None]], verifier: Verifier, public: Iterable[str] = ()) -> None:
        self._app, self._verifier, self._public = app, verifier, _paths(public)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        seat, is_public, started = _Seat(), scope["path"] in self._public, False

        async def guarded_send(message: Scope) -> None:
            nonlocal started
            if seat.refused is not None and not started:
                return
            started = True
            if message["type"] == "http.response.start" and not is_public:
                headers = list(message.get("headers", ()))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    message = {**message, "headers": [*headers, (b"cache-control", b"no-store")]}
            await send(message)

        try:
            if not is_public:
                seat.claims = await self._verifier.verify_async(self._token(scope))
        except Refused as refused:
            return await _answer(scope, send, refused)
        before = _seat.set(seat)
        try:
            await self._app({**scope, "user": seat.claims}, receive, guarded_send)
        except Exception as error:
            if isinstance(error, Refused):
                seat.refused = seat.refused or error
            if seat.refused is None or started:
                raise
        finally:
            _seat.reset(before)
        if seat.refused is not None and not started:
            await _answer(scope, send, self._verifier.note(seat.refused))

    def _token(self, scope: Scope) -> str:
        lines = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        try:
            if len(lines) > 1:
                raise Refused("invalid_request", "token_repeated", "two Authorization headers")
            return token_of(lines[0].decode("latin-1") if lines else None)
        except Refused as refused:
            raise self._verifier.note(refused)


async def _answer(scope: Scope, send: Any, refused: Refused) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    status, headers, body = refused.answer()
    lines = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else body})


class WSGI:
    """Guards a WSGI application in the same way. The claims are `environ["signet.user"]`; None on a public path."""

    def __init__(self, app: Callable[..., Iterable[bytes]], verifier: Verifier, public: Iterable[str] = ()) -> None:
        self._app, self._verifier, self._public = app, verifier, _paths(public)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seat, is_public = _Seat(), environ.get("PATH_INFO", "") in self._public
        environ["signet.user"] = None

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if seat.refused is not None:
                return lambda _: None
            if not is_public and not any(name.lower() == "cache-control" for name, _ in headers):
                headers = [*headers, ("Cache-Control", "no-store")]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            if not is_public:
                seat.claims = self._verifier.verify(self._token(environ))
        except Refused as refused:
            return refused(environ, start_response)
        environ["signet.user"] = seat.claims
        before = _seat.set(seat)
        body: Optional[Iterable[bytes]] = None
        try:
            body = self._app(environ, start)
        except Exception as error:
            if isinstance(error, Refused):
                seat.refused = seat.refused or error
            if seat.refused is None:
                raise
        finally:
            _seat.reset(before)
        if seat.refused is None:
            return body or ()
        close = getattr(body, "close", None)
        if close:
            close()
        return self._verifier.note(seat.refused)(environ, start_response)

    def _token(self, environ: Mapping[str, Any]) -> str:
        try:
            return token_of(environ.get("HTTP_AUTHORIZATION"), joined=True)
        except Refused as refused:
            raise self._verifier.note(refused)

"""Who may do what: the scope that each request needs, and the check of the key that came with it.

Without keys the API is open, and listens on loopback only. From the first key on, every request needs one, but for the
questions whether the server lives. What no rule names needs the widest scope.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.storage.api_keys import Scope as KeyScope
from query_api.errors import Problem, problem_response, vitrine_problem
from query_api.key_ring import KeyRing
from query_api.rate_limits import RateLimit, address_of, is_this_machine
from query_api.service import Service
from query_api.web.page_route import error_page, is_from_a_person

KEY_NEEDED = Problem(401, "key-needed", "Send an API key: Authorization: Bearer vitrine_...")
KEY_UNKNOWN = Problem(401, "key-unknown", "Send a key that exists: `python -m lib.cli keys list` names them")
SCOPE_TOO_NARROW = Problem(403, "scope-too-narrow", "Send a key with the scope that detail names")
NO_KEYS = Problem(
    403,
    "no-keys-yet",
    "This listens beyond loopback, so it wants keys: python -m lib.cli keys create NAME (or set "
    "VITRINE_OPEN_WITHOUT_KEYS=true where something in front of it decides who may ask)",
)
TOO_MANY = Problem(
    429, "too-many-requests", "Ask again when Retry-After says: this key, or this address, asked too often"
)
ACCESS_PROBLEMS = (KEY_NEEDED, KEY_UNKNOWN, SCOPE_TOO_NARROW, NO_KEYS, TOO_MANY)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vitrine", Basic realm="vitrine", charset="UTF-8"'}
KEY_NAME: Final = "vitrine.key"  # of the request's scope: the name of the key that it came with
PUBLIC: Final = frozenset({"/livez", "/readyz", "/version"})

_READING = "GET|HEAD|OPTIONS"
# The first rule that fits decides.
RULES: Sequence[tuple[str, str, KeyScope]] = (
    ("GET", r"/clear_all", KeyScope.admin),
    ("GET", r"/scrape|/highlight_all_images|/get_all_(resnet|clip)_embeddings", KeyScope.write),
    (_READING, r"/v1/takedowns", KeyScope.admin),  # reasons may name persons
    (_READING, r"/.*", KeyScope.read),
    ("POST", r"/hello|/find_all_\w+|/get_top_\w+|/v1/search(/.*)?|/pictures", KeyScope.read),
    ("POST", r"/highlight_particular_image|/merge_imgs|/v1/merges(/.*)?", KeyScope.write),
    ("POST|DELETE", r"/v1/(images|merges)/.*|/v1/jobs/.*|/v1/requests/.*|/v1/duplicates/.*", KeyScope.write),
    ("POST", r"/merge|/(images|merges|duplicates)/.*|/jobs(/.*)?", KeyScope.write),
)


def needed_scope(method: str, path: str) -> KeyScope:
    """Return the scope that a request needs.

    >>> needed_scope("GET", "/v1/images").value, needed_scope("POST", "/v1/jobs/scrape").value
    ('read', 'write')
    >>> needed_scope("POST", "/v1/library/clear").value, needed_scope("HEAD", "/clear_all").value
    ('admin', 'read')
    """
    for methods, paths, scope in RULES:
        if re.fullmatch(methods, method) and re.fullmatch(paths, path):
            return scope
    return KeyScope.admin


def secret_of(authorization: str) -> str | None:
    """Return the key in an ``Authorization`` header: a bearer token, or the password of HTTP Basic with any user name.

    Browsers ask a person for the latter by themselves. RFC 6750, RFC 7617.

    >>> secret_of("Bearer abc"), secret_of("Basic " + base64.b64encode(b"me:abc").decode()), secret_of("Digest x")
    ('abc', 'abc', None)
    """
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        _, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password or None


def _not_open(request: Request, service: Service) -> Response:
    """Say that the library is not open yet: to a person's browser in a page, which asks again by itself."""
    if is_from_a_person(request):
        return error_page(request, service.trouble)
    return vitrine_problem(service.trouble)


class KeyCheck:
    """Lets a request pass where no key is needed, or where its key allows what it wants."""

    def __init__(self, app: ASGIApp, *, open_without_keys: bool, requests_per_minute: int) -> None:
        """``open_without_keys``: whether a library without keys answers anybody who reaches it.

        ``requests_per_minute`` are for each key, and for each address that sends none that exists; 0 means no limit.
        This machine needs no key while there are none, and has no limit then.
        """
        self._app = app
        self._open_without_keys = open_without_keys
        self._rate = RateLimit(requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        service: Service = scope["app"].state.service
        ring = service.keys
        if not ring.is_known:
            await _not_open(Request(scope), service)(scope, receive, send)
        elif ring.is_empty and self._open_without_keys:
            if is_this_machine(scope) or not await self._refuse_often(address_of(scope), scope, receive, send):
                await self._app(scope, receive, send)
        else:
            await self._with_key(ring, scope, receive, send)

    async def _refuse_often(self, who: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Count a request; answer it here and return True if it is one too many."""
        pause_s = await self._rate.pause_s(who)
        if pause_s is not None:
            await problem_response(replace(TOO_MANY, retry_after_s=pause_s))(scope, receive, send)
        return pause_s is not None

    async def _with_key(self, ring: KeyRing, scope: Scope, receive: Receive, send: Send) -> None:
        if ring.is_empty:
            await problem_response(NO_KEYS)(scope, receive, send)
            return
        secret = secret_of(Headers(scope=scope).get("authorization", ""))
        key = None if secret is None else ring.find(secret)
        needed = needed_scope(scope["method"], scope["path"])
        # A key is counted by itself, so that nobody who shares its address can use up what it has.
        if await self._refuse_often(address_of(scope) if key is None else f"key {key.name}", scope, receive, send):
            return
        if key is None:
            problem = KEY_NEEDED if secret is None else KEY_UNKNOWN
            await problem_response(problem, headers=CHALLENGE)(scope, receive, send)
            return
        scope[KEY_NAME] = key.name
        if not key.scope.allows(needed):
            await problem_response(SCOPE_TOO_NARROW, f"this needs the scope {needed}")(scope, receive, send)
        else:
            await self._app(scope, receive, send)

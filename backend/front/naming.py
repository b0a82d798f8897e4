"""Which tenant a request names, before anything proves it: that only decides which cell looks.

Every cell judges for itself who calls, and refuses whoever is not at home there.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import UUID

import orjson
from starlette.types import Scope

from backend.identity.bearer_secrets import tag_of_secret
from backend.identity.sign_in import institutions
from backend.tenancy import Claims, Purpose, tag_before

FORM = b"application/x-www-form-urlencoded"
_LOGIN_PATH = "/auth/oidc/"
_COOKIES = ("__Host-affidavit", "affidavit", "affidavit-login")
_SECRETS, _INSTITUTIONS = ("refresh_token", "code", "token"), ("tenant", "client_id")


def named_by_head(scope: Scope) -> Claims | None:
    """Returns claims that name the tenant of a request's credentials, or of its address; None where they name none."""
    headers = dict(scope["headers"])
    scheme, _, credential = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and credential:
        return _of_credential(credential.strip())
    path: str = scope["path"]
    if path.startswith(_LOGIN_PATH) and path.endswith("/login"):
        return _of_institution(path.removeprefix(_LOGIN_PATH).removesuffix("/login"))
    if scope["query_string"].startswith(b"tenant=") and path.endswith("/sign-in/provider"):
        return _of_institution(parse_qs(scope["query_string"].decode("latin-1")).get("tenant", [""])[0])
    return None if path.endswith("/sign-in") else _of_cookies(headers.get(b"cookie", b"").decode("latin-1"))


def named_by_form(body: bytes) -> Claims | None:
    """Returns claims that name the tenant of what somebody signs in or comes back with."""
    try:
        fields = parse_qs(body.decode("latin-1"), max_num_fields=100)
    except ValueError:  # the route refuses it
        return None
    for name in _SECRETS:
        if (found := _of_credential(fields.get(name, [""])[0])) is not None:
            return found
    for name in _INSTITUTIONS:
        if text := fields.get(name, [""])[0]:
            return _of_institution(text.encode("latin-1", "replace").decode("utf-8", "replace"))
    return None


def _of_credential(credential: str) -> Claims | None:
    """Returns whose an opaque secret is by its visible part, or an access token by what it says."""
    if tag := tag_of_secret(credential) or tag_before(credential):
        return Claims("", tag=tag)
    with suppress(ValueError, IndexError, KeyError, TypeError, AttributeError):
        payload = credential.split(".")[1]
        said: Mapping[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Claims("", tenant_id=UUID(said["tenant"]))
    return None


def _of_institution(text: str) -> Claims | None:
    named = institutions.presented(unquote(text)[: institutions.MAX_CHARACTERS])
    return Claims("", presented={Purpose.TENANT: named}) if named else None


def _of_cookies(header: str) -> Claims | None:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return None
    for name in _COOKIES:
        if name in cookies and (tag := tag_before(cookies[name].value)):
            return Claims("", tag=tag)
    return None

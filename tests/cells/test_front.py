"""What the front of several cells reads of a request: whose it seems to be, and its body for whoever reads it next."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Message

from backend.front.naming import named_by_form, named_by_head
from backend.front.several import _KEPT_BYTES, _Body
from backend.identity.keys import api_keys
from backend.identity.provisioning import bearers
from backend.identity.sign_in import refresh_tokens
from backend.tenancy import Claims, Purpose, tag_before, tagged, tenant_tag

TENANT = uuid4()
TAG = tenant_tag(TENANT)


def head(path: str = "/retrieve", query: str = "", **headers: str) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip


def token(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


NOTHING = (
    "",
    "Bearer",
    "Bearer x",
    "Bearer a.b.c",
    "Bearer a.!.c",
    "Basic abc",
    f"Bearer {token([])}",
    f"Bearer {token({'tenant': 5})}",
)


def test_credentials_addresses_and_cookies_name_their_tenant() -> None:
    by_tag, by_name = Claims("", tag=TAG), Claims("", presented={Purpose.TENANT: "meridian-bank"})
    for secret in (api_keys.mint(TENANT), bearers.mint(TENANT)):
        assert named_by_head(head(authorization=f"Bearer {secret.plaintext}")) == by_tag
    assert named_by_head(head(authorization=f"bearer {token({'tenant': str(TENANT)})}")) == Claims("", tenant_id=TENANT)
    for name in ("affidavit", "__Host-affidavit", "affidavit-login"):
        assert named_by_head(head("/console/ask", cookie=f"other=1; {name}={tagged(TENANT, 'abc')}")) == by_tag
    assert named_by_head(head("/auth/oidc/Meridian-Bank/login")) == by_name
    assert named_by_head(head("/console/sign-in/provider", "tenant=meridian-bank&next=/")) == by_name
    for nothing in NOTHING:
        assert named_by_head(head(authorization=nothing)) is None, nothing
    for cookie in ("", "affidavit=oldcookie", "affidavit=a.b.c", "\x00=;;", "affidavit"):
        assert named_by_head(head("/console/ask", cookie=cookie)) is None


def test_forms_name_their_tenant() -> None:
    refresh = refresh_tokens.mint(TENANT).plaintext
    for form in (
        f"refresh_token={refresh}&client_id=agent",
        f"code={tagged(TENANT, 'sealed%3D%3D')}",
        f"token={refresh}",
    ):
        assert named_by_form(form.encode()) == Claims("", tag=TAG), form
    for form in ("client_id=jane%40meridian.example", "tenant=meridian.example&username=x"):
        assert named_by_form(form.encode()) == Claims("", presented={Purpose.TENANT: "meridian.example"})
    for nothing in (b"", b"a=b", b"client_id=", b"\xff\xfe", b"&" * 90, b"a=b&" * 2_000):
        assert named_by_form(nothing) is None


def test_what_stands_before_a_secret_is_a_tag_or_nothing() -> None:
    assert tag_before(tagged(TENANT, "x")) == TAG
    assert [tag_before(other) for other in ("", "x", "abc.d", "abcdefg.d.e", "abcdef\u00e9.x", "abcde-g.x")] == [""] * 6


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 10, _KEPT_BYTES, _KEPT_BYTES + 1, 5 * _KEPT_BYTES])
@pytest.mark.parametrize("looked", [False, True])
async def test_nothing_of_a_body_is_lost_whoever_looked_at_it(size: int, *, looked: bool) -> None:
    blocks = [b"x" * min(10_000, size - start) for start in range(0, size, 10_000)] or [b""]
    sent = [{"type": "http.request", "body": block, "more_body": True} for block in blocks]
    sent[-1]["more_body"] = False
    waiting = iter([*sent, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(waiting)

    async def read(reader: Any) -> bytes:
        whole = b""
        while True:
            message = await reader()
            whole += message.get("body", b"")
            if not message.get("more_body", False):
                return whole

    body = _Body(receive)
    if looked:
        assert await body.whole() == b"x" * size or size > _KEPT_BYTES
    assert await read(body.from_its_beginning()) == b"x" * size
    assert body.is_kept == (size <= _KEPT_BYTES)
    if body.is_kept:
        assert await read(body.from_its_beginning()) == b"x" * size


@pytest.mark.anyio
async def test_a_client_that_goes_while_its_form_is_read_is_told_to_whoever_reads_on() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    body = _Body(gone)
    assert await body.whole() == b""
    assert (await body.from_its_beginning()())["type"] == "http.disconnect"

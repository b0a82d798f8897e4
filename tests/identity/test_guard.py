"""What the service takes from a request about its caller: credentials, purpose, client, end user, and who may pass."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.guard import GuardedRoute, Requires, current_caller, needs
from backend.identity.callers.permissions import ROLE_PERMISSIONS, Permission, Role
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = {"query": "What is the rule?"}


async def retrieve(service: Service, tenant: Tenant, headers: Mapping[str, str | bytes]) -> httpx.Response:
    return await service.client.post(
        "/retrieve", json=QUESTION, headers=await service.as_user(tenant, "partner") | headers
    )


async def recorded(service: Service, tenant: Tenant, headers: Mapping[str, str | bytes]) -> dict[str, Any]:
    answer = await retrieve(service, tenant, headers)
    assert answer.status_code == 200, answer.text
    (event,) = [e for e in await service.events(tenant) if e["id"] == answer.json()["audit_event_id"]]
    told: dict[str, Any] = event["event"]
    return told


@pytest.mark.parametrize("scheme", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Token {}"])
async def test_without_a_bearer_credential_nobody_calls(service: Service, tenant: Tenant, scheme: str) -> None:
    refused = await retrieve(service, tenant, {"Authorization": scheme.format(tenant.partner_key)})
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthenticated")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_name_of_the_scheme_may_be_written_in_any_case(service: Service, tenant: Tenant, scheme: str) -> None:
    assert (await retrieve(service, tenant, {"Authorization": f"{scheme} {tenant.partner_key}"})).status_code == 200


@pytest.mark.parametrize("purpose", ["abc", "a b", "x" * 500])
async def test_a_stated_purpose_stands_in_the_record_as_it_is(service: Service, tenant: Tenant, purpose: str) -> None:
    told = await recorded(service, tenant, {"X-Purpose": purpose})
    assert purpose in str(told)


@pytest.mark.parametrize("purpose", ["ab", "x" * 501, "", "über"])
async def test_a_purpose_of_another_form_is_refused(service: Service, tenant: Tenant, purpose: str) -> None:
    headers = await service.as_user(tenant, "partner")
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    refused = await service.client.post("/retrieve", json=QUESTION, headers=[*raw, (b"X-Purpose", purpose.encode())])
    assert refused.status_code == 422, refused.text


async def test_a_client_is_on_record_by_its_first_100_characters_and_only_if_it_can_be_read(
    service: Service, tenant: Tenant
) -> None:
    told = await recorded(service, tenant, {"User-Agent": "portal/" + "7" * 200})
    assert told["door"] == {"kind": "http", "client": "portal/" + "7" * 93}
    for unreadable in (b"", "portal\u200b".encode()):
        told = await recorded(service, tenant, {"User-Agent": unreadable})
        assert "client" not in told["door"]


async def test_an_end_user_has_at_most_4096_characters(service: Service, tenant: Tenant) -> None:
    named = await recorded(service, tenant, {"X-On-Behalf-Of": "customer-7"})
    assert named["principal"]["on_behalf_of"]["subject"] == "customer-7"
    assert (
        await retrieve(service, tenant, {"X-On-Behalf-Of": "x" * 4096})
    ).status_code == 401  # no name, and no assertion
    assert (await retrieve(service, tenant, {"X-On-Behalf-Of": "x" * 4097})).status_code == 422


async def test_a_permission_that_the_caller_lacks_is_refused_by_name_and_none_is_needed_by_itself(
    service: Service, tenant: Tenant
) -> None:
    refused = await service.post("/ingest", tenant, "analyst", {"doc_id": "d", "chunk_text": "t", "source_type": "p"})
    assert (refused.status_code, "documents:write" in refused.json()["detail"]) == (403, True)
    assert (await service.get("/auth/me", tenant, "analyst")).status_code == 200


async def test_who_calls_is_asked_before_the_body_is_read(service: Service) -> None:
    refused = await service.client.post("/retrieve", content=b"{", headers={"Content-Type": "application/json"})
    assert refused.status_code == 401


def test_a_route_needs_its_caller_also_through_what_it_depends_on() -> None:
    app = FastAPI()

    def indirect(caller: Annotated[Caller, Requires(Permission.AUDIT_READ)]) -> Caller:
        return caller

    @app.get("/direct")
    def direct(caller: Annotated[Caller, Requires()]) -> None: ...

    @app.get("/through")
    def through(caller: Annotated[Caller, Depends(indirect)]) -> None: ...

    @app.get("/open")
    def open_to_all() -> None: ...

    needed = {route.path: needs(route, current_caller) for route in app.routes if isinstance(route, APIRoute)}
    assert needed == {"/direct": True, "/through": True, "/open": False}
    assert GuardedRoute.door == "http"


async def test_a_token_gives_no_right_that_its_user_lacks_and_none_that_it_leaves_out(
    service: Service, tenant: Tenant
) -> None:
    resolver = service.services.resolver
    token = service.services.tokens.verify(await service.token(tenant, "analyst"))
    everything, narrow = frozenset(Permission), frozenset({Permission.RETRIEVAL_QUERY, Permission.ERASURE_EXECUTE})
    for scope, left in ((everything, ROLE_PERMISSIONS[Role.ANALYST]), (narrow, {Permission.RETRIEVAL_QUERY})):
        caller = await resolver.resolve_user(replace(token, scope=scope), Origin("request"))
        assert caller.permissions == left

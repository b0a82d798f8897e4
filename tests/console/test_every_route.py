"""Every route of the console: what it answers to each role, to nobody, to another tenant, and to what no browser sends."""

import asyncio
import re

import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.console.routes import PageRoute, page_routes
from tests.console.visits import form_token, visiting
from tests.factories import create_collection, ingest
from tests.isolation.golden import assert_golden
from tests.service import Service, Tenant
from tests.sources.sources import reaching

pytestmark = pytest.mark.anyio

ROUTES = list(page_routes())
ROLES = [role for role in Role if role is not Role.PARTNER]
# Whoever signs in, or comes with a link, is nobody yet.
FOR_NOBODY = {
    "/console/sign-in", "/console/sign-in/provider", "/console/sign-in/callback", "/console/language", "/console/reset",
    "/console/operator/sign-in", "/console/operator/sign-out",
}  # fmt: skip
ENDS_A_SESSION = "/console/sign-out"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HOSTILE = [
    "",
    "%",
    "\x01\u202e\u2028",
    "x" * 9_000,
    "' or 1=1 --",
    "../../etc/passwd",
    "-1",
    "9" * 40,
    "<script>alert(1)</script>",
    "%00",
]


async def ask(
    client: httpx.AsyncClient, route: PageRoute, token: str, ids: dict[str, str] | None = None
) -> httpx.Response:
    form = {"form_token": token, **route.form} if route.method == "POST" else None
    return await client.request(route.method, route.url(ids), data=form)


async def test_nobody_comes_further_than_to_sign_in(service: Service) -> None:
    for route in ROUTES:
        answer = await service.client.request(route.method, route.url(), data=route.form or None)
        if route.path in FOR_NOBODY:
            assert answer.status_code in {200, 303, 401, 404, 422}, route.name
        else:
            place = (
                "/console/operator/sign-in" if route.path.startswith("/console/operator") else "/console/sign-in?next="
            )
            assert (answer.status_code, answer.headers.get("location", "")[: len(place)]) == (303, place), route.name
        assert "set-cookie" not in answer.headers or route.path == "/console/operator/sign-out", route.name


async def test_what_each_role_is_answered_is_as_reviewed(
    service: Service, tenant: Tenant, request: pytest.FixtureRequest
) -> None:
    found = dict[str, list[str]]()
    for role in ROLES:
        async with visiting(service, tenant, role) as client:
            token = form_token(await client.get("/console/waiting"))
            for route in ROUTES:
                if route.path not in FOR_NOBODY and route.path != ENDS_A_SESSION:
                    answer = await ask(client, route, token)
                    found.setdefault(route.name, []).append(str(int(answer.status_code)))
    assert [name for name, answers in found.items() if set(answers) == {"422"}] == [], "nobody reached these"
    width = max(map(len, found))
    head = f"{'':{width}} {' '.join(f'{role:>10}' for role in ROLES)}"
    lines = [f"{name:{width}} {' '.join(f'{one:>10}' for one in answers)}" for name, answers in found.items()]
    assert_golden(request.config, "console_pages.txt", [head, *lines])


@pytest.fixture(scope="module")
async def everything(service: Service, tenant: Tenant, other_tenant: Tenant) -> dict[str, str]:
    """Ids of what a tenant has; another tenant has a user who may do everything there."""
    await ingest(service, tenant, "wires", "An outgoing domestic wire transfer costs 25 dollars.")
    answered = (await service.post("/answer", tenant, "analyst", {"question": "What does a wire cost?"})).json()
    document = (await service.get("/documents", tenant, "editor")).json()["documents"][0]["id"]
    hold = {"subject": "analyst", "reason": "A subpoena"}
    placed = (await service.post("/audit/holds", tenant, "compliance", hold)).json()
    user = (await service.get("/users", tenant, "admin")).json()["users"][0]["id"]
    key = (await service.get("/auth/keys", tenant, "admin")).json()["keys"][0]["id"]
    export = {"from": "2026-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z", "format": "csv"}
    exported = (await service.post("/audit/exports", tenant, "compliance", export)).json()["id"]
    search = {"name": "Answers", "filters": {"action": "answer:returned"}}
    kept = (await service.post("/audit/searches", tenant, "compliance", search)).json()["id"]
    await create_collection(service, tenant, "sourced")
    wanted = {"name": "Intranet", "kind": "urls", "collection": "sourced", "address": "https://localhost/a.md"}
    async with reaching(service):
        source = (await service.post("/sources", tenant, "admin", wanted)).json()["id"]
        run = (await service.post(f"/sources/{source}/runs", tenant, "admin", {})).json()["id"]
    async with service.operator() as acting:
        await acting.create_user(other_tenant.id, "everything", "correct horse battery staple", ROLES)
    return {
        "document_id": document, "event_id": answered["audit_event_id"], "turn": answered["turn"], "number": "1", "at": "1",
        "conversation": answered["conversation"], "hold_id": placed["id"], "user_id": user, "key_id": key,
        "export_id": exported, "search_id": kept, "source_id": source, "source_run_id": run,
    }  # fmt: skip


async def test_nothing_of_another_tenant_is_shown_or_changed(
    service: Service, tenant: Tenant, other_tenant: Tenant, everything: dict[str, str]
) -> None:
    named = [route for route in ROUTES if route.names and set(route.names) <= everything.keys()]
    assert len(named) > 25
    before = len(await service.events(tenant))
    async with visiting(service, other_tenant, "everything") as client:
        token = form_token(await client.get("/console/waiting"))
        for route in named:
            theirs, nobodys = await ask(client, route, token, everything), await ask(client, route, token)
            assert theirs.status_code == nobodys.status_code, route.name
            assert ID.sub("", theirs.text) == ID.sub("", nobodys.text), route.name
            assert tenant.slug not in theirs.text, route.name
            assert "costs 25 dollars" not in theirs.text, route.name
    assert len(await service.events(tenant)) <= before + 2  # both readings of the log itself


async def test_what_no_browser_sends_breaks_no_page(
    service: Service, other_tenant: Tenant, everything: dict[str, str]
) -> None:
    broken = []
    async with visiting(service, other_tenant, "everything") as client:
        token = form_token(await client.get("/console/waiting"))
        for route in ROUTES:
            for text in HOSTILE:
                if route.path in {ENDS_A_SESSION, "/console/sign-in"}:
                    continue
                form = {name: token if name == "form_token" else text for name in route.fields}
                answer = await client.request(
                    route.method, route.url(), params=dict.fromkeys(route.asked, text), data=form or None
                )
                if answer.status_code >= 500 or "<script>alert" in answer.text:
                    broken.append((route.name, text[:20], answer.status_code))
            await asyncio.sleep(0)
    assert broken == []

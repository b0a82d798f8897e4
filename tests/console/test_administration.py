"""Administration in the console: people, keys, collections, and who may read what; and the operator's own pages."""

import re

import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.operation import operator_keys
from tests.console.visits import form_token, send, visiting
from tests.factories import create_user
from tests.gateways.provider import provider_of
from tests.identity.test_second_factor import CodeClock, clock, enrolled  # noqa: F401 - a fixture
from tests.service import PASSWORD, Service, Tenant
from tests.webhooks.endpoints import delivering, serve
from tests.webhooks.receiver import answering, receiving

pytestmark = pytest.mark.anyio

PEOPLE = "/console/administration"


async def test_a_person_is_added_with_a_link_given_roles_and_disabled(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "admin") as client:
        added = await send(client, PEOPLE, f"{PEOPLE}/people", username="dana", display_name="Dana", roles="analyst")
        link = re.search(r"http[^<\"]+/console/reset#token=[^<\"]+", added.text)
        assert link is not None, added.text
        assert link[0] not in (await client.get(PEOPLE)).text
        person = re.search(
            rf'href="({PEOPLE}/people/[0-9a-f-]+)">Dana<', (await client.get(PEOPLE, params={"q": "dan"})).text
        )
        assert person is not None
        shown = (await client.get(person[1])).text
        assert "Default" in shown  # what it reads, and through what
        assert (await send(client, person[1], f"{person[1]}/roles", roles="editor")).status_code == 303
        assert re.search(r'value="editor" checked', (await client.get(person[1])).text)
        assert (await send(client, person[1], f"{person[1]}/status", status="disabled")).status_code == 303
        assert "Let Dana sign in again" in (await client.get(person[1])).text
        refused = await send(client, PEOPLE, f"{PEOPLE}/people", username="mallory", roles="compliance")
        assert refused.status_code == 403


async def test_another_administrator_vouches_for_a_person(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "colleague", Role.ADMIN)
    person = f"{PEOPLE}/people/{(await create_user(service, tenant, 'dorothy', 'editor'))['id']}"
    own = {"old_password": PASSWORD, "new_password": PASSWORD}
    assert (await service.post("/auth/password", tenant, "dorothy", own)).status_code == 204
    async with visiting(service, tenant, "admin") as client:
        page = (await client.get(person)).text
        assert "Counts as admin" in page
        assert f"{person}/vouch" not in page
    async with visiting(service, tenant, "colleague") as client:
        assert f"{person}/vouch" in (await client.get(person)).text
        assert (await send(client, person, f"{person}/vouch")).status_code == 303
        assert "Counts as" not in (await client.get(person)).text


async def test_a_key_is_shown_once_with_its_purpose_and_revoked(service: Service, tenant: Tenant) -> None:
    keys = f"{PEOPLE}/keys"
    async with visiting(service, tenant, "admin") as client:
        wanted = {
            "name": "portal",
            "purpose": "Answers customers",
            "permissions": "retrieval:query",
            "slugs": "default",
        }
        made = await send(client, keys, keys, **wanted, per_minute="60")
        key = re.search(r"afd_\w+", made.text)
        assert key is not None, made.text
        listed = (await client.get(keys)).text
        assert key[0] not in listed
        assert "Answers customers" in listed
        assert "60 a minute" in listed
        revoke = re.search(rf'action="({keys}/[^"]+/revoke)">.*?Revoke portal', listed)
        assert revoke is not None
        ends = re.findall(rf'action="({keys}/[0-9a-f-]+/revoke)"', listed)
        assert (await send(client, keys, ends[0])).status_code == 303
        assert "revoked" in (await client.get(keys)).text


async def test_a_collection_is_made_granted_and_shows_who_reads_it(service: Service, tenant: Tenant) -> None:
    page = f"{PEOPLE}/collections"
    async with visiting(service, tenant, "admin") as client:
        made = await send(client, page, page, slug="deposits", name="Deposits", approvers="2")
        place = made.headers["location"]
        assert place == f"{page}/deposits"
        assert "2 approvals needed" in (await client.get(place)).text
        assert (await send(client, place, f"{place}/grants", grantee="role:analyst", access="read")).status_code == 303
        shown = (await client.get(place)).text
        assert "everyone of the role analyst" in shown
        assert re.search(r">analyst</a></th><td>read</td>", shown)
        fewer = await send(client, place, f"{place}/rules", approvers="0", personal_data="tell")
        assert fewer.headers["location"].endswith("said=pending")
        waiting = (await client.get("/console/waiting")).text
        assert "Take it back" in waiting
        back = re.search(r'action="(/console/waiting/[^"]+/withdraw)"', waiting)
        assert back is not None
        await send(client, "/console/waiting", back[1])
        assert "Take it back" not in (await client.get("/console/waiting")).text
        withdraw = re.search(rf'action="({place}/grants/[^"]+/withdraw)"', shown)
        assert withdraw is not None
        await send(client, place, withdraw[1])
        assert "To nobody yet." in (await client.get(place)).text


async def test_a_webhook_is_made_tested_delivered_and_sent_again(service: Service) -> None:
    tenant = await service.create_tenant()
    page = f"{PEOPLE}/webhooks"
    async with receiving() as receiver, delivering(service) as deliverer, visiting(service, tenant, "admin") as client:
        made = await send(client, page, page, url=receiver.url, kinds=["hold.placed"], description="Register")
        secret = re.search(r"whsec_[\w+/=]+", made.text)
        assert secret is not None, made.text
        listed = (await client.get(page)).text
        assert secret[0] not in listed
        assert "Register" in listed
        (place,) = re.findall(rf'href="({page}/[0-9a-f-]+)"', listed)
        receiver.next = [answering("500 Internal Server Error")] * 3
        assert (await send(client, place, f"{place}/test")).status_code == 303
        await serve(deliverer)
        shown = (await client.get(place)).text
        assert "given up" in shown
        (again,) = re.findall(rf'action="({place}/deliveries/[0-9a-f-]+/replay)"', shown)
        assert (await send(client, place, again)).status_code == 303
        await serve(deliverer)
        assert "delivered" in (await client.get(place)).text
        assert len({one.id for one in receiver.received}) == 1
        rotated = await send(client, place, f"{place}/rotate")
        assert secret[0] not in rotated.text
        assert "whsec_" in rotated.text
        assert (await send(client, place, f"{place}/replay", since="2026-11-01")).status_code == 303
        await send(client, place, f"{place}/status", status="disabled")
        assert "Tell it everything again" in (await client.get(place)).text
        assert (await send(client, place, f"{place}/delete")).headers["location"] == page
        assert "There are none yet." in (await client.get(page)).text
        refused = await send(client, page, page, url="https://elsewhere.example/", kinds=["hold.placed"])
        assert refused.status_code == 422
        assert (await send(client, page, page, url=receiver.url)).status_code == 422
    async with visiting(service, tenant, "compliance") as client:
        assert (await client.get(page)).status_code == 403


async def test_usage_is_shown_by_key_and_by_day(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "admin") as client:
        for by in ("key", "user", "collection", "model", "day"):
            assert (await client.get(f"{PEOPLE}/usage", params={"by": by})).status_code == 200
        assert (await client.get(f"{PEOPLE}/usage", params={"from": "2026-13-01"})).status_code == 422
    async with visiting(service, tenant, "analyst") as client:
        assert (await client.get(f"{PEOPLE}/usage")).status_code == 403


async def test_the_operator_signs_in_with_its_key_and_sees_tenants_and_findings(
    service: Service, tenant: Tenant
) -> None:
    async with service.operator() as acting:
        key = await operator_keys.create(acting.connection, "console")
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        assert (await client.get("/console/operator")).headers["location"] == "/console/operator/sign-in"
        assert (await client.post("/console/operator/sign-in", data={"key": "afo_wrong"})).status_code == 401
        entered = await client.post("/console/operator/sign-in", data={"key": key})
        assert entered.status_code == 303
        assert key not in entered.headers["set-cookie"]
        shown = await client.get("/console/operator")
        assert tenant.slug in shown.text
        assert "row-level security" in shown.text
        assert "Newest checkpoint" in shown.text
        status = f"/console/operator/tenants/{tenant.slug}/status"
        assert (await client.post(status, data={"status": "suspended"})).status_code == 303  # back to signing in
        assert f"Suspend {tenant.slug}" in (await client.get("/console/operator")).text
        form = {"form_token": form_token(shown), "status": "suspended"}
        assert (await client.post(status, data=form)).headers["location"] == "/console/operator"
        assert f"Let {tenant.slug} work again" in (await client.get("/console/operator")).text
        await client.post(status, data={**form, "status": "active"})
        async with service.operator() as acting:
            await operator_keys.revoke(acting.connection, "console")
        assert (await client.get("/console/operator")).status_code == 303


async def test_a_tenants_session_opens_none_of_the_operators_pages(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "admin") as client:
        assert (await client.get("/console/operator")).headers["location"] == "/console/operator/sign-in"


async def test_signing_in_asks_for_the_second_factor_after_the_password(
    service: Service,
    tenant: Tenant,
    clock: CodeClock,  # noqa: F811
) -> None:
    _, recovery = await enrolled(service, clock, tenant, "approver")
    form = {"tenant": tenant.slug, "username": "approver", "password": PASSWORD}
    asked = await service.client.post("/console/sign-in", data=form)
    assert asked.status_code == 401
    assert 'name="code"' in asked.text
    assert PASSWORD not in asked.text
    for wrong in ({"password": "wrong"}, {"code": "00000-00000"}):
        answer = await service.client.post("/console/sign-in", data={**form, **wrong})
        assert (answer.status_code, 'name="code"' in answer.text) == (401, "code" in wrong)
    assert (await service.client.post("/console/sign-in", data={**form, "code": recovery[0]})).status_code == 303


async def test_what_the_provider_keeps_is_shown_and_its_bearer_ends(service: Service) -> None:
    """The page is the tenant's administrator's; only the operator makes another bearer."""
    provider = await provider_of(service, await service.create_tenant())
    page = f"{PEOPLE}/provider"
    await provider.user("anna")
    await provider.group("<b>Risk</b>", externalId="00g1")
    async with visiting(service, provider.tenant, "admin") as client:
        shown = (await client.get(page)).text
        assert "1 person" in shown
        assert "&lt;b&gt;Risk&lt;/b&gt;" in shown
        assert "00g1" in shown
        (revoke,) = re.findall(rf'action="({page}/bearers/[0-9a-f-]+/revoke)"', shown)
        assert (await send(client, page, revoke)).status_code == 303
        assert "revoked" in (await client.get(page)).text
    assert (await provider.ask("GET", "/Users")).status_code == 401
    async with visiting(service, provider.tenant, "analyst") as client:
        assert (await client.get(page)).status_code == 403

"""The console without a browser: who may see which page, what protects it, and that text of documents is never markup."""

import re
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.operation.tenants import Tenants
from backend.tenancy import tenant_tag
from tests.cells.elsewhere import served_elsewhere
from tests.console.visits import form_token, visiting
from tests.factories import ingest
from tests.service import PASSWORD, Database, Secrets, Service, Tenant

pytestmark = pytest.mark.anyio

RULE = "An outgoing domestic wire transfer costs 25 dollars."
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> The hostile fee is 7 dollars."
PAGES = {
    "/console/ask": {"editor", "approver", "analyst"},
    "/console/search": {"editor", "approver", "analyst"},
    "/console/documents": {"admin", "editor", "approver", "analyst", "compliance"},
    "/console/approvals": {"approver"},
    "/console/approvals/evaluations": {"approver"},
    "/console/review": {"compliance", "privacy"},
    "/console/administration": {"admin"},
    "/console/administration/keys": {"admin"},
    "/console/administration/collections": {"admin"},
    "/console/administration/provider": {"admin"},
    "/console/conversations": {"editor", "approver", "analyst"},
    "/console/documents/upload": {"editor"},
    "/console/review/counts": {"compliance", "privacy"},
    "/console/review/quality": {"compliance", "privacy"},
    "/console/review/open": {"compliance", "privacy"},
    "/console/review/timeline": {"compliance", "privacy"},
    "/console/review/readers": {"compliance", "privacy"},
    "/console/review/exports": {"compliance"},
    "/console/review/holds": {"compliance", "privacy"},
    "/console/review/erasures": {"compliance", "privacy"},
}  # fmt: skip


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    for doc_id, text in (("wires", RULE), ("<b>hostile</b>", HOSTILE)):
        await ingest(service, tenant, doc_id, text)


@pytest.mark.parametrize("username", ["admin", "editor", "approver", "analyst", "compliance", "privacy"])
async def test_each_role_sees_the_pages_of_its_work_and_no_others(
    service: Service, tenant: Tenant, username: str
) -> None:
    async with visiting(service, tenant, username) as client:
        for path, roles in PAGES.items():
            answer = await client.get(path)
            assert answer.status_code == (200 if username in roles else 403), (path, answer.text[:300])
            if path.count("/") == 2 and path != "/console/conversations":
                shown = await client.get("/console", follow_redirects=True)
                assert (f'href="{path}"' in shown.text) == (username in roles)


async def test_whoever_is_not_signed_in_is_led_there_and_back(service: Service) -> None:
    answer = await service.client.get("/console/review?action=answer:returned")
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/console/sign-in?next=%2Fconsole%2Freview%3Faction%3Danswer%3Areturned",
    )  # fmt: skip
    for elsewhere in ("https://evil.example/", "//evil.example", "/console/\\evil", "/retrieve"):
        page = await service.client.get("/console/sign-in", params={"next": elsewhere})
        assert 'name="next" value="/console"' in page.text


async def test_a_form_of_a_session_that_ended_leads_back_to_its_page(service: Service) -> None:
    one = "01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e"
    for sent, page in (
        ("/console/ask", "/console/ask"), ("/console/review/holds", "/console/review/holds"),
        (f"/console/review/holds/{one}/release", "/console/review/holds"),
        (f"/console/approvals/{one}/2/approve", f"/console/approvals/{one}/2"),
        (f"/console/documents/{one}/versions/3/retire", f"/console/documents/{one}/versions/3"),
    ):  # fmt: skip
        answer = await service.client.post(sent, data={"reason": "It is over."})
        assert answer.headers["location"] == f"/console/sign-in?{urlencode({'next': page})}", sent


async def test_every_page_lets_nothing_else_run_and_is_kept_nowhere(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "analyst") as client:
        for path in ("/console/ask", "/console/documents", "/console/nothing-here", "/console/sign-in"):
            headers = (await client.get(path)).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "no-referrer"


async def test_an_answer_shows_its_sources_and_opens_them_at_the_words(
    service: Service, tenant: Tenant, filled: None
) -> None:
    async with visiting(service, tenant, "analyst") as client:
        token = form_token(await client.get("/console/ask"))
        form = {"form_token": token, "question": "What does an outgoing domestic wire transfer cost?"}
        answered = await client.post("/console/ask", data=form)
        assert answered.status_code == 200, answered.text
        assert RULE in answered.text
        link = re.search(r'href="(/console/documents/[^"]+#cited)"', answered.text)
        assert link is not None
        source = await client.get(link[1].replace("&amp;", "&"))
        assert f"<mark>{RULE}</mark>" in source.text


async def test_a_form_of_another_site_or_without_its_token_does_nothing(
    service: Service, tenant: Tenant, filled: None
) -> None:
    async with visiting(service, tenant, "analyst") as client:
        token = form_token(await client.get("/console/ask"))
        before = len(await service.events(tenant, action="prompt:submitted"))
        asked = {"question": "What does a wire cost?"}
        without = await client.post("/console/ask", data=asked)
        foreign = await client.post(
            "/console/ask", data={**asked, "form_token": token}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert (without.status_code, foreign.status_code) == (403, 403)
        assert len(await service.events(tenant, action="prompt:submitted")) == before


async def test_text_of_documents_is_never_markup(service: Service, tenant: Tenant, filled: None) -> None:
    async with visiting(service, tenant, "analyst") as client:
        found = await client.get("/console/search", params={"q": "hostile fee <script>alert(3)</script>"})
        listed = await client.get("/console/documents")
    async with visiting(service, tenant, "compliance") as client:
        log = await client.get("/console/review", params={"document": "<b>hostile</b>"})
    for page in (found, listed, log):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<b>hostile" not in page.text
    assert "&lt;script&gt;alert(1)" in found.text


async def test_signing_out_ends_the_session_and_a_wrong_password_opens_none(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "analyst") as client:
        cookies = dict(client.cookies)
        token = form_token(await client.get("/console/ask"))
        assert (await client.post("/console/sign-out", data={"form_token": token})).status_code == 303
        client.cookies.update(cookies)
        assert (await client.get("/console/ask")).status_code == 303
    form = {"tenant": tenant.slug, "username": "analyst", "password": "wrong"}
    refused = await service.client.post("/console/sign-in", data=form)
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers


async def test_whoever_signs_in_gives_an_address_and_a_name_or_the_address_alone(
    service: Service, tenant: Tenant
) -> None:
    domain = f"{tenant.slug}.example"
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, domain)
        await acting.create_user(tenant.id, f"jane@{domain}", PASSWORD, [Role.ANALYST])
    for named in (
        {"tenant": domain, "username": "analyst"},
        {"tenant": f"x@{domain}", "username": "analyst"},
        {"tenant": f"Jane@{domain}"},
    ):
        answer = await service.client.post("/console/sign-in", data={"password": PASSWORD, **named})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console"), answer.text
        service.client.cookies.clear()
    told = set()
    for named in (
        {"tenant": domain}, {"tenant": f"nobody@{domain}"}, {"tenant": f"jane@no-{domain}"}, {"tenant": "no-such", "username": "jane"},
    ):  # fmt: skip
        answer = await service.client.post("/console/sign-in", data={"password": PASSWORD, **named})
        told.add((answer.status_code, re.sub(r'id="(tenant|username|provider-tenant)"[^>]*', "", answer.text)))
    assert len(told) == 1


async def test_whoever_is_served_elsewhere_is_told_where_and_not_sent_there_with_a_password(
    database: Database, run_secrets: Secrets, model_home: Path, service: Service, tmp_path: Path
) -> None:
    moved = await service.create_tenant()
    form = {"tenant": moved.slug, "username": "analyst", "password": PASSWORD}
    redirecting = served_elsewhere(database, run_secrets, model_home, tmp_path, moved, cell_redirect=True)
    async with redirecting as cell:  # programs are sent on
        answer = await cell.client.post("/console/sign-in", data=form)
        assert (answer.status_code, "location" in answer.headers) == (421, False)
        assert 'href="https://us.example/console/sign-in"' in answer.text
        assert PASSWORD not in answer.text


async def test_a_cookie_is_the_sessions_alone_and_tells_nothing(service: Service, tenant: Tenant) -> None:
    form = {"tenant": tenant.slug, "username": "analyst", "password": PASSWORD}
    transport = httpx.ASGITransport(app=service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        cookie = (await client.post("/console/sign-in", data=form)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert re.match(rf"affidavit={tenant_tag(tenant.id)}\.[\w-]{{43}};", cookie), (
        "a random value of the tenant, and no token"
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        client.cookies.set("affidavit", "A" * 43)
        assert (await client.get("/console/ask")).status_code == 303


async def test_whose_a_cookie_is_and_whether_it_still_holds_is_asked_of_the_database_every_time(
    service: Service, tenant: Tenant
) -> None:
    remembered = service.services.browsers._known
    async with visiting(service, tenant, "analyst") as analyst, visiting(service, tenant, "editor") as editor:
        visitors = {"analyst": analyst, "editor": editor}
        for client in visitors.values():
            await client.get("/console/ask")
        ours = {cookie: signed_in for cookie, signed_in in remembered.items() if signed_in.tenant_id == tenant.id}
        own, swapped = list(ours.values())[-2:], list(ours)[-2:]
        for cookie, other in zip(swapped, reversed(own), strict=True):  # as if it had remembered wrongly
            remembered[cookie] = other
        for name, client in visitors.items():
            assert f"</strong>{name}</p>" in (await client.get("/console/ask")).text
        assert [remembered[cookie] for cookie in swapped] == own
        async with service.operator() as acting:
            await acting.connection.execute(
                "update identity.session set revoked_at = now() where tenant_id = $1 and id = any ($2)",
                tenant.id, [one.session_id for one in own],
            )  # fmt: skip
        for client in visitors.values():
            assert (await client.get("/console/ask")).status_code == 303


async def test_reveal_needs_a_reason_and_is_on_record(service: Service, tenant: Tenant, filled: None) -> None:
    question = "What does an outgoing domestic wire transfer cost?"
    turn = (await service.post("/answer", tenant, "analyst", {"question": question})).json()["turn"]
    async with visiting(service, tenant, "compliance") as client:
        page = await client.get(f"/console/review/turns/{turn}")
        assert question not in page.text
        assert 'name="reason"' in page.text
        nothing = await client.post(
            f"/console/review/turns/{turn}", data={"form_token": form_token(page), "reason": ""}
        )
        assert nothing.status_code == 422
        form = {"form_token": form_token(page), "reason": "Complaint 2026-14"}
        revealed = await client.post(f"/console/review/turns/{turn}", data=form)
        assert question in revealed.text
    newest = (await service.events(tenant, action="audit:revealed", limit=1))[0]
    assert newest["event"]["read"] == {"turn": turn}
    assert newest["event"]["door"]["kind"] == "console"


async def test_an_approver_approves_what_it_read_and_an_author_cannot(service: Service, tenant: Tenant) -> None:
    body = {"slug": "guidance", "name": "Guidance", "approval_required": True}
    assert (await service.post("/collections", tenant, "admin", body)).status_code == 201
    for role, access in (("editor", "write"), ("editor", "read"), ("approver", "read")):
        granted = {"role": role, "access": access}
        assert (await service.post("/collections/guidance/grants", tenant, "admin", granted)).status_code == 201
    version = {
        "doc_id": "guide",
        "collection": "guidance",
        "source_type": "policy",
        "chunks": [{"text": "The first rule."}],
    }
    submitted = await service.post("/documents/versions", tenant, "editor", version)
    assert submitted.json()["status"] == "in_review", submitted.text
    async with visiting(service, tenant, "approver") as client:
        queue = await client.get("/console/approvals")
        link = re.search(r'href="(/console/approvals/[^"]+/1)"', queue.text)
        assert link is not None
        shown = await client.get(link[1])
        assert "The first rule." in shown.text
        digest = re.search(r'name="content_sha256" value="([0-9a-f]{64})"', shown.text)
        assert digest is not None
        assert "No answer of the last 90 days cites this document." in shown.text
        other = {"form_token": form_token(shown), "content_sha256": "0" * 64}
        refused = await client.post(f"{link[1]}/approve", data=other)
        assert refused.status_code == 409
        assert "holds other content" in refused.text
        form = {**other, "content_sha256": digest[1]}
        for day, why in (("2001-01-01", "must be later than proposed"), ("2027-02-30", "one of the calendar")):
            wrong = await client.post(f"{link[1]}/approve", data={**form, "effective_from": day})
            assert wrong.status_code == 409
            assert why in wrong.text
        done = await client.post(f"{link[1]}/approve", data={**form, "effective_from": "2099-04-01"})
        assert done.status_code == 303
        assert "1 April 2099" in (await client.get(done.headers["location"])).text
        twice = await client.post(f"{link[1]}/approve", data={**other, "content_sha256": digest[1]})
        assert twice.status_code == 409


async def test_a_reset_link_opens_a_page_on_which_its_holder_chooses_a_password(
    service: Service, tenant: Tenant
) -> None:
    answer = await service.post(f"/users/{tenant.users['editor']}/reset", tenant, "admin", {})
    assert answer.status_code < 300, answer.text
    address, token = answer.json()["link"].split("#token=")
    assert address.endswith("/console/reset")
    assert (await service.client.get("/console/reset")).status_code == 200
    chosen = "a password that only its owner knows"
    done = await service.client.post("/console/reset", data={"token": token, "password": chosen})
    assert (done.status_code, done.headers["location"]) == (303, "/console/sign-in")
    again = await service.client.post("/console/reset", data={"token": token, "password": chosen})
    assert again.status_code == 401
    form = {"tenant": tenant.slug, "username": "editor", "password": chosen}
    assert (await service.client.post("/console/sign-in", data=form)).status_code == 303

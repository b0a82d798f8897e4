"""What approvers, reviewers, administrators and the operator do in a real browser, and what is on record afterwards."""

import re
import secrets

import pytest
from playwright.async_api import Browser, expect

from backend.jobs.worker import Worker
from backend.operation import operator_keys
from backend.review.exports.jobs import EXPORT, ExportHandler
from tests.browser.conftest import RULE
from tests.browser.visiting import visiting
from tests.service import PASSWORD, Database, Service, Tenant, sealing

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_an_approver_sees_what_changes_and_approves_it_once(
    browser: Browser, service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    collection = {"slug": "guidance", "name": "Guidance", "approval_required": True}
    assert (await service.post("/collections", tenant, "admin", collection)).status_code == 201
    for role, access in (("editor", "write"), ("editor", "read"), ("approver", "read")):
        granted = {"role": role, "access": access}
        assert (await service.post("/collections/guidance/grants", tenant, "admin", granted)).status_code == 201
    version = {
        "doc_id": "guide",
        "collection": "guidance",
        "source_type": "policy",
        "chunks": [{"text": "The first rule."}],
    }
    assert (await service.post("/documents/versions", tenant, "editor", version)).json()["status"] == "in_review"
    async with visiting(browser, address, tenant, "approver") as page:
        await page.get_by_role("link", name="Approvals", exact=True).click()
        await page.get_by_role("link", name="guide").first.click()
        await expect(page.locator("article.document")).to_contain_text("The first rule.")
        await page.get_by_label(re.compile("Comment")).first.fill("Read and compared.")
        await page.get_by_role("button", name="Approve version 1").dblclick()
        await expect(page).to_have_url(re.compile("/console/documents/|/console/approvals"))
        await expect(page.locator(".state.good").first).to_be_visible()
    (approved,) = await service.events(tenant, action="document:approved")
    assert approved["outcome"] == "succeeded"


async def test_a_search_is_narrowed_by_its_filters(
    browser: Browser, tenant: Tenant, address: str, filled: None
) -> None:
    async with visiting(browser, address, tenant, "analyst") as page:
        await page.get_by_role("link", name="Search", exact=True).click()
        await page.get_by_label("Words or a question").fill("domestic wire transfer")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(RULE).first).to_be_visible()
        await expect(page).to_have_url(re.compile("q=domestic"))
        await page.go_back()
        await page.go_forward()
        await expect(page.get_by_text(RULE).first).to_be_visible()


async def test_an_export_is_asked_for_and_fetched(
    browser: Browser, service: Service, tenant: Tenant, database: Database, address: str, filled: None
) -> None:
    async with sealing(database), visiting(browser, address, tenant, "compliance") as page:
        await page.goto("/console/review/exports")
        await page.locator("#begin").fill("2026-01-01")
        await page.locator("#end").fill("2030-01-01")
        await page.locator("#kind").select_option("jsonl")
        await page.get_by_role("button", name="Export these days").click()
        await expect(page).to_have_url(re.compile("/console/review/exports/"))
        own = service.services
        handlers = {EXPORT: ExportHandler(own.files, own.payloads, own.recorder, own.pseudonym_keys)}
        assert await Worker(own.tenancy, handlers).work_once()
        await page.reload()
        async with page.expect_download() as fetched:
            await page.get_by_role("link", name="Fetch the file").click()
        path = await (await fetched.value).path()
        assert path.stat().st_size > 0
    assert [event["outcome"] for event in await service.events(tenant, action="audit:exported")]


async def test_a_person_is_added_and_comes_in_by_its_link(
    browser: Browser, service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    name = f"jane-{secrets.token_hex(3)}"
    async with visiting(browser, address, tenant, "admin") as page:
        await page.get_by_role("link", name="Administration").click()
        await page.get_by_label("User name").fill(name)
        await (
            page.locator("form")
            .filter(has=page.get_by_role("button", name="Add this person"))
            .get_by_label("analyst")
            .check()
        )
        await page.get_by_role("button", name="Add this person").click()
        link = await page.get_by_role("button", name="Copy the link").get_attribute("data-copy")
    assert link is not None
    context = await browser.new_context(base_url=address)
    page = await context.new_page()
    await page.goto(f"/console/reset#{link.partition('#')[2]}")
    await page.locator("#password").fill(PASSWORD)
    await page.get_by_role("button", name="Choose this password").click()
    await page.locator("#tenant").fill(tenant.slug)
    await page.locator("#username").fill(name)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main form button").first.click()
    await expect(page.get_by_role("link", name="Ask", exact=True)).to_be_visible()
    await context.close()


async def test_the_operator_suspends_a_tenant_and_lets_it_work_again(
    browser: Browser, service: Service, address: str
) -> None:
    tenant = await service.create_tenant()
    async with service.operator() as acting:
        key = await operator_keys.create(acting.connection, f"console-{secrets.token_hex(3)}")
    context = await browser.new_context(base_url=address)
    page = await context.new_page()
    await page.goto("/console/operator")
    await page.locator("#key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name=f"Suspend {tenant.slug}").click()
    await expect(page.get_by_role("button", name=f"Let {tenant.slug} work again")).to_be_visible()
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    assert (await service.client.post("/auth/token", data=form)).status_code == 401
    await page.get_by_role("button", name=f"Let {tenant.slug} work again").click()
    await expect(page.get_by_role("button", name=f"Suspend {tenant.slug}")).to_be_visible()
    assert (await service.client.post("/auth/token", data=form)).status_code == 200
    await context.close()

"""`affidavit key …`, against the database of a running service."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backend.cli import app
from tests.factories import ingest
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

BOUNDS = {
    "purpose": "Answers in the portal", "owner": "analyst", "network": "127.0.0.0/8", "expires": "2099-06-30", "per-minute": "60",
    "per-day": "1000", "tokens-day": "100", "tokens-month": "5000000", "cost-day": "20", "cost-month": "250", "permission": "answers:create",
}  # fmt: skip
LISTED = {
    "networks": ["127.0.0.0/8"], "per_minute": 60, "per_day": 1000, "tokens_day": 100, "tokens_month": 5_000_000,
    "cost_day_micros": 20_000_000, "cost_month_micros": 250_000_000, "owner": "analyst", "purpose": "Answers in the portal", "permissions": ["answers:create"],
    "collections": ["default"], "signs_end_users": False,
}  # fmt: skip


async def run(service: Service, *arguments: str) -> Result:
    """Runs a command as on the operator's machine; it has an event loop of its own."""
    environment = {
        "AFFIDAVIT_DATABASE_URL": service.database.owner_url, "AFFIDAVIT_RUNTIME_DATABASE_URL": service.database.runtime_url,
        "COLUMNS": "250",
    }  # fmt: skip
    return await asyncio.to_thread(CliRunner().invoke, app, ["key", *arguments], env=environment)


async def asked(service: Service, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return (await service.client.post("/answer", json={"question": "What is the rule?"}, headers=headers)).status_code


async def test_a_key_is_made_with_everything_that_bounds_it_then_listed_rotated_and_ended(
    service: Service, tenant: Tenant
) -> None:
    await ingest(service, tenant, "rule", "The rule is the rule.")
    options = [part for name, value in BOUNDS.items() for part in (f"--{name}", value)]
    made = await run(service, "create", tenant.slug, "bounded", *options, "--json")
    assert made.exit_code == 0, made.output
    created = json.loads(made.stdout)
    keys = json.loads((await run(service, "list", tenant.slug, "--json")).stdout)
    listed: dict[str, Any] = next(key for key in keys if key["id"] == created["id"])
    assert listed.items() >= LISTED.items()
    assert listed["expires_at"].startswith("2099-06-30")
    assert "tokens a day 100" in (await run(service, "list", tenant.slug)).stdout
    assert await asked(service, created["key"]) == 429  # a hundred tokens hold no prompt
    rotated = (await run(service, "rotate", tenant.slug, "bounded", "--overlap-seconds", "0")).stdout.strip()
    assert (await asked(service, created["key"]), await asked(service, rotated)) == (401, 429)
    assert (await run(service, "revoke", tenant.slug, created["id"])).exit_code == 0
    assert await asked(service, rotated) == 401
    actions = [event["action"] for event in await service.events(tenant)]
    assert {"key:created", "key:rotated", "key:revoked"} <= set(actions)


async def _listed(service: Service, tenant: Tenant, key_id: str) -> dict[str, Any]:
    keys = json.loads((await run(service, "list", tenant.slug, "--json")).stdout)
    return next(key for key in keys if key["id"] == key_id)


async def test_what_bounds_a_key_is_changed_and_taken_away_from_its_next_request_on(
    service: Service, tenant: Tenant
) -> None:
    await ingest(service, tenant, "changed", "The rule is the rule.")
    options = [part for name, value in BOUNDS.items() for part in (f"--{name}", value)]
    created = json.loads((await run(service, "create", tenant.slug, "changing", *options, "--json")).stdout)
    before = await _listed(service, tenant, created["id"])
    assert await asked(service, created["key"]) == 429
    changes = ("--tokens-day", "900000", "--cost-month", "300", "--without", "network", "--without", "cost-day")
    done = await run(service, "change", tenant.slug, "changing", *changes, "--name", "changed")
    assert done.exit_code == 0, done.output
    assert await asked(service, created["key"]) == 200
    after = await _listed(service, tenant, created["id"])
    assert {name: value for name, value in after.items() if before[name] != value and name != "last_used_at"} == {
        "name": "changed", "tokens_day": 900_000, "cost_month_micros": 300_000_000, "networks": [], "cost_day_micros": None,
    }  # fmt: skip
    (event,) = await service.events(tenant, action="key:changed", limit=1)
    recorded = event["event"]["key"]
    assert (recorded["id"], recorded["changed"]) == (created["id"], ["allowed_networks", "budgets", "name"])
    assert (recorded["tokens_day"], recorded["cost_month_micros"]) == (900_000, 300_000_000)
    done = await run(
        service, "change", tenant.slug, "changed", "--network", "203.0.113.0/24", "--expires", "2098-01-01"
    )
    assert done.exit_code == 0, done.output
    assert await asked(service, created["key"]) == 401, "it asks from another network"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name what is to change"),
        (("--per-day", "5", "--without", "per-day"), "--per-day is both set and taken away"),
        (("--expires", "2020-01-01"), "in the future"),
        (("--network", "300.1.1.1/8"), "--network"),
    ],
)
async def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    service: Service, tenant: Tenant, options: tuple[str, ...], said: str
) -> None:
    made = await run(
        service, "create", tenant.slug, "kept", "--permission", "retrieval:query", "--per-day", "7", "--json"
    )
    key_id = json.loads(made.stdout)["id"]
    refused = await run(service, "change", tenant.slug, key_id, *options)
    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr
    assert (await _listed(service, tenant, key_id))["per_day"] == 7


async def test_a_name_that_two_keys_have_names_neither(service: Service, tenant: Tenant) -> None:
    for _ in range(2):
        await run(service, "create", tenant.slug, "twin", "--permission", "retrieval:query")
    refused = await run(service, "revoke", tenant.slug, "twin")
    assert (refused.exit_code, "give the id" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--network", "300.1.1.1/8"), "--network"),
        (("--expires", "2020-01-01"), "in the future"),
        (("--purpose", "x"), "3 to 500"),
        (("--assertion-key", "/nonesuch"), "--assertion-key"),
        (("--collection", "nonesuch"), "no collection"),
        (("--owner", "nobody"), "name an owner who can"),
    ],
)
async def test_a_bound_that_cannot_be_is_refused_in_a_sentence(
    service: Service, tenant: Tenant, options: tuple[str, ...], said: str
) -> None:
    refused = await run(service, "create", tenant.slug, "k", "--permission", "retrieval:query", *options)
    assert refused.exit_code == 1
    assert said in refused.stderr

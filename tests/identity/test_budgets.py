"""Budgets of keys hold before a model is asked, at every door and for requests at once; what was used is reported."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.answers.model_server import ModelServer, failing, saying
from tests.factories import bearer, create_key, ingest
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

RULE = "An outgoing domestic wire transfer costs 25 dollars."
ASKED = {"question": "What does an outgoing domestic wire transfer cost?"}
ANSWERED = 333  # tokens, as the model server counts them
CHAT = {"model": "affidavit", "messages": [{"role": "user", "content": ASKED["question"]}]}
TOOL = {
    "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": ASKED},
}  # fmt: skip
MCP = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


@pytest.fixture(scope="module")
async def service(
    database: Database, run_secrets: Secrets, model_home: Any, model: ModelServer
) -> AsyncIterator[Service]:
    settings = settings_for(
        database, run_secrets, model_home, model_url=model.url, model_name="priced",
        model_prices={"priced": {"prompt": "1000", "completion": "2000"}},
    )  # fmt: skip
    async with running(settings, database) as started:
        yield started


@pytest.fixture
async def bank(service: Service, model: ModelServer) -> Tenant:
    """A tenant with one document, before a model server that quotes it."""
    model.reply = saying(f"{RULE} [1]")
    model.requests.clear()
    tenant = await service.create_tenant()
    await ingest(service, tenant, "wires", RULE)
    return tenant


async def key_of(service: Service, bank: Tenant, **budgets: float) -> dict[str, str]:
    wanted = ("retrieval:query", "answers:create")
    return bearer(await create_key(service, bank, *wanted, name="k", budgets=budgets, purpose="Serves the portal."))


async def ask(service: Service, key: dict[str, str], **headers: str) -> httpx.Response:
    return await service.client.post("/answer", json=ASKED, headers={**key, **headers})


async def used(service: Service, bank: Tenant, by: str, user: str = "admin", **params: Any) -> list[dict[str, Any]]:
    answer = await service.get("/usage", bank, user, by=by, **params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["usage"]
    return rows


async def test_a_key_asks_no_model_beyond_its_budget_at_any_door_and_the_refusal_is_on_record(
    service: Service, bank: Tenant, model: ModelServer
) -> None:
    key = await key_of(service, bank, tokens_day=100)
    own = await ask(service, key)
    assert (own.status_code, own.json()["error"]) == (429, "budget_exhausted"), own.text
    assert "tokens a day" in own.json()["detail"]
    assert 0 < int(own.headers["retry-after"]) <= 86_400
    openai = await service.client.post("/v1/chat/completions", json=CHAT, headers=key)
    assert openai.status_code == 429
    assert openai.json()["error"]["code"] == "budget_exhausted"
    assert (openai.json()["error"]["type"], openai.headers["x-should-retry"]) == ("insufficient_quota", "false")
    streamed = await service.client.post("/v1/chat/completions", json={**CHAT, "stream": True}, headers=key)
    assert streamed.status_code == 429
    embedded = await service.client.post("/v1/embeddings", json={"input": ["A text. " * 100]}, headers=key)
    assert embedded.status_code == 429
    assert model.requests == []
    denied = await service.events(bank, action="access:denied")
    assert [event["reason"] for event in denied] == ["budget:tokens_day"] * 4
    assert await service.events(bank, action="prompt:submitted") == []


async def test_what_a_model_used_takes_the_place_of_what_was_reserved(
    service: Service, bank: Tenant, model: ModelServer
) -> None:
    first = await key_of(service, bank)
    assert (await ask(service, first)).status_code == 200
    (submitted,) = await service.events(bank, action="prompt:submitted")
    reserved = submitted["event"]["prompt"]["reserved_tokens"]
    assert reserved > ANSWERED
    key = await key_of(service, bank, tokens_day=ANSWERED + reserved)
    assert [(await ask(service, key)).status_code for _ in range(3)] == [200, 200, 429]
    assert len(model.requests) == 3
    (answered, *_) = await service.events(bank, action="answer:returned")
    assert answered["event"]["answer"]["used"] == {
        "prompt_tokens": 321, "completion_tokens": 12, "estimated": False, "cost_micros": 345_000,
    }  # fmt: skip


async def test_requests_at_once_never_take_the_same_room(service: Service, bank: Tenant, model: ModelServer) -> None:
    probe = await key_of(service, bank)
    await ask(service, probe)
    (submitted,) = await service.events(bank, action="prompt:submitted")
    model.requests.clear()
    key = await key_of(service, bank, tokens_month=submitted["event"]["prompt"]["reserved_tokens"])
    statuses = [answer.status_code for answer in await asyncio.gather(*(ask(service, key) for _ in range(6)))]
    assert (sorted(statuses), len(model.requests)) == ([200, 429, 429, 429, 429, 429], 1)


@pytest.mark.parametrize(("budget", "named"), [("cost_month", "money a month"), ("cost_day", "money a day")])
async def test_a_budget_of_money_counts_by_the_prices(service: Service, bank: Tenant, budget: str, named: str) -> None:
    key = await key_of(service, bank, **{budget: 4})
    statuses = [(await ask(service, key)).status_code for _ in range(12)]
    assert statuses == sorted(statuses)
    assert {200, 429} == set(statuses)
    (row,) = await used(service, bank, "key")
    assert row["cost"] == pytest.approx(0.345 * statuses.count(200))
    assert row["cost"] <= 4
    refused = await ask(service, key)
    assert named in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) <= (86_400 if budget == "cost_day" else 31 * 86_400)


async def test_what_was_spent_on_an_earlier_day_counts_for_the_month_alone(
    service: Service, bank: Tenant, database: Database
) -> None:
    day, month = await key_of(service, bank, cost_day=4), await key_of(service, bank, cost_month=4)
    for key in (day, month):
        assert (await ask(service, key)).status_code == 200
    owner = await asyncpg.connect(database.superuser_url)
    try:
        # On the first of a month, yesterday is of another; then only that neither key is refused can be seen.
        yesterday = "update identity.usage set day = day - 1, cost_micros = 4000000 where tenant_id = $1"
        await owner.execute(yesterday, bank.id)
    finally:
        await owner.close()
    first = datetime.now(UTC).day == 1
    assert [(await ask(service, key)).status_code for key in (day, month)] == [200, 200 if first else 429]


async def test_a_model_without_a_price_is_not_asked_for_a_budget_of_money(
    service: Service, bank: Tenant, model: ModelServer
) -> None:
    accounting = service.services.accounting
    prices = dict(accounting._prices)
    accounting._prices = {}
    try:
        refused = await ask(service, await key_of(service, bank, cost_month=1_000))
    finally:
        accounting._prices = prices
    assert (refused.status_code, "no price" in refused.json()["detail"], model.requests) == (429, True, [])


async def test_a_server_that_refuses_costs_nothing(service: Service, bank: Tenant, model: ModelServer) -> None:
    key = await key_of(service, bank, tokens_day=4_000)
    model.reply = failing(400)
    assert [(await ask(service, key)).status_code for _ in range(5)] == [503] * 5
    openai = await service.client.post("/v1/chat/completions", json=CHAT, headers=key)
    # OpenAI's clients would ask twice more by themselves, each time as a turn of its own on record.
    assert (openai.status_code, openai.headers["x-should-retry"]) == (503, "false")
    assert await used(service, bank, "key") == []
    model.reply = saying(f"{RULE} [1]")
    assert (await ask(service, key)).status_code == 200


async def test_usage_is_reported_by_each_side_and_only_to_who_may_see_it(service: Service, bank: Tenant) -> None:
    key = await key_of(service, bank)
    await ask(service, key)
    await service.post("/answer", bank, "analyst", {**ASKED, "collection": "default"})
    today = str(datetime.now(UTC).date())
    by_user = {row["name"]: row["requests"] for row in await used(service, bank, "user")}
    assert by_user == {"admin": 1, "analyst": 1}  # a key counts as its owner's
    assert [(row["name"], row["prompt_tokens"]) for row in await used(service, bank, "key")] == [("k", 321)]
    assert [(row["value"], row["requests"]) for row in await used(service, bank, "model")] == [("priced", 2)]
    assert [row["value"] for row in await used(service, bank, "collection")] == ["", "default"]
    assert [row["value"] for row in await used(service, bank, "day")] == [today]
    assert len(await used(service, bank, "user", "compliance")) == 2
    assert [row["name"] for row in await used(service, bank, "user", "analyst")] == ["analyst"]
    assert await used(service, bank, "user", "editor") == []
    own = (await service.client.get("/usage", params={"by": "key"}, headers=key)).json()["usage"]
    assert [row["requests"] for row in own] == [1]
    assert await used(service, bank, "day", to="2026-01-31") == []
    assert (
        await service.get("/usage", bank, "admin", by="day", to="2020-01-01", **{"from": "2020-02-01"})
    ).status_code == 422


async def test_usage_comes_in_pages(service: Service, bank: Tenant) -> None:
    await service.add_user(bank, "analyst2", Role.ANALYST)
    for user in ("analyst", "analyst2", "editor"):
        await service.post("/answer", bank, user, ASKED)
    cursor, values = None, []
    for _ in range(3):
        page = (
            await service.get("/usage", bank, "admin", by="user", limit=1, **({"cursor": cursor} if cursor else {}))
        ).json()
        values += [row["value"] for row in page["usage"]]
        cursor = page["next_cursor"]
    assert (sorted(values), cursor) == (sorted(str(bank.users[u]) for u in ("analyst", "analyst2", "editor")), None)


async def test_what_a_key_is_for_and_what_a_request_is_for_are_both_on_record(service: Service, bank: Tenant) -> None:
    key = await key_of(service, bank)
    assert (await ask(service, key, **{"X-Purpose": "Complaint 4711"})).status_code == 200
    (event,) = await service.events(bank, action="answer:returned")
    assert (event["event"]["purpose"], event["event"]["principal"]["purpose"]) == (
        "Complaint 4711",
        "Serves the portal.",
    )
    assert (await ask(service, key, **{"X-Purpose": "x"})).status_code == 422
    told = await service.client.post(
        "/mcp", json=TOOL, headers={**key, **MCP, "X-Purpose": "Asked by an agent"}
    )  # fmt: skip
    assert told.status_code == 200, told.text
    (event, *_) = await service.events(bank, action="answer:returned")
    assert (event["event"]["purpose"], event["event"]["door"]["kind"]) == ("Asked by an agent", "mcp")


async def test_what_was_never_settled_counts_whole(service: Service, bank: Tenant, database: Database) -> None:
    key = await key_of(service, bank, tokens_month=5_000)
    assert (await ask(service, key)).status_code == 200
    owner = await asyncpg.connect(database.owner_url)
    try:
        assert (
            await owner.fetchval("select count(*) from identity.usage_reservation where tenant_id = $1", bank.id) == 0
        )
        await owner.execute(
            "insert into identity.usage_reservation (tenant_id, id, key_id, tokens, cost_micros)"
            " select tenant_id, gen_random_uuid(), id, 4500, 0 from identity.api_key"
            " where tenant_id = $1 and tokens_per_month is not null",
            bank.id,
        )
    finally:
        await owner.close()
    assert (await ask(service, key)).status_code == 429

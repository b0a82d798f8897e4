"""Several models, asked in an order of which a tenant may choose: what one cannot answer, the next is asked, and the record says so."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from backend.identity.callers.permissions import Role
from backend.settings import Settings
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

TEXT = "Card disputes must be filed within 60 days of statement date. A dispute needs the card number."
QUOTE = "Card disputes must be filed within 60 days of statement date."
REWORDED = "Disputes of cards must be filed within 60 days of statement date."
QUESTION = "How long do customers have to file card disputes?"
PRICES = {
    "first": {"prompt": 1, "completion": 2},
    "second": {"prompt": 100, "completion": 200},
    "private": {"prompt": 0},
}


@pytest.fixture(scope="module")
def first() -> Iterator[ModelServer]:
    with model_server.running() as started:
        yield started


@pytest.fixture(scope="module")
def second() -> Iterator[ModelServer]:
    with model_server.running() as started:
        yield started


@pytest.fixture(scope="module")
async def service(
    first: ModelServer, second: ModelServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    settings = settings_for(
        database, run_secrets, model_home, model_url=first.url, model_name="first", model_timeout=5, model_prices=PRICES,
        models=[
            {"name": "second", "url": second.url, "model": "sent-as", "api_key": "k", "api_version": "2026-06-01"},
            {"name": "private", "url": second.url, "tenants": ["somebody-else"]},
        ],
    )  # fmt: skip
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module")
async def tenant(service: Service) -> Tenant:
    """A tenant with a document."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "admin2", Role.ADMIN)
    body = {"doc_id": "pol-001", "chunk_text": TEXT, "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201
    return tenant


@pytest.fixture(autouse=True)
async def rested(service: Service, tenant: Tenant, first: ModelServer, second: ModelServer) -> None:
    """Models that have rested and say what is true, and a tenant that chose nothing."""
    service.services.generators.failures.__init__()  # type: ignore[misc] - forgets who failed
    for by in ("admin", "admin2"):  # who asks for less certain sentences again needs the other
        answer = await service.client.put("/answer/policy", json={}, headers=await service.as_user(tenant, by))
    assert answer.status_code == 200, answer.text
    for server in (first, second):
        server.requests.clear()
        server.reply = model_server.saying(f"{QUOTE} [1]")


async def ask(service: Service, tenant: Tenant, **changed: Any) -> dict[str, Any]:
    answer = await service.post("/answer", tenant, "analyst", {"question": QUESTION, **changed})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def recorded(service: Service, tenant: Tenant, action: str) -> dict[str, Any]:
    event: dict[str, Any] = (await service.events(tenant, action=action))[0]["event"]
    return event


async def used(service: Service, tenant: Tenant) -> defaultdict[str, tuple[int, float]]:
    """Returns how often each model was counted, and what it cost."""
    rows = (await service.get("/usage", tenant, "admin", by="model")).json()["usage"]
    return defaultdict(lambda: (0, 0.0), {row["value"]: (row["requests"], row["cost"]) for row in rows})


async def choose(service: Service, tenant: Tenant, status: int = 200, **wanted: Any) -> dict[str, Any]:
    headers = await service.as_user(tenant, "admin")
    answer = await service.client.put("/answer/policy", json=wanted, headers=headers)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_first_model_answers_while_it_can(service: Service, tenant: Tenant, second: ModelServer) -> None:
    assert QUOTE in (await ask(service, tenant))["answer"]
    assert second.requests == []
    prompt = (await recorded(service, tenant, "prompt:submitted"))["prompt"]
    assert (prompt["model"], prompt["fallbacks"]) == ("first", ["second"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reply", "failure"),
    [(model_server.failing(500), "unavailable"), (model_server.hanging(20), "timeout")],
    ids=["an error", "a hang"],
)
async def test_what_one_model_cannot_answer_the_next_is_asked(
    service: Service, tenant: Tenant, first: ModelServer, second: ModelServer,
    reply: model_server.Reply, failure: str, *, stream: bool,
) -> None:  # fmt: skip
    first.reply, before = reply, await used(service, tenant)
    answer = await service.post("/answer", tenant, "analyst", {"question": QUESTION, "stream": stream})
    assert answer.status_code == 200
    given = (await recorded(service, tenant, "answer:returned"))["answer"]
    assert (given["model_requested"], given["failed"]) == ("second", [{"model": "first", "failure": failure}])
    assert second.requests[-1]["model"] == "sent-as"
    assert (second.headers[-1]["api-key"], second.queries[-1]) == ("k", {"api-version": "2026-06-01"})
    after = await used(service, tenant)
    assert after["second"][1] - before["second"][1] == pytest.approx(given["used"]["cost_micros"] / 1_000_000)
    timed_out = failure == "timeout"  # and what it used meanwhile nobody knows
    assert after["first"][0] - before["first"][0] == timed_out


async def test_a_model_that_just_failed_is_asked_last(
    service: Service, tenant: Tenant, first: ModelServer, second: ModelServer
) -> None:
    first.reply = model_server.failing(500)
    await ask(service, tenant)
    tried = len(first.requests)
    await ask(service, tenant)
    assert (len(first.requests), len(second.requests)) == (tried, 2)


async def test_an_answer_that_has_begun_is_of_one_model(
    service: Service, tenant: Tenant, first: ModelServer, second: ModelServer
) -> None:
    first.reply = model_server.breaking_off_after(f"{QUOTE} [1] A dispute needs the card number. [1] And then")
    answer = await service.post("/answer", tenant, "analyst", {"question": QUESTION, "stream": True})
    assert "event: error" in answer.text
    assert second.requests == []


async def test_no_model_at_all_gives_503(
    service: Service, tenant: Tenant, first: ModelServer, second: ModelServer
) -> None:
    first.reply = second.reply = model_server.failing(500)
    answer = await service.post("/answer", tenant, "analyst", {"question": QUESTION})
    assert answer.status_code == 503


async def test_a_budget_of_money_has_room_for_the_dearest_model(service: Service, tenant: Tenant) -> None:
    bounded = {"name": "bounded", "permissions": ["answers:create"], "collections": ["default"]}
    made = await service.post("/auth/keys", tenant, "admin", bounded | {"budgets": {"cost_month": 0.1}})
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    asked = await service.client.post("/answer", json={"question": QUESTION}, headers=headers)
    assert (asked.status_code, asked.json()["error"]) == (429, "budget_exhausted")
    await choose(service, tenant, models=["first"])
    assert (await service.client.post("/answer", json={"question": QUESTION}, headers=headers)).status_code == 200


async def test_a_tenant_chooses_among_what_the_operator_offers(
    service: Service, tenant: Tenant, first: ModelServer, second: ModelServer
) -> None:
    policy = (await service.get("/answer/policy", tenant, "analyst")).json()
    assert policy["offered"]["models"] == ["first", "second", "extractive-v8"]
    assert policy["offered"]["support_levels"] == ["verbatim", "close"]
    assert (policy["models"], policy["support_levels"]) == (None, None)
    assert (await choose(service, tenant, models=["second"]))["changed_by"] == str(tenant.users["admin"])
    await ask(service, tenant)
    await choose(service, tenant, models=["extractive-v8"])
    assert (await ask(service, tenant))["model"] == "extractive-v8"
    assert (len(first.requests), len(second.requests)) == (0, 1)
    assert (await recorded(service, tenant, "answer_policy:changed"))["answer_policy"] == {"models": ["extractive-v8"]}


async def test_a_tenant_that_shows_only_quotes_shows_nothing_reworded(
    service: Service, tenant: Tenant, first: ModelServer
) -> None:
    first.reply = model_server.saying(f"{REWORDED} [1]")
    assert (await ask(service, tenant))["citations"][0]["support"] == "close"
    await choose(service, tenant, support_levels=["verbatim"])
    assert (await ask(service, tenant))["reason"] == "unsupported"
    assert (await recorded(service, tenant, "prompt:submitted"))["prompt"]["support_levels"] == ["verbatim"]
    first.reply = model_server.saying(f"{QUOTE} [1]")
    assert (await ask(service, tenant))["citations"][0]["support"] == "verbatim"


@pytest.mark.parametrize(
    "wanted",
    [
        {"models": ["private"]}, {"models": ["unheard-of"]}, {"models": ["first", "first"]}, {"models": []},
        {"support_levels": ["verbatim", "judged"]}, {"support_levels": ["close"]}, {"support_levels": ["certain"]},
    ],
)  # fmt: skip
async def test_what_is_not_offered_is_refused(service: Service, tenant: Tenant, wanted: dict[str, Any]) -> None:
    await choose(service, tenant, 422, **wanted)


async def test_no_other_model_answers_in_place_of_one_that_is_offered_no_more(
    service: Service, database: Database, run_secrets: Secrets, model_home: Any, tenant: Tenant
) -> None:
    await choose(service, tenant, models=["second"])
    async with running(settings_for(database, run_secrets, model_home), database) as without:
        answer = await without.post("/answer", tenant, "analyst", {"question": QUESTION})
    assert answer.status_code == 503


async def test_an_editor_chooses_nothing(service: Service, tenant: Tenant) -> None:
    headers = await service.as_user(tenant, "editor")
    answer = await service.client.put("/answer/policy", json={"models": ["second"]}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": [{"name": "a", "url": "http://a/v1"}] * 2}, "names a model twice"),
        ({"models": [{"name": "a", "url": "http://a/v1"}], "model_prices": {"b": {"prompt": 1}}}, "no price for a"),
        ({"models": [{"name": "a", "url": "ftp://a"}]}, "url"),
    ],
)
async def test_settings_name_each_model_once_and_price_all_or_none(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings(**changed)

"""What /metrics shows: the numbers an operator watches, of the service and of the database, and nothing of any tenant."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as with_exemplars
from prometheus_client.parser import text_string_to_metric_families

from backend import metrics
from backend.database import Connection
from backend.embedded_postgres import EmbeddedPostgres
from backend.operation import measures
from backend.review.events.service import first_id_at
from backend.settings import Settings
from tests.answers import model_server
from tests.service import Database, Secrets, Service, Tenant, cloned_database, running, sealing, settings_for
from tests.serving import free_port

pytestmark = pytest.mark.anyio

SECRET_WORD = "xylophone"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def grown(name: str, **labels: str) -> Callable[[], float]:
    before = value(name, **labels)
    return lambda: value(name, **labels) - before


async def test_requests_stages_answers_and_refusals_are_counted(service: Service, tenant: Tenant) -> None:
    retrieved = grown("affidavit_requests_total", method="POST", route="/retrieve", status="200", cell="")
    searched = grown("affidavit_stage_seconds_count", stage="search")
    embedded = grown("affidavit_stage_seconds_count", stage="embed")
    answered = grown("affidavit_answers_total", outcome="answered", reason="none")
    quoted = grown("affidavit_sentences_total", support="verbatim")
    unsupported = grown("affidavit_answers_total", outcome="refused", reason="not_supported")
    denied = grown("affidavit_refused_total", code="forbidden", reason="permission:documents", cell="")
    nobody = grown("affidavit_refused_total", code="unauthenticated", reason="credentials:missing", cell="")
    chunk = {
        "doc_id": SECRET_WORD,
        "chunk_text": f"A {SECRET_WORD} wire leaves before noon.",
        "source_type": "policy",
    }
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
    assert (await service.post("/ingest", tenant, "analyst", chunk)).status_code == 403
    assert (await service.post("/retrieve", tenant, "analyst", {"query": SECRET_WORD})).status_code == 200
    question = {"question": f"When does a {SECRET_WORD} wire leave?"}
    assert not (await service.post("/answer", tenant, "analyst", question)).json()["refused"]
    nothing = {"question": "Who painted the Mona Lisa?"}
    assert (await service.post("/answer", tenant, "analyst", nothing)).json()["refused"]
    assert (await service.client.get(f"/{SECRET_WORD}")).status_code == 404
    assert (await service.client.get("/auth/me")).status_code == 401
    assert (retrieved(), answered(), unsupported(), denied(), nobody()) == (1, 1, 1, 1, 1)
    assert searched() >= 3
    assert embedded() >= 3
    assert quoted() >= 1
    assert value("affidavit_open_turns") == 0
    assert value("affidavit_connections_in_use") == 0
    assert value("affidavit_admission_running", lane="short") == 0


async def test_tokens_are_counted_by_the_configured_model(
    database: Database, run_secrets: Secrets, model_home: Any
) -> None:
    with model_server.running() as model:
        model.reply = model_server.saying("Wires leave before noon [1].")
        settings = settings_for(
            database, run_secrets, model_home, model_url=model.url, model_name="a-model", model_api_key="k"
        )
        async with running(settings, database) as service:
            tenant = await service.create_tenant()
            asked = grown("affidavit_model_tokens_total", model="a-model", direction="prompt")
            wrote = grown("affidavit_model_tokens_total", model="a-model", direction="completion")
            chunk = {"doc_id": "d", "chunk_text": "Wires leave before noon.", "source_type": "policy"}
            await service.post("/ingest", tenant, "editor", chunk)
            await service.post("/answer", tenant, "analyst", {"question": "When do wires leave?"})
            spent = model_server.USAGE
            assert (asked(), wrote()) == (spent["prompt_tokens"], spent["completion_tokens"])


async def test_what_a_models_tokens_cost_is_counted_in_millionths(
    database: Database, run_secrets: Secrets, model_home: Any
) -> None:
    with model_server.running() as model:
        model.reply = model_server.saying("Wires leave before noon [1].")
        settings = settings_for(
            database, run_secrets, model_home, model_url=model.url, model_name="a-model", model_api_key="k",
            model_prices={"a-model": {"prompt": 2, "completion": 8}},
        )  # fmt: skip
        async with running(settings, database) as service:
            tenant = await service.create_tenant()
            cost = grown("affidavit_model_cost_micros_total", model="a-model")
            chunk = {"doc_id": "d", "chunk_text": "Wires leave before noon.", "source_type": "policy"}
            await service.post("/ingest", tenant, "editor", chunk)
            await service.post("/answer", tenant, "analyst", {"question": "When do wires leave?"})
            spent = model_server.USAGE
            assert cost() == 2 * spent["prompt_tokens"] + 8 * spent["completion_tokens"]


async def test_no_measure_holds_anything_of_a_tenant(service: Service, tenant: Tenant) -> None:
    await test_requests_stages_answers_and_refusals_are_counted(service, tenant)
    shown = generate_latest().decode() + with_exemplars(REGISTRY).decode()
    for forbidden in (SECRET_WORD, tenant.slug, str(tenant.id), *map(str, tenant.users.values()), tenant.partner_key):
        assert forbidden not in shown
    series = [
        sample for family in text_string_to_metric_families(generate_latest().decode()) for sample in family.samples
    ]
    assert len(series) < 10_000


async def test_a_request_leaves_its_id_beside_its_time(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": "wires"})
    assert f'request_id="{answer.headers["x-request-id"]}"' in with_exemplars(REGISTRY).decode()


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        (None, "none"),
        ("limit:tenant:37s", "limit:tenant"),
        ("kms:AccessDenied", "kms:AccessDenied"),
        ("Mr Smith", "none"),
        ("permission:documents:read", "permission:documents"),
    ],
)
def test_a_reason_is_counted_by_its_head(reason: str | None, label: str) -> None:
    counted = grown("affidavit_refused_total", code="test", reason=label, cell="")
    metrics.refused("test", reason)
    assert counted() == 1


async def test_the_sealer_measures_what_waits_in_the_database(
    service: Service, tenant: Tenant, database: Database
) -> None:
    sealer = await asyncpg.connect(database.sealer_url)
    try:
        await service.post("/retrieve", tenant, "analyst", {"query": "wires"})
        await measures.measure(sealer)
        assert value("affidavit_unsealed_events") >= 1
        assert 0 < value("affidavit_seal_lag_seconds") < 120
        files = {"file": ("a.txt", f"{SECRET_WORD} {secrets.token_hex(4)}".encode(), "text/plain")}
        form = {"doc_id": "a", "source_type": "policy"}
        headers = await service.as_user(tenant, "editor")
        assert (await service.client.post("/documents", files=files, data=form, headers=headers)).status_code == 202
        async with sealing(database):
            while value("affidavit_unsealed_events"):
                await measures.measure(sealer)
        await measures.measure(sealer)
        assert 0 <= value("affidavit_checkpoint_age_seconds") < 120
        assert value("affidavit_jobs", kind="document:ingest", status="queued") >= 1
        assert value("affidavit_job_oldest_seconds", kind="document:ingest", status="queued") > 0
        assert sum(value("affidavit_tenants", chunks=band) for band in ("0", "1-999")) >= 1
        assert value("affidavit_sealing_halted") == 0
    finally:
        await sealer.close()


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ({}, 5),
        ({"model_url": "http://m/v1", "model_name": "m"}, 5),
        ({"model_url": "http://m/v1", "model_name": "m", "model_timeout": 600}, 14),
        ({"models": [{"name": name, "url": "http://m/v1", "timeout": 180} for name in "abc"]}, 13),
        ({"answer_seconds": 1200}, 24),
    ],
)
def test_a_question_counts_as_left_open_only_when_every_model_has_had_its_time(
    given: dict[str, Any], minutes: int
) -> None:
    assert Settings(**given).open_after == timedelta(minutes=minutes)


async def left_open_for(superuser: Connection, tenant: Tenant, minutes: int) -> None:
    """Enters a question of so long ago, from a process that was killed before it answered."""
    members = orjson.loads(
        await superuser.fetchval(
            "select envelope from audit.event where tenant_id = $1 and action = 'prompt:submitted' limit 1", tenant.id
        )
    )
    asked_at = datetime.now(UTC) - timedelta(minutes=minutes)
    members["id"] = members["turn"] = str(UUID(int=first_id_at(asked_at).int | 7 << 76 | 8 << 60))
    await superuser.execute(
        "insert into audit.event (id, envelope) values ($1, $2)", members["id"], orjson.dumps(members).decode()
    )


async def test_a_model_that_may_take_long_keeps_its_questions_from_counting_as_left_open(
    service: Service, tenant: Tenant, database: Database
) -> None:
    """By the sealer's settings, of a question that was asked seven minutes ago and has no end on record."""
    superuser, sealer = await asyncpg.connect(database.superuser_url), await asyncpg.connect(database.sealer_url)
    try:
        chunk = {"doc_id": "fees", "chunk_text": "An outgoing wire costs $25.", "source_type": "policy"}
        assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
        await service.post("/answer", tenant, "analyst", {"question": "What does an outgoing wire cost?"})
        await left_open_for(superuser, tenant, minutes=7)
        await measures.measure_turns(
            sealer, Settings(model_url="http://m/v1", model_name="m", model_timeout=400).open_after
        )
        assert value("affidavit_turns_left_open") == 0
        await measures.measure_turns(sealer, Settings().open_after)
        assert value("affidavit_turns_left_open") == 1
    finally:
        await superuser.close()
        await sealer.close()


async def test_what_is_measured_of_many_tenants_is_as_long_as_of_few(postgres: EmbeddedPostgres) -> None:
    async with cloned_database(postgres) as own:
        superuser, sealer = await asyncpg.connect(own.superuser_url), await asyncpg.connect(own.sealer_url)
        try:
            shown = []
            for tenants in (10, 2_000):
                await superuser.execute(
                    "insert into tenancy.tenant (id, slug, name) select gen_random_uuid(), 'bank-' || i, 'Bank ' || i"
                    f" from generate_series((select count(*) + 1 from tenancy.tenant), {tenants}) i"
                )
                await measures.measure(sealer)
                await measures.measure_turns(sealer, Settings().open_after)
                assert sum(s.value for s in measures.TENANTS.collect()[0].samples) == tenants
                shown.append([family.name for family in REGISTRY.collect() for _ in family.samples])
                assert "bank-" not in generate_latest().decode()
            assert shown[0] == shown[1]
        finally:
            await superuser.close()
            await sealer.close()


@pytest.mark.parametrize(("took", "pause"), [(0.003, 5), (0.1, 5), (0.5, 25), (4, 60)])
def test_counting_takes_a_fiftieth_of_the_time_and_comes_once_a_minute_at_least(took: float, pause: float) -> None:
    assert measures.pause_after(took) == pause


async def test_the_role_that_serves_tenants_may_not_ask_for_totals(database: Database) -> None:
    connection = await asyncpg.connect(database.runtime_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select * from tenancy.totals()")
    finally:
        await connection.close()


async def test_the_port_of_measures_is_none_of_the_services(service: Service) -> None:
    assert (await service.client.get("/metrics")).status_code == 404
    assert Settings().metrics_port is None


def test_it_is_open_while_the_block_runs() -> None:
    port = free_port()
    metrics.answered("GET", "/somewhere", 200, 0.01, "the-id-of-a-request")
    with metrics.exposed("127.0.0.1", port):
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
        with_ids = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=asked).text
    assert 'request_id="the-id-of-a-request"' in with_ids
    assert "affidavit_request_seconds_bucket" in shown
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")

"""When the database or the audit log fails, nothing is answered and nothing is changed; and it heals by itself."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from backend import health
from backend.database import open_pool, reachable
from backend.embedded_postgres import EmbeddedPostgres
from backend.errors import Unavailable
from backend.settings import Settings
from tests.console.visits import visiting
from tests.scratch import place
from tests.service import PASSWORD, Database, Secrets, Service, Tenant, postgres_server, running, sealing, settings_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("patient_status")]

CHUNK = {"doc_id": "kept", "chunk_text": "Wires leave before noon.", "source_type": "policy"}
QUESTION = {"query": "When do wires leave?"}

# One request of every kind that records something, and who makes it.
RECORDED = {
    "ingest": ("POST", "/ingest", "editor", {**CHUNK, "doc_id": "lost"}),
    "retrieve": ("POST", "/retrieve", "analyst", QUESTION),
    "answer": ("POST", "/answer", "analyst", {"question": "When do wires leave?"}),
    "stream": ("POST", "/answer", "analyst", {"question": "When do wires leave?", "stream": True}),
    "create a key": ("POST", "/auth/keys", "admin", {"name": "lost", "permissions": ["retrieval:query"]}),
    "read the log": ("GET", "/audit/events", "compliance", None),
    "be denied": ("POST", "/ingest", "analyst", {**CHUNK, "doc_id": "lost"}),
    "partner": ("POST", "/retrieve", "partner", QUESTION),
}


@pytest.fixture(scope="module", autouse=True)
async def document(service: Service, tenant: Tenant) -> None:
    """One document, and everybody signed in while that is still possible."""
    assert (await service.post("/ingest", tenant, "editor", CHUNK)).status_code == 201
    for user in ("admin", "analyst", "compliance"):
        await service.token(tenant, user)


async def ask(service: Service, tenant: Tenant, case: str) -> httpx.Response:
    method, path, user, body = RECORDED[case]
    return await service.client.request(method, path, json=body, headers=await service.as_user(tenant, user))


def is_unavailable(answer: httpx.Response) -> bool:
    """503 in the shape of every error, and not a word of what was asked for."""
    return (
        answer.status_code == 503
        and answer.json().keys() == {"error", "detail", "request_id"}
        and answer.headers["retry-after"] == "5"
        and "noon" not in answer.text
    )


async def documents_and_keys(service: Service, tenant: Tenant) -> tuple[set[str], set[str]]:
    """What the tenant has, as its users see it."""
    found = await service.post("/retrieve", tenant, "editor", {**QUESTION, "k": 100})
    keys = await service.get("/auth/keys", tenant, "admin")
    return {c["doc_id"] for c in found.json()["contexts"]}, {key["name"] for key in keys.json()["keys"]}


@asynccontextmanager
async def altered(service: Service, broken: str, mended: str) -> AsyncIterator[None]:
    """Breaks the database as its superuser, and mends it afterwards."""
    superuser = await asyncpg.connect(service.database.superuser_url)
    try:
        await superuser.execute(broken)
        try:
            yield
        finally:
            await superuser.execute(mended)
    finally:
        await superuser.close()


def without_insert(service: Service, table: str = "audit.event", columns: str = " (id, envelope)") -> Any:
    return altered(
        service,
        f"revoke insert on {table} from affidavit_runtime",
        f"grant insert{columns} on {table} to affidavit_runtime",
    )


def failing_commit(service: Service, failure: str) -> Any:
    """A trigger fires after everything was written and recorded: while the transaction commits."""
    return altered(
        service,
        f"""
        create function public.fail() returns trigger language plpgsql as $$ begin {failure}; return null; end $$;
        create constraint trigger fail after insert on audit.event deferrable initially deferred
          for each row execute function public.fail()
        """,
        "drop trigger fail on audit.event; drop function public.fail()",
    )


@pytest.mark.parametrize("case", RECORDED)
async def test_without_its_record_nothing_is_answered_or_changed(service: Service, tenant: Tenant, case: str) -> None:
    before = await documents_and_keys(service, tenant)
    async with without_insert(service):
        answer = await ask(service, tenant, case)
    assert is_unavailable(answer), answer.text
    assert answer.json()["error"] == "audit_unavailable"
    assert await documents_and_keys(service, tenant) == before


async def test_without_its_record_nobody_is_signed_in(service: Service, tenant: Tenant) -> None:
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    async with without_insert(service):
        signed_in = await service.client.post("/auth/token", data=form)
        refused = await service.client.post("/auth/token", data=form | {"password": "wrong"})
    assert is_unavailable(signed_in)
    assert is_unavailable(refused)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("audit.payload", " (tenant_id, event_id, name, key_id, ciphertext, terms)"),
        ("audit.unindexed", " (tenant_id, event_id, doc_ids, action, outcome, principal_id)"),
        ("audit.data_key", " (tenant_id, id, subject_id, month, wrapped)"),
    ],
)
async def test_without_the_texts_of_its_record_nothing_is_answered(
    service: Service, tenant: Tenant, table: str, columns: str
) -> None:
    newcomer = await service.create_tenant()  # has no data key yet
    await service.token(newcomer, "analyst")
    async with without_insert(service, table, columns):
        retrieved = await ask(service, newcomer if table == "audit.data_key" else tenant, "retrieve")
    assert is_unavailable(retrieved)


@pytest.mark.parametrize("case", RECORDED)
@pytest.mark.parametrize("failure", ["raise exception 'no'", "perform pg_terminate_backend(pg_backend_pid())"])
async def test_a_commit_that_fails_answers_and_changes_nothing(
    service: Service, tenant: Tenant, case: str, failure: str
) -> None:
    before = await documents_and_keys(service, tenant)
    async with failing_commit(service, failure):
        answer = await ask(service, tenant, case)
    assert is_unavailable(answer), answer.text
    assert await documents_and_keys(service, tenant) == before


async def test_a_first_record_that_is_not_committed_does_not_spoil_the_next(service: Service) -> None:
    newcomer = await service.create_tenant()
    await service.token(newcomer, "analyst")
    async with failing_commit(service, "raise exception 'no'"):
        assert is_unavailable(await ask(service, newcomer, "answer"))
    assert (await ask(service, newcomer, "answer")).status_code == 200


async def test_a_statement_that_takes_too_long_is_given_up(service: Service, tenant: Tenant) -> None:
    await service.token(tenant, "analyst")
    database = service.database.owner_url.rpartition("/")[2]
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute(f"alter role affidavit_runtime in database {database} set statement_timeout = '100ms'")
    await service.services.pool.expire_connections()
    try:
        async with superuser.transaction():
            await superuser.execute("lock table documents.chunk")
            answer = await ask(service, tenant, "retrieve")
    finally:
        await superuser.execute(f"alter role affidavit_runtime in database {database} reset statement_timeout")
        await superuser.close()
        await service.services.pool.expire_connections()
    assert is_unavailable(answer)
    assert (await ask(service, tenant, "retrieve")).status_code == 200


async def becomes_ready(service: Service) -> None:
    """Looks again where the machine took longer than the service waits for its database."""
    async with asyncio.timeout(60):
        while (await service.ready()).status_code != 200:
            await asyncio.sleep(0.1)


async def test_without_a_free_connection_it_says_so_and_then_goes_on(
    database: Database, tenant: Tenant, service: Service, run_secrets: Secrets, model_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(health, "EXHAUSTED_SECONDS", 1.0)
    headers = await service.as_user(tenant, "analyst")
    settings = settings_for(database, run_secrets, model_home, database_pool_size=2, database_timeout=1.0)
    async with running(settings, database) as small:
        await becomes_ready(small)
        async with small.services.pool.acquire(), small.services.pool.acquire():
            refused = await small.client.post("/retrieve", json=QUESTION, headers=headers)
            not_ready = await small.ready()
        assert is_unavailable(refused)
        assert is_unavailable(not_ready)
        async with asyncio.timeout(60):
            while (await small.client.post("/retrieve", json=QUESTION, headers=headers)).status_code != 200:
                await asyncio.sleep(0.1)


async def test_a_burst_beyond_the_pool_is_served(
    database: Database, tenant: Tenant, service: Service, run_secrets: Secrets, model_home: Path
) -> None:
    headers = await service.as_user(tenant, "analyst")
    async with running(settings_for(database, run_secrets, model_home, database_pool_size=2), database) as small:
        burst = (small.client.post("/retrieve", json=QUESTION, headers=headers) for _ in range(20))
        answers = await asyncio.gather(*burst)
    assert {answer.status_code for answer in answers} == {200}


async def test_a_database_that_was_never_migrated_is_not_ready(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path
) -> None:
    empty = Database(**postgres.urls("postgres"))
    async with running(settings_for(empty, run_secrets, model_home), empty) as service:
        answers = [
            await service.ready(),
            await service.client.post("/auth/token", data={"username": "u", "password": "p", "client_id": "t"}),
        ]
    assert [answer.status_code for answer in answers] == [503, 503]


async def test_who_is_cancelled_while_a_connection_cannot_be_prepared_ends(postgres: EmbeddedPostgres) -> None:
    """A driver that swallows it would leave loops that try again for ever, and a service that never stops."""
    without_vectors = f"{postgres.urls('postgres')['runtime_url']}?sslmode=disable"
    pool = await open_pool(without_vectors, size=1, timeout=5)

    async def connect_for_ever() -> None:
        while True:
            with suppress(Unavailable):
                async with reachable(pool, timeout=5):
                    pass

    for waited in range(60):
        trying = asyncio.create_task(connect_for_ever())
        await asyncio.sleep(waited / 2000)
        trying.cancel()
        done, _ = await asyncio.wait([trying], timeout=60)
        assert done, f"cancelled after {waited / 2} ms, it still tries"
    await pool.close()


@pytest.fixture(scope="module")
def mortal(run_secrets: Secrets) -> Iterator[EmbeddedPostgres]:
    """A server of its own, to be stopped."""
    with (
        tempfile.TemporaryDirectory(prefix="affidavit-test-", dir=place(), ignore_cleanup_errors=True) as folder,
        postgres_server(Path(folder) / "data", run_secrets, {"fsync": "off"}) as server,
    ):
        yield server


@pytest.fixture(scope="module")
async def on_mortal(mortal: EmbeddedPostgres, run_secrets: Secrets, model_home: Path) -> AsyncIterator[Service]:
    database = Database(**mortal.urls())
    settings = settings_for(database, run_secrets, model_home, database_timeout=Settings().database_timeout)
    async with running(settings, database) as service, sealing(database):
        yield service


@contextmanager
def stopped(server: EmbeddedPostgres) -> Iterator[None]:
    server.stop("fast")
    try:
        yield
    finally:
        server.start()


@contextmanager
def crashed(server: EmbeddedPostgres) -> Iterator[None]:
    server.stop("immediate")
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: EmbeddedPostgres) -> Iterator[None]:
    """Every process of the server stands still, and its connections stay open."""
    processes = _processes(server)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _processes(server: EmbeddedPostgres) -> list[int]:
    postmaster = int((server.folder / "postmaster.pid").read_text().splitlines()[0])
    status = {path: path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat")}
    children = [int(path.parent.name) for path, fields in status.items() if int(fields[1]) == postmaster]
    return [postmaster, *children]


@pytest.mark.parametrize("away", [stopped, crashed, hanging])
async def test_without_its_database_it_answers_503_in_time_and_recovers_alone(
    on_mortal: Service, mortal: EmbeddedPostgres, away: Any
) -> None:
    """A request waits for a connection and for its first answer, two seconds each: five in all, on a machine with time."""
    assert Settings().database_timeout == 2
    tenant = await on_mortal.create_tenant()
    assert (await on_mortal.post("/ingest", tenant, "editor", CHUNK)).status_code == 201
    await becomes_ready(on_mortal)
    await ask(on_mortal, tenant, "retrieve")

    with away(mortal):
        form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
        requests = {
            "retrieve": ask(on_mortal, tenant, "retrieve"),
            "partner": ask(on_mortal, tenant, "partner"),
            "ingest": ask(on_mortal, tenant, "ingest"),
            "sign in": on_mortal.client.post("/auth/token", data=form),
            "ready": on_mortal.ready(),
        }
        answers = await asyncio.wait_for(asyncio.gather(*requests.values()), 60)
        for name, answer in zip(requests, answers, strict=True):
            assert is_unavailable(answer), (name, answer.text)
        assert (await on_mortal.client.get("/health")).json() == {"status": "ok"}

    await becomes_ready(on_mortal)
    retrieved = await ask(on_mortal, tenant, "retrieve")
    assert [context["doc_id"] for context in retrieved.json()["contexts"]] == ["kept"]


async def test_without_its_database_the_console_says_so_on_a_page(on_mortal: Service, mortal: EmbeddedPostgres) -> None:
    tenant = await on_mortal.create_tenant()
    async with visiting(on_mortal, tenant, "analyst") as client:
        with stopped(mortal):
            form = {"tenant": tenant.slug, "username": "analyst", "password": PASSWORD}
            pages = [await client.get("/console/ask"), await client.post("/console/sign-in", data=form)]
        for page in pages:
            assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
            assert "Nothing was changed. Try again in a moment" in page.text
            assert "set-cookie" not in page.headers
        assert (await client.get("/console/ask")).status_code == 200


async def test_requests_in_flight_when_the_database_stops_get_503(on_mortal: Service, mortal: EmbeddedPostgres) -> None:
    tenant = await on_mortal.create_tenant()
    await on_mortal.token(tenant, "analyst")
    in_flight = [asyncio.create_task(ask(on_mortal, tenant, "retrieve")) for _ in range(30)]
    await asyncio.sleep(0.05)
    with stopped(mortal):
        answers = await asyncio.gather(*in_flight)
    assert [answer.text for answer in answers if answer.status_code not in {200, 503}] == []
    events = await on_mortal.events(tenant, action="retrieval:executed", limit=500)
    shown = {answer.json()["audit_event_id"] for answer in answers if answer.status_code == 200}
    assert shown <= {event["id"] for event in events}

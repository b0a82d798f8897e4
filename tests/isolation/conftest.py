"""Collects what the isolation tests find out, and writes the report when pytest runs with --isolation-report=FOLDER."""

import asyncio
import platform
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest

from backend.embedded_postgres import EmbeddedPostgres
from backend.tenancy import ContextSigner
from tests.isolation import findings as reports
from tests.isolation.attacks import ATTACKS, SHOWN_BY_POSTGRES
from tests.isolation.findings import Findings
from tests.isolation.injection import (
    SECRET,
    Target,
    ingest,
    private_rows,
    rows_for_functions,
)
from tests.service import Secrets, Service, Tenant

_PACKAGES = ("affidavit", "fastapi", "asyncpg", "python-jose", "cryptography", "libpass")
_SHOWN_CHARACTERS = 1_000  # of a statement, some of which are a megabyte
_ATTACK_TEST = "test_injected_sql_reads_changes_and_detects_nothing["


@pytest.fixture(scope="module")
async def witness(service: Service) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, who sees what really is there."""
    connection = await asyncpg.connect(service.database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def target(
    service: Service, tenant: Tenant, other_tenant: Tenant, witness: asyncpg.Connection, run_secrets: Secrets
) -> Target:
    await ingest(service, tenant, "rates", "The savings rate is two percent.")
    await ingest(service, tenant, "own-merger", f"{SECRET} (own).", "restricted")
    await ingest(service, other_tenant, "victim-merger", f"{SECRET} (victim).")
    for someone in ("analyst", "compliance", "admin"):
        for whose in (tenant, other_tenant):
            await service.get("/auth/me", whose, someone)
    for whose in (tenant, other_tenant):
        await service.post("/retrieve", whose, "partner", {"query": "Who acquires whom?"})

    async def one(query: str, *values: object) -> str:
        return str(await witness.fetchval(query, *values))

    collection = "select id from documents.collection where tenant_id = $1 and slug = $2"
    document = "select id from documents.document where tenant_id = $1 and doc_id = $2"
    names = {
        "own": str(tenant.id),
        "default": await one(collection, tenant.id, "default"),
        "restricted": await one(collection, tenant.id, "restricted"),
        "restricted_document": await one(document, tenant.id, "own-merger"),
        "partner_key": await one("select id from identity.api_key where tenant_id = $1", tenant.id),
        "victim": str(other_tenant.id),
        "victim_slug": other_tenant.slug,
        "victim_collection": await one(collection, other_tenant.id, "default"),
        "victim_document": await one(document, other_tenant.id, "victim-merger"),
        "victim_user": str(other_tenant.users["admin"]),
        **await private_rows(witness, tenant),
        **await rows_for_functions(witness, tenant, other_tenant),
        "audit_partition": "audit.event_" + f"{datetime.now(UTC):%Y_%m}",
    }
    foreign = {SECRET, "own-merger", "victim-merger", other_tenant.slug, names["victim"], names["victim_collection"]}
    foreign |= {str(user) for user in other_tenant.users.values()} | {names["victim_document"]}
    await witness.execute("vacuum analyze")
    return Target(tenant, other_tenant, names, frozenset(foreign), ContextSigner(run_secrets.context_key))


@pytest.fixture(scope="session")
def findings(pytestconfig: pytest.Config) -> Findings:
    found: Findings = pytestconfig.stash.setdefault(_FINDINGS, {})
    return found


_FINDINGS = pytest.StashKey[Findings]()
_OUTCOMES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session", autouse=True)
def database_version(postgres: EmbeddedPostgres, findings: Findings) -> None:
    async def ask() -> None:
        connection = await asyncpg.connect(postgres.urls()["owner_url"])
        findings["postgresql"] = await connection.fetchval("show server_version")
        findings["pgvector"] = await connection.fetchval("select extversion from pg_extension where extname = 'vector'")
        await connection.close()

    asyncio.run(ask())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        item.config.stash.setdefault(_OUTCOMES, {})[item.nodeid] = report.outcome
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("isolation_report")
    if folder is None or hasattr(session.config, "workerinput"):
        return
    found = session.config.stash.get(_FINDINGS, {})
    outcomes = session.config.stash.get(_OUTCOMES, {})
    found["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    found["tests"] = {
        "passed": sum(outcome == "passed" for outcome in outcomes.values()),
        "skipped": sum(outcome == "skipped" for outcome in outcomes.values()),
        "failed": sum(outcome not in {"passed", "skipped"} for outcome in outcomes.values()),
    }
    found["versions"] = {
        "PostgreSQL": found.pop("postgresql", "unknown"), "pgvector": found.pop("pgvector", "unknown"),
        "Python": platform.python_version(), **{name: version(name) for name in _PACKAGES},
    }  # fmt: skip
    held = {
        name.split(_ATTACK_TEST)[1].rstrip("]"): outcome for name, outcome in outcomes.items() if _ATTACK_TEST in name
    }
    found["attacks"] = [
        {
            "name": attack.name, "role": attack.role, "held": held[key] == "passed",
            "statements": [statement[:_SHOWN_CHARACTERS] for statement in attack.statements],
        }
        for attack in ATTACKS
        if (key := attack.name.replace(" ", "_")) in held
    ]  # fmt: skip
    found["shown_by_postgres"] = list(SHOWN_BY_POSTGRES)
    reports.write(found, Path(folder))

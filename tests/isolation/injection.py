"""Statements that somebody injects: connections on which they run, and what they are aimed at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from uuid_utils.compat import uuid7

from backend.database import Connection
from backend.identity.callers.caller import Caller, Origin
from backend.review.events.service import first_id_at
from backend.tenancy import PLATFORM_TENANT, ContextSigner
from tests.service import Service, Tenant

SCHEMAS = (
    "('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs', 'answers', 'evaluation', 'webhooks',"
    " 'sources')"
)
SECRET = "Project Nightingale acquires Harbor Mutual"  # in the victim's documents and in the attacker's restricted ones


@dataclass(frozen=True)
class Target:
    """What the attacks are aimed at."""

    tenant: Tenant
    victim: Tenant
    names: dict[str, str]
    markers: frozenset[str]
    signer: ContextSigner  # only to sign what an attacker could have captured


async def ingest(service: Service, tenant: Tenant, doc_id: str, text: str, collection: str = "default") -> None:
    chunk = {"doc_id": doc_id, "chunk_text": text, "source_type": "memo", "collection": collection}
    answer = await service.post("/ingest", tenant, "editor", chunk)
    assert answer.status_code == 201, answer.text


async def private_rows(witness: asyncpg.Connection, tenant: Tenant) -> dict[str, str]:
    """A text that was recorded ten minutes ago, and a colleague who signs in through a provider."""
    long_ago = first_id_at(datetime.now(UTC) - timedelta(minutes=10))
    key, provided = uuid7(), uuid7()
    await witness.execute(
        "insert into audit.data_key (tenant_id, id, subject_id, month, wrapped) values ($1, $2, $2, '2020-01-01', '')",
        tenant.id, key,
    )  # fmt: skip
    await witness.execute(
        "insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext) values ($1, $2, 'query', $3, '')",
        tenant.id, long_ago, key,
    )  # fmt: skip
    await witness.execute(
        "insert into identity.\"user\" (tenant_id, id, username, display_name) values ($1, $2, 'provided', '')",
        tenant.id, provided,
    )  # fmt: skip
    await witness.execute(
        "insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, 'compliance')", tenant.id, provided
    )
    await witness.execute(
        "insert into audit.erasure (tenant_id, id, subject_id, legal_basis, requested_by) values ($1, $2, $2, 'GDPR 17', $3)",
        tenant.id, key, tenant.users["privacy"],
    )  # fmt: skip
    await witness.execute(
        "insert into audit.hold (tenant_id, id, reason, placed_by) values ($1, $2, 'a lawsuit', $3)",
        tenant.id, uuid7(), tenant.users["compliance"],
    )  # fmt: skip
    return {"earlier_event": str(long_ago), "data_key": str(key), "provided_user": str(provided)}


async def rows_for_functions(witness: asyncpg.Connection, tenant: Tenant, victim: Tenant) -> dict[str, str]:
    """What the functions would give away or change if they could be misled: jobs, counts, sessions, terms, events."""
    for whose in (tenant, victim):
        await witness.executemany(
            "insert into jobs.job (tenant_id, id, kind, requested_by, request_id, parameters, status, retryable, finished_at)"
            " values ($1, $2, 'file:ingest', $3, 'x', '{}', $4, $4 = 'failed', now() - interval '1 day')",
            [(whose.id, uuid7(), whose.users["editor"], status) for status in ("queued", "failed", "succeeded")],
        )  # fmt: skip
    await witness.execute(
        "insert into identity.request_count (tenant_id, subject, seconds, started_at, requests) values ($1, $2, 60, now(), 5)",
        PLATFORM_TENANT, "sign_in:@203.0.113.7",
    )  # fmt: skip
    file_key = uuid7()
    await witness.execute(
        "insert into storage.data_key (tenant_id, id, wrapped) values ($1, $2, '')", victim.id, file_key
    )
    session = "select id from identity.session where tenant_id = $1 and user_id = $2 limit 1"
    event = "select id from audit.event where tenant_id = $1 order by id limit 1"
    terms = await witness.fetchval(
        "select array_agg(distinct d) from documents.chunk, unnest(retrieval.dimensions(sparse)) d where text like $1",
        SECRET + "%",
    )
    assert terms
    return {
        "victim_session": str(await witness.fetchval(session, victim.id, victim.users["analyst"])),
        "other_session": str(await witness.fetchval(session, tenant.id, tenant.users["editor"])),
        "victim_event": str(await witness.fetchval(event, victim.id)),
        "victim_data_key": str(
            await witness.fetchval("select id from audit.data_key where tenant_id = $1 limit 1", victim.id)
        ),
        "victim_file_key": str(file_key),
        "month": f"{datetime.now(UTC):%Y-%m}-01",
        "own_event": str(await witness.fetchval(event, tenant.id)),
        "secret_terms": f"array{terms}",
        "question": f"'{{{','.join(f'{term + 1}:1' for term in terms)}}}/1000000000'",
    }


async def acting(service: Service, tenant: Tenant, role: str) -> Caller:
    credential = (await service.as_user(tenant, role))["Authorization"].removeprefix("Bearer ")
    caller: Caller = await service.services.resolver.resolve(credential, Origin(str(uuid7())))
    return caller


@asynccontextmanager
async def injected(service: Service, caller: Caller) -> AsyncIterator[Connection]:
    """A connection of the runtime role in a transaction that is bound to the attacker."""
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, caller.claims())
            yield connection
    finally:
        await connection.close()

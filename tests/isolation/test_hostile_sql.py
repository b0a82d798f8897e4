"""Arbitrary SQL, run as the runtime role in a tenant's own bound transaction, reaches nothing that is not the caller's."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.database import Connection
from backend.identity.callers.caller import Caller, Origin
from backend.review.events.service import first_id_at
from backend.tenancy import PLATFORM_TENANT, Claims, ContextSigner
from tests.conftest import Secrets, Service, Tenant
from tests.isolation.attack import Attack
from tests.isolation.attacks import ATTACKS

pytestmark = pytest.mark.anyio

SCHEMAS = "('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs', 'answers')"
SECRET = "Project Nightingale acquires Harbor Mutual"  # in the victim's documents and in the attacker's restricted ones

# An attack that PostgreSQL does not understand shows nothing.
MISWRITTEN = (
    asyncpg.UndefinedFunctionError, asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError, asyncpg.AmbiguousColumnError,
    asyncpg.AmbiguousParameterError, asyncpg.DatatypeMismatchError, asyncpg.UndefinedObjectError, asyncpg.PostgresSyntaxError,
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What the attacks are aimed at."""

    tenant: Tenant
    victim: Tenant
    names: dict[str, str]
    markers: frozenset[str]
    signer: ContextSigner  # only to sign what an attacker could have captured


async def _ingest(service: Service, tenant: Tenant, doc_id: str, text: str, collection: str = "default") -> None:
    chunk = {"doc_id": doc_id, "chunk_text": text, "source_type": "memo", "collection": collection}
    answer = await service.post("/ingest", tenant, "editor", chunk)
    assert answer.status_code == 201, answer.text


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
    await _ingest(service, tenant, "rates", "The savings rate is two percent.")
    await _ingest(service, tenant, "own-merger", f"{SECRET} (own).", "restricted")
    await _ingest(service, other_tenant, "victim-merger", f"{SECRET} (victim).")
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
        **await _private_rows(witness, tenant),
        **await _rows_for_functions(witness, tenant, other_tenant),
        "audit_partition": "audit.event_" + f"{datetime.now(UTC):%Y_%m}",
    }
    foreign = {SECRET, "own-merger", "victim-merger", other_tenant.slug, names["victim"], names["victim_collection"]}
    foreign |= {str(user) for user in other_tenant.users.values()} | {names["victim_document"]}
    await witness.execute("vacuum analyze")
    return Target(tenant, other_tenant, names, frozenset(foreign), ContextSigner(run_secrets.context_key))


async def _private_rows(witness: asyncpg.Connection, tenant: Tenant) -> dict[str, str]:
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


async def _rows_for_functions(witness: asyncpg.Connection, tenant: Tenant, victim: Tenant) -> dict[str, str]:
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


async def _caller(service: Service, tenant: Tenant, role: str) -> Caller:
    credential = (await service.as_user(tenant, role))["Authorization"].removeprefix("Bearer ")
    caller: Caller = await service.services.resolver.resolve(credential, Origin(str(uuid7())))
    return caller


@asynccontextmanager
async def _injected(service: Service, caller: Caller) -> AsyncIterator[Connection]:
    """A connection of the runtime role in a transaction that is bound to the attacker."""
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, caller.claims())
            yield connection
    finally:
        await connection.close()


async def _fill_in(connection: Connection, attack: Attack, caller: Caller, target: Target) -> list[str]:
    own = await connection.fetchval("select current_setting('app.context')")
    _, code, claims = own.split(".", 2)
    victims = Claims(
        request_id="captured", tenant_id=target.victim.id, principal_id=target.victim.users["analyst"],
        permissions=caller.permissions, readable=[UUID(target.names["victim_collection"])], presented={"digest": "00" * 32},
    )  # fmt: skip
    forged = json.dumps({**json.loads(claims), "tenant": target.names["victim"]})
    event_id = uuid7()
    envelope = {
        "id": str(event_id), "tenant": str(caller.tenant_id), "principal": {"id": str(caller.principal_id)},
        "time": "2026-01-01T00:00:00Z", "action": "audit:read", "outcome": "succeeded", "request_id": caller.request_id,
    }  # fmt: skip
    others = {
        "me": str(caller.principal_id),
        "other_user": str(target.tenant.users["approver"]),
        "own_context": own, "victim_context": target.signer.sign(victims, backend=1),
        "claims_with_digest": json.dumps({**json.loads(claims), "presented": {"digest": "00" * 32}}),
        "own_claims": claims, "own_code": code, "own_code_upper": code.upper(),
        "forged_claims": forged,
        "event_id": str(event_id),
        "victim_envelope": json.dumps({**envelope, "tenant": target.names["victim"]}),
        "colleague_envelope": json.dumps({**envelope, "principal": {"id": str(target.tenant.users["approver"])}}),
        "other_request_envelope": json.dumps({**envelope, "request_id": "another"}),
    }  # fmt: skip
    return [statement.format(**target.names, **others) for statement in attack.statements]


async def _everything(witness: asyncpg.Connection, target: Target) -> dict[str, str]:
    """A digest of each table: all rows of the attacker's tenant, of the victim and of no tenant."""
    tables = await witness.fetch(
        "select attrelid::regclass::text as name from pg_attribute join pg_class c on c.oid = attrelid"
        " join pg_namespace n on n.oid = relnamespace where attname = 'tenant_id' and relkind in ('r', 'p') and not relispartition"
        f" and nspname in {SCHEMAS}"
    )
    digest = "select '{0}', md5(string_agg(t::text, '|' order by t::text)) from {0} t where tenant_id = any ($1)"
    watched = [target.victim.id, target.tenant.id, PLATFORM_TENANT]
    digests = await witness.fetch(" union all ".join(digest.format(row["name"]) for row in tables), watched)
    return {name: digest for name, digest in digests}  # noqa: C416 - a record is no pair to dict()


async def _try(connection: Connection, statements: list[str]) -> tuple[str, int, int]:
    """Runs the statements, each in a savepoint; returns all that came back, the number of rows, and of refusals."""
    heard: list[str] = []
    rows = refusals = 0
    for statement in statements:
        try:
            async with connection.transaction():
                found = await connection.fetch(statement)
        except MISWRITTEN:
            raise
        except asyncpg.PostgresError as error:
            refusals += 1
            heard.append(f"{error} {getattr(error, 'detail', '')} {getattr(error, 'hint', '')}")
        else:
            rows += len(found)
            heard.append(str([tuple(row) for row in found]))
    return "\n".join(heard), rows, refusals


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "_"))
async def test_injected_sql_reads_changes_and_detects_nothing(
    service: Service, target: Target, witness: asyncpg.Connection, attack: Attack
) -> None:
    caller = await _caller(service, target.tenant, attack.role)
    before = await _everything(witness, target)
    async with _injected(service, caller) as connection:
        statements = await _fill_in(connection, attack, caller, target)
        heard, rows, refusals = await _try(connection, statements)
    known = {marker for marker in target.markers if any(marker in statement for statement in statements)}
    assert not [marker for marker in target.markers - known if marker in heard], heard
    if attack.refused:
        assert refusals, f"nothing was refused: {heard}"
    else:
        assert not rows, heard
    assert await _everything(witness, target) == before
    after = await _caller(service, target.tenant, attack.role)
    assert (after.permissions, after.readable, after.writable) == (caller.permissions, caller.readable, caller.writable)


def test_there_are_at_least_forty_attacks_and_no_two_are_alike() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 40


async def test_the_attacker_does_see_its_own_rows_so_that_seeing_nothing_means_something(
    service: Service, target: Target
) -> None:
    caller = await _caller(service, target.tenant, "analyst")
    async with _injected(service, caller) as connection:
        assert await connection.fetchval("select count(*) from documents.chunk") == 1
        assert await connection.fetchval("select count(*) from documents.collection") == 1


async def test_a_captured_context_is_refused_on_another_connection(service: Service, target: Target) -> None:
    caller = await _caller(service, target.victim, "analyst")
    thief = await _caller(service, target.tenant, "analyst")
    async with _injected(service, caller) as theirs, _injected(service, thief) as connection:
        captured = await theirs.fetchval("select current_setting('app.context')")
        await connection.execute("select set_config('app.context', $1, true)", captured)
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="another connection"):
            await connection.fetch("select * from documents.chunk")


async def test_a_captured_context_is_refused_after_its_expiry(
    service: Service, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tenancy.LIFETIME_SECONDS", 0)
    caller = await _caller_without_time(service, target)
    async with _injected(service, caller) as connection:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="expired"):
            await connection.fetch("select * from documents.chunk")


async def _caller_without_time(service: Service, target: Target) -> Caller:
    return Caller(
        tenant_id=target.tenant.id, tenant_slug=target.tenant.slug, principal_id=target.tenant.users["analyst"],
        kind="user", name="analyst", request_id=str(uuid7()),
    )  # fmt: skip


async def test_a_context_that_was_signed_for_longer_than_a_minute_is_refused(
    service: Service, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tenancy.LIFETIME_SECONDS", 3600)
    caller = await _caller_without_time(service, target)
    async with _injected(service, caller) as connection:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="expired"):
            await connection.fetch("select * from documents.chunk")


async def test_a_context_from_an_earlier_transaction_of_its_connection_is_of_its_own_caller_still(
    service: Service, target: Target
) -> None:
    connection = await asyncpg.connect(service.database.runtime_url)
    analyst, admin = await _caller(service, target.tenant, "analyst"), await _caller(service, target.victim, "admin")
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, analyst.claims())
            captured = await connection.fetchval("select current_setting('app.context')")
        async with connection.transaction():
            await service.services.tenancy.bind(connection, admin.claims())
            await connection.execute("select set_config('app.context', $1, true)", captured)
            bound = await connection.fetchrow("select tenancy.tenant_id(), tenancy.principal_id()")
            assert tuple(bound) == (analyst.tenant_id, analyst.principal_id)
            assert not await connection.fetch('select * from identity."user" where id <> $1', analyst.principal_id)
    finally:
        await connection.close()


async def test_no_context_outlives_its_transaction(service: Service, target: Target) -> None:
    caller = await _caller(service, target.tenant, "analyst")
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        async with connection.transaction():
            await service.services.tenancy.bind(connection, caller.claims())
            assert await connection.fetchval("select count(*) from documents.chunk")
        assert await connection.fetchval("select current_setting('app.context', true)") == ""
        assert not await connection.fetchval("select count(*) from documents.chunk")
    finally:
        await connection.close()


async def test_the_context_never_stands_in_the_text_of_a_statement(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    caller = await _caller(service, target.tenant, "analyst")
    async with _injected(service, caller) as connection:
        signed = await connection.fetchval("select current_setting('app.context')")
        texts = await witness.fetch("select query from pg_stat_activity where usename = 'affidavit_runtime'")
        prepared = await connection.fetch("select statement from pg_prepared_statements")
    assert texts
    assert not [row for row in (*texts, *prepared) if signed[:40] in row[0]]


async def test_a_statement_left_under_the_drivers_name_does_not_run_for_the_next_caller(
    service: Service, target: Target
) -> None:
    """The pool throws such a connection away; otherwise the trap would be handed the next caller's signed context."""
    pool = service.services.pool
    async with pool.acquire() as connection:
        trapped = connection.get_server_pid()
        await connection.fetchval("select $1::text", "cached")
        name = await connection.fetchval("select name from pg_prepared_statements where statement = 'select $1::text'")
        await connection.execute(f"deallocate {name}")
        await connection.execute(f"prepare {name} (text) as select 'trap: ' || $1")
        assert await connection.fetchval("select $1::text", "cached") == "trap: cached"
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.release(connection)
    for _ in range(20):
        async with pool.acquire() as connection:
            assert connection.get_server_pid() != trapped


async def test_what_a_request_leaves_on_its_session_is_gone_for_the_next(service: Service) -> None:
    pool = service.services.pool
    async with pool.acquire() as connection:
        first = connection.get_server_pid()
        await connection.execute("set search_path = pg_temp; set statement_timeout = 0; listen gossip;"
                                 " select pg_advisory_lock(42); set app.context = 'left'")  # fmt: skip
    async with pool.acquire() as connection:
        assert connection.get_server_pid() == first
        row = await connection.fetchrow(
            "select current_setting('search_path') as path, current_setting('statement_timeout') as timeout,"
            " current_setting('app.context', true) as context, array(select pg_listening_channels()) as channels"
        )
        assert tuple(row) == ("pg_catalog, public", "30s", "", [])


async def test_the_service_notifies_nobody_of_what_a_tenant_does(service: Service, target: Target) -> None:
    heard: list[object] = []
    connection = await asyncpg.connect(service.database.runtime_url)
    try:
        for channel in ("ch_pgqueuer", "documents", "audit", "retrieval", "identity", "tenancy"):
            await connection.add_listener(channel, lambda *message: heard.append(message))
        await _ingest(service, target.victim, f"quiet-{uuid4()}", "Nobody hears of this.")
        await service.post("/retrieve", target.victim, "analyst", {"query": "What is heard?"})
        await connection.fetchval("select 1")
    finally:
        await connection.reset()
        await connection.close()
    assert not [message for message in heard if any(marker in str(message) for marker in target.markers)]


async def test_another_tenants_values_make_no_difference_that_explain_would_show(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    """For each column that the runtime role may compare: a value that another tenant has, and one that nobody has."""
    caller = await _caller(service, target.tenant, "admin")
    columns = await witness.fetch(
        f"""
        select a.attrelid::regclass::text as table, quote_ident(a.attname) as column, format_type(a.atttypid, a.atttypmod) as type
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in {SCHEMAS} and c.relkind in ('r', 'p')
          and not c.relispartition and a.attnum > 0 and not a.attisdropped
          and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'integer'::regtype, 'bigint'::regtype, 'timestamptz'::regtype)
          and has_column_privilege('affidavit_runtime', a.attrelid, a.attnum, 'select')
          and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname in ('tenant_id'))
        """
    )
    compared = 0
    async with _injected(service, caller) as connection:
        for column in columns:
            table, name, kind = column["table"], column["column"], column["type"]
            pair = await witness.fetchrow(
                f"""
                select v.taken::text, v.free::text
                from (select {name} as taken, {NEIGHBOURS[kind].format(name)} as free from {table} where tenant_id = $1) v
                where v.taken is not null and not exists (select from {table} where tenant_id = $2 and {name} in (v.taken, v.free))
                  and not exists (select from {table} where tenant_id = $1 and {name} = v.free)
                limit 1
                """,
                target.victim.id, target.tenant.id,
            )  # fmt: skip
            if pair is None:
                continue
            for condition in CONDITIONS:
                for setting in ("enable_seqscan", "enable_bitmapscan", "enable_indexscan"):
                    what = f"{table} where {condition.format(name, '{0}')}"
                    for _ in range(3):
                        plans = [
                            await _explain(connection, what, pair[value], kind, setting) for value in ("taken", "free")
                        ]
                        # A scan marks index entries of own rows that it finds dead, and the next passes over them: such a
                        # difference is gone the next time, while one that another tenant's row makes would stay.
                        if plans[0] == plans[1]:
                            break
                    assert plans[0] == plans[1], f"{table}.{name} {condition}"
                    compared += 1
    assert compared > 200


# The next value: whatever finds, counts or passes over a row that has the one would not do so for the other.
NEIGHBOURS = {
    "uuid": "(left({0}::text, 35) || translate(right({0}::text, 1), '0123456789abcdef', '123456789abcdef0'))::uuid",
    "text": "{0} || '~'",
    "integer": "{0} + 1",
    "bigint": "{0} + 1",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
}
CONDITIONS = (
    "{0} = {1}", "({0} = {1}) is true", "{0} in ({1}, {1})", "{0} <= {1}", "{0} >= {1}", "{0} between {1} and {1}",
    "({0} = {1}) is not false and tenant_id is not null",
)  # fmt: skip


async def _explain(connection: Connection, what: str, value: str, kind: str, disabled: str) -> list[str]:
    literal = "'" + value.replace("'", "''") + f"'::{kind}"
    await connection.execute(f"set local {disabled} = off")
    rows = await connection.fetch(
        "explain (analyze, buffers off, timing off, summary off) select 1 from " + what.format(literal)
    )
    await connection.execute(f"set local {disabled} = on")
    return [re.sub(r"'.*'|(?<=[=<>] )\d+", "VALUE", row[0]) for row in rows]


async def test_a_write_of_another_tenant_shows_no_more_than_that_a_page_was_written(
    service: Service, target: Target, witness: asyncpg.Connection
) -> None:
    """Rows of tenants share pages, and an index-only scan must visit those that were written since they were vacuumed."""
    caller = await _caller(service, target.tenant, "admin")

    await witness.execute("vacuum analyze documents.collection")
    async with _injected(service, caller) as connection:

        async def after_writing_by(writer: UUID) -> list[str]:
            await witness.execute("update documents.collection set name = name where tenant_id = $1", writer)
            what = "documents.collection where tenant_id is not null and id <> {0}"
            return await _explain(connection, what, target.names["victim_collection"], "uuid", "enable_seqscan")

        await connection.execute("set local enable_bitmapscan = off")
        nobody, others, own = [
            await after_writing_by(writer) for writer in (uuid4(), target.victim.id, target.tenant.id)
        ]
    assert any("Index Only Scan" in line for line in nobody), nobody
    assert nobody != others == own


async def test_no_column_of_a_tenants_table_has_statistics_that_span_tenants(
    target: Target, witness: asyncpg.Connection
) -> None:
    kept = await witness.fetch(f"select schemaname, tablename, attname from pg_stats where schemaname in {SCHEMAS}")
    assert target.markers
    assert kept == []


async def test_no_index_that_the_runtime_role_can_ask_spans_tenants(
    target: Target, witness: asyncpg.Connection
) -> None:
    """Otherwise `EXPLAIN ANALYZE` counts what the policy removed from it: an oracle for other tenants' values."""
    spanning = await witness.fetch(
        f"""
        select i.indexrelid::regclass::text from pg_index i
        join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where n.nspname in {SCHEMAS}
          and a.attname is distinct from 'tenant_id'
          and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
          and (coalesce(pg_get_expr(c.relpartbound, c.oid), '') not like 'FOR VALUES IN%'
            or pg_get_expr(c.relpartbound, c.oid) like '%00000000-0000-0000-0000-000000000000%')
          and (a.attname is null or has_column_privilege('affidavit_runtime', c.oid, a.attnum, 'select'))
        """
    )
    assert target.markers
    assert spanning == []


async def test_every_policy_of_the_runtime_role_starts_with_the_tenant(
    witness: asyncpg.Connection, target: Target
) -> None:
    """A policy that only reaches the tenant through an `or` leaves an index to the attacker's conditions alone."""
    policies = await witness.fetch(
        """
        select p.polrelid::regclass::text || ' ' || p.polname as name,
          pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as checked
        from pg_policy p where 'affidavit_runtime'::regrole = any (p.polroles)
          and exists (select from pg_attribute t where t.attrelid = p.polrelid and t.attname = 'tenant_id')
        """
    )
    assert len(policies) > 30
    tenant_first = "(tenant_id = ( SELECT tenancy.tenant_id() AS tenant_id))"
    at_once = "((tenant_id, COALESCE((principal_id)::text, ''::text), request_id) = ( SELECT ((c.c ->> 'tenant'::text))::uuid AS uuid,"
    loose = [
        row["name"]
        for row in policies
        for text in (row["using"], row["checked"])
        if text is not None and not (text == tenant_first or text.startswith((f"({tenant_first} AND ", at_once)))
    ]
    assert target.markers
    assert loose == []

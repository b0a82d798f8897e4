"""Arbitrary SQL, run as the runtime role in a tenant's own bound transaction, reaches nothing that is not the caller's."""

import json
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.tenancy import PLATFORM_TENANT, Claims
from tests.isolation.attack import Attack
from tests.isolation.attacks import ATTACKS
from tests.isolation.injection import (
    SCHEMAS,
    Target,
    acting,
    injected,
)
from tests.service import Service

pytestmark = pytest.mark.anyio

# An attack that PostgreSQL does not understand shows nothing.
MISWRITTEN = (
    asyncpg.UndefinedFunctionError, asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError, asyncpg.AmbiguousColumnError,
    asyncpg.AmbiguousParameterError, asyncpg.DatatypeMismatchError, asyncpg.UndefinedObjectError, asyncpg.PostgresSyntaxError,
)  # fmt: skip


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
    caller = await acting(service, target.tenant, attack.role)
    before = await _everything(witness, target)
    async with injected(service, caller) as connection:
        statements = await _fill_in(connection, attack, caller, target)
        heard, rows, refusals = await _try(connection, statements)
    known = {marker for marker in target.markers if any(marker in statement for statement in statements)}
    assert not [marker for marker in target.markers - known if marker in heard], heard
    if attack.refused:
        assert refusals, f"nothing was refused: {heard}"
    else:
        assert not rows, heard
    assert await _everything(witness, target) == before
    after = await acting(service, target.tenant, attack.role)
    assert (after.permissions, after.readable, after.writable) == (caller.permissions, caller.readable, caller.writable)


def test_there_are_at_least_forty_attacks_and_no_two_are_alike() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 40


async def test_the_attacker_does_see_its_own_rows_so_that_seeing_nothing_means_something(
    service: Service, target: Target
) -> None:
    caller = await acting(service, target.tenant, "analyst")
    async with injected(service, caller) as connection:
        assert await connection.fetchval("select count(*) from documents.chunk") == 1
        assert await connection.fetchval("select count(*) from documents.collection") == 1

"""Keys are exchanged while the service answers: nothing fails meanwhile, and what was written before is read afterwards."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from backend.audit import key_encryption
from backend.audit.search_words import SearchWords
from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.sign_in.seal import client_secret_seal, second_factor_seal
from backend.operation import rehashing, rotation
from backend.operation.rotation import Wrapping, add_context_key, kinds, retire_context_key
from backend.operation.service import OperatorError, operator
from backend.settings import Settings, required, search_secrets
from backend.storage.service import FileKeys
from backend.tenancy import ContextSigner
from tests.factories import ingest
from tests.service import Database, Secrets, Service, Tenant, cloned_database, running, settings_for
from tests.serving import affidavit

pytestmark = pytest.mark.anyio

QUESTION = "When do zeppelin wires leave?"


def fresh() -> str:
    return secrets.token_urlsafe(48)


async def written(service: Service, tenant: Tenant) -> str:
    """A chunk, a file and a retrieval; returns the event of that."""
    await ingest(service, tenant, "d", "Zeppelin wires leave before noon.")
    files, form = {"file": ("a.txt", fresh().encode(), "text/plain")}, {"doc_id": fresh(), "source_type": "policy"}
    headers = await service.as_user(tenant, "editor")
    assert (await service.client.post("/documents", files=files, data=form, headers=headers)).status_code == 202
    found = await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})
    assert found.status_code == 200
    event: str = found.json()["audit_event_id"]
    return event


async def revealed(service: Service, tenant: Tenant, event: str) -> Any:
    answer = await service.get(f"/audit/events/{event}", tenant, "compliance", reveal=True, reason="a test")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def own_database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database whose keys a test may exchange."""
    async with cloned_database(postgres) as cloned:
        yield cloned


async def test_an_earlier_key_reads_until_everything_is_wrapped_anew(
    own_database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    database = own_database
    async with running(settings_for(database, run_secrets, model_home), database) as service:
        tenant = await service.create_tenant()
        event = await written(service, tenant)
    old, new = run_secrets.payload_key, fresh()
    other = settings_for(database, run_secrets, model_home).model_copy(
        update={"payload_key": SecretStr(new), "payload_other_keys": [SecretStr(old)], "search_key": SecretStr(old)}
    )
    async with running(other, database) as exchanged:
        assert QUESTION in json.dumps(await revealed(exchanged, tenant, event))
        await written(exchanged, tenant)
    owner = await asyncpg.connect(database.owner_url)
    try:
        async with key_encryption.opened(other, [new, old]) as texts:
            seals = client_secret_seal(new, old), second_factor_seal(new, old)
            all_kinds = kinds(texts, FileKeys(new, old), *seals)
            first = {kind.name: await rotation.rewrap(owner, kind, lambda _: None) for kind in all_kinds}
            again = {kind.name: await rotation.rewrap(owner, kind, lambda _: None) for kind in all_kinds}
        assert first["keys of texts"][Wrapping.EARLIER] >= 1
        assert first["keys of files"][Wrapping.EARLIER] >= 1
        assert all(found[Wrapping.EARLIER] == found[Wrapping.UNKNOWN] == 0 for found in again.values())
    finally:
        await owner.close()
    alone = other.model_copy(update={"payload_other_keys": []})
    async with running(alone, database) as exchanged:  # the old key is gone
        assert QUESTION in json.dumps(await revealed(exchanged, tenant, event))
        assert await written(exchanged, tenant)
        found = await exchanged.events(tenant, q="zeppelin", reason="a test")
        assert event in {one["id"] for one in found}


async def rehashed(settings: Settings, database: Database) -> rehashing.Rehashed:
    context_key, payload_key = (required(key, "KEY") for key in (settings.context_key, settings.payload_key))
    urls = (database.owner_url, database.runtime_url)
    async with rehashing.opened(settings, *urls, context_key, payload_key, search_secrets(settings)) as opened:
        return await opened.run(lambda _: None)


async def words_of(settings: Settings, database: Database) -> dict[str, int]:
    owner = await asyncpg.connect(database.owner_url)
    try:
        return await rehashing.counted(owner, SearchWords(*search_secrets(settings)))
    finally:
        await owner.close()


async def test_a_text_is_found_by_its_words_while_a_search_key_takes_anothers_place(
    own_database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    """By processes of every two steps beside each other; what the old key left is gone at the end."""
    database, (old, new) = own_database, (SecretStr(fresh()), SecretStr(fresh()))
    plain = settings_for(database, run_secrets, model_home)
    before, learnt, writing, over = (
        plain.model_copy(update={"search_key": first, "search_other_keys": others})
        for first, others in ((old, []), (old, [new]), (new, [old]), (new, []))
    )
    events: list[str] = []
    async with AsyncExitStack() as stack:
        tenant = None
        for earlier, settings in ((before, before), (before, learnt), (learnt, writing), (writing, over)):
            processes = [await stack.enter_async_context(running(each, database)) for each in (earlier, settings)]
            tenant = tenant or await processes[0].create_tenant()
            if settings is writing:  # no process of before is left
                assert (await words_of(writing, database))["not_found"] >= 2
                assert (await rehashed(learnt, database)).changed >= 2
            events += [await written(process, tenant) for process in processes]
            for process in processes:
                found = await process.events(tenant, q="zeppelin wires", reason="a test")
                missed = set(events) - {one["id"] for one in found}
                assert not missed
    counted = await words_of(writing, database)
    assert counted["by_others"] > counted["not_found"] == 0
    assert (await rehashed(over, database)).changed > 0
    counted = await words_of(writing, database)
    assert (counted["by_others"], counted["not_found"]) == (0, 0)
    assert await rehashed(over, database) == rehashing.Rehashed(current=counted["found"])
    owner = await asyncpg.connect(database.superuser_url)
    stored = await owner.fetchval(
        "select count(*) from audit.payload_term t where not exists (select from audit.payload p where p.tenant_id = t.tenant_id"
        " and p.event_id = t.event_id and p.name = t.name and t.term = any (p.terms))"
    )
    await owner.close()
    assert stored == 0


async def test_who_serves_hashes_no_words_anew(database: Database) -> None:
    connection = await asyncpg.connect(database.runtime_url)
    try:
        for statement in ("update audit.payload set terms = null", "delete from audit.payload_term"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_what_an_unknown_key_wrapped_is_counted_and_left(
    own_database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    database, settings = own_database, settings_for(own_database, run_secrets, model_home)
    unknown = fresh()
    async with running(settings.model_copy(update={"payload_key": SecretStr(unknown)}), database) as service:
        await written(service, await service.create_tenant())
    owner = await asyncpg.connect(database.owner_url)
    try:
        async with key_encryption.opened(settings, [fresh()]) as texts:
            kind = kinds(texts, FileKeys(fresh()), client_secret_seal(fresh()), second_factor_seal(fresh()))[0]
            assert (await rotation.rewrap(owner, kind, lambda _: None))[Wrapping.UNKNOWN] >= 1
    finally:
        await owner.close()


@pytest.mark.parametrize("table", ["audit.data_key", "storage.data_key"])
async def test_who_serves_wraps_nothing_anew(table: str, database: Database) -> None:
    connection = await asyncpg.connect(database.runtime_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"update {table} set wrapped = wrapped")
    finally:
        await connection.close()


async def test_the_last_context_key_cannot_be_retired(
    service: Service, tenant: Tenant, database: Database, run_secrets: Secrets
) -> None:
    only, _, _ = ContextSigner(run_secrets.context_key).padded_key()
    async with operator(database.owner_url) as acting:
        with pytest.raises(OperatorError, match="beside another"):
            await retire_context_key(acting.connection, only)
        added = await add_context_key(acting.connection, ContextSigner(fresh()))
    async with operator(database.owner_url) as acting:
        await retire_context_key(acting.connection, added)
        assert [key.id for key in await rotation.context_keys(acting.connection) if not key.retired_at] == [only]
    assert (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).status_code == 200


async def test_a_migration_with_a_wrong_context_key_leaves_the_live_one(
    service: Service, tenant: Tenant, database: Database
) -> None:
    done = await asyncio.to_thread(
        affidavit, "migrate", settings={"AFFIDAVIT_DATABASE_URL": database.owner_url, "AFFIDAVIT_CONTEXT_KEY": fresh()}
    )
    assert done.returncode == 1
    assert "affidavit context-key add" in done.stderr.replace("\n", " ")
    assert (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).status_code == 200


async def test_an_operator_exchanges_keys_step_by_step_from_a_shell(
    own_database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    async with running(settings_for(own_database, run_secrets, model_home), own_database) as service:
        await written(service, await service.create_tenant())
    new = Secrets()
    environment = {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_DATABASE_URL": own_database.owner_url,
        "AFFIDAVIT_RUNTIME_DATABASE_URL": own_database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": new.context_key, "AFFIDAVIT_PAYLOAD_KEY": new.payload_key,
        "AFFIDAVIT_PAYLOAD_OTHER_KEYS": json.dumps([run_secrets.payload_key]),
        "AFFIDAVIT_SEARCH_KEY": run_secrets.payload_key, "AFFIDAVIT_JWT_PRIVATE_KEY": new.jwt_private_key,
    }  # fmt: skip
    old, _, _ = ContextSigner(run_secrets.context_key).padded_key()
    for command in (
        ["context-key", "add"],
        ["keys", "rewrap"],
        ["keys", "status", "--json"],
        ["context-key", "retire", old],
    ):
        done = await asyncio.to_thread(affidavit, *command, settings=environment)
        assert done.returncode == 0, (command, done.stderr)
        if "--json" in command:
            wrapped = json.loads(done.stdout)["wrapped"].values()
            assert {kind["earlier"] + kind["unknown"] for kind in wrapped} == {0}

"""Data keys are wrapped here, by AWS KMS or by Vault, and without whoever wraps them nothing is answered unaudited."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import boto3
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from moto.server import ThreadedMotoServer
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import KeyEncryption, KeyName, LocalKeyEncryption, WrappedKeyInvalid, opened
from backend.embedded_postgres import EmbeddedPostgres
from backend.errors import AuditUnavailable
from backend.operation.rotation import Wrapping, all_wrapped, rewrap
from backend.settings import Settings
from tests.audit.vault_server import TransitServer, transit_server
from tests.service import Database, Secrets, Service, Tenant, cloned_database, running, settings_for

pytestmark = pytest.mark.anyio

TOKEN = "hvs.test-token"


@pytest.fixture(scope="module")
def kms_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def aws(kms_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    key = boto3.client("kms", endpoint_url=kms_url).create_key()["KeyMetadata"]["Arn"]
    return Settings(aws_kms_key=key, aws_kms_url=kms_url)


@pytest.fixture
def vault() -> Iterator[TransitServer]:
    with transit_server(TOKEN) as server:
        yield server


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "vault-token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(params=["local", "aws", "vault"])
async def key_encryption(request: pytest.FixtureRequest) -> AsyncIterator[KeyEncryption]:
    settings = Settings()
    if request.param == "aws":
        settings = request.getfixturevalue("aws")
    elif request.param == "vault":
        settings = vault_settings(request.getfixturevalue("vault"), request.getfixturevalue("token_file"))
    async with opened(settings, ["s" * 32]) as provider:
        yield provider


def vault_settings(vault: TransitServer, token_file: Path) -> Settings:
    return Settings(vault_url=vault.url, vault_transit_key="payloads", vault_token_file=token_file)


async def test_a_wrapped_key_opens_under_its_own_name_only(key_encryption: KeyEncryption) -> None:
    key, name = AESGCM.generate_key(256), KeyName(uuid7(), uuid7())
    wrapped = await key_encryption.wrap(name, key)
    assert key not in wrapped
    assert await key_encryption.unwrap(name, wrapped) == key
    for other in (KeyName(uuid7(), name.id), KeyName(name.tenant_id, uuid7())):
        with pytest.raises(WrappedKeyInvalid):
            await key_encryption.unwrap(other, wrapped)


async def test_a_changed_wrapped_key_is_refused(key_encryption: KeyEncryption) -> None:
    name = KeyName(uuid7(), uuid7())
    wrapped = await key_encryption.wrap(name, AESGCM.generate_key(256))
    changed = wrapped[:-9] + bytes([wrapped[-9] ^ 1]) + wrapped[-8:]
    for forged in (changed, wrapped[:-4], b"vault:v1:!", b""):
        with pytest.raises((WrappedKeyInvalid, AuditUnavailable)):
            await key_encryption.unwrap(name, forged)


async def test_an_absent_kms_or_unknown_key_makes_the_audit_unavailable(aws: Settings) -> None:
    away = aws.model_copy(update={"aws_kms_url": "http://127.0.0.1:9"})
    unknown = aws.model_copy(update={"aws_kms_key": str(uuid7())})
    for settings in (away, unknown):
        async with opened(settings, []) as provider:
            with pytest.raises(AuditUnavailable):
                await provider.wrap(KeyName(uuid7(), uuid7()), b"k" * 32)


async def test_a_renewed_vault_token_is_used_at_once(vault: TransitServer, token_file: Path) -> None:
    name = KeyName(uuid7(), uuid7())
    async with opened(vault_settings(vault, token_file), []) as provider:
        wrapped = await provider.wrap(name, b"k" * 32)
        vault.token = "hvs.renewed"
        with pytest.raises(AuditUnavailable):
            await provider.unwrap(name, wrapped)
        token_file.write_text("hvs.renewed")
        assert await provider.unwrap(name, wrapped) == b"k" * 32
        token_file.unlink()
        with pytest.raises(AuditUnavailable):
            await provider.unwrap(name, wrapped)


async def test_while_vault_is_sealed_nobody_new_is_answered_and_who_has_a_key_is(
    database: Database, run_secrets: Secrets, model_home: Path, vault: TransitServer, token_file: Path
) -> None:
    chosen = {"vault_url": vault.url, "vault_transit_key": "payloads", "vault_token_file": token_file}
    settings = settings_for(database, run_secrets, model_home, **chosen)
    superuser = await asyncpg.connect(database.superuser_url)
    async with running(settings, database) as service:
        tenant = await service.create_tenant()
        question = {"query": "wire transfer fees"}
        for _ in range(3):
            assert (await service.post("/retrieve", tenant, "analyst", question)).status_code == 200
        assert await superuser.fetchval(
            "select bool_and(starts_with(encode(wrapped, 'escape'), 'vault:v1:')) from audit.data_key"
        )
        calls = len(vault.calls)
        await service.token(tenant, "editor")

        vault.sealed = True
        before = await superuser.fetchval("select count(*) from audit.event")
        refused = await service.post("/retrieve", tenant, "editor", question)
        assert (refused.status_code, refused.json()["error"]) == (503, "audit_unavailable")
        assert "chunks" not in refused.json()
        assert await superuser.fetchval("select count(*) from audit.event") == before
        assert (await service.post("/retrieve", tenant, "analyst", question)).status_code == 200
        assert len(vault.calls) == calls  # the key of the analyst is remembered

        vault.sealed = False
        assert (await service.post("/retrieve", tenant, "editor", question)).status_code == 200
        event = (await service.events(tenant, actor="editor", action="retrieval:executed"))[0]
        path = f"/audit/events/{event['id']}"
        opened_event = await service.get(path, tenant, "compliance", reveal=True, reason="checking")
        assert opened_event.json()["payloads"]["query"] == question["query"]
    await superuser.close()


async def test_data_keys_move_to_kms_to_vault_and_back_while_a_client_asks(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path, aws: Settings, vault: TransitServer,
    token_file: Path,
) -> None:  # fmt: skip
    every = {
        "aws_kms_key": aws.aws_kms_key, "aws_kms_url": aws.aws_kms_url, "vault_url": vault.url,
        "vault_transit_key": "payloads", "vault_token_file": token_file, "data_key_seconds": 1,
    }  # fmt: skip
    secrets, answers, asked, event, tenant = (run_secrets.payload_key,), 0, {"query": "wire transfer fees"}, None, None
    async with cloned_database(postgres) as database:
        for to in ("local", "aws", "vault", "local"):
            settings = settings_for(database, run_secrets, model_home, key_encryption=to, **every)
            async with running(settings, database) as service:
                tenant = tenant or await service.create_tenant()
                over = asyncio.Event()
                asking = asyncio.create_task(ask_until(over, service, tenant, asked))
                async with all_wrapped(settings, database.owner_url, secrets) as (owner, kinds):
                    first = await rewrap(owner, kinds[0], lambda _: None)
                    again = await rewrap(owner, kinds[0], lambda _: None)
                await asyncio.sleep(1.5)  # in which the service forgets the keys that it knew
                over.set()
                statuses = await asking
                answers += len(statuses)
                assert set(statuses) == {200}
                assert event is None or first[Wrapping.EARLIER] >= 1
                assert again[Wrapping.EARLIER] == first[Wrapping.UNKNOWN] == again[Wrapping.UNKNOWN] == 0
                event = event or (await service.post("/retrieve", tenant, "analyst", asked)).json()["audit_event_id"]
                shown = await service.get(
                    f"/audit/events/{event}", tenant, "compliance", reveal=True, reason="it was moved"
                )
                assert shown.json()["payloads"]["query"] == asked["query"]
            async with opened(settings, secrets) as chosen:
                rows = await fetched(database, "select tenant_id, id, wrapped from audit.data_key")
                for row in rows:  # the one that wraps now opens all of them, without the others
                    assert await chosen.first.unwrap(KeyName(row["tenant_id"], row["id"]), row["wrapped"])
    assert answers > 20


async def ask_until(over: asyncio.Event, service: Service, tenant: Tenant, asked: dict[str, str]) -> list[int]:
    statuses = []
    while not over.is_set() or not statuses:
        statuses.append((await service.post("/retrieve", tenant, "analyst", asked)).status_code)
        await asyncio.sleep(0.01)
    return statuses


async def fetched(database: Database, statement: str) -> list[asyncpg.Record]:
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        return list(await superuser.fetch(statement))
    finally:
        await superuser.close()


async def test_a_move_that_vault_interrupts_goes_on_where_it_was(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path, vault: TransitServer, token_file: Path
) -> None:
    count, batch, secrets = 700, 500, (run_secrets.payload_key,)
    async with cloned_database(postgres) as database:
        settings = settings_for(
            database, run_secrets, model_home, vault_url=vault.url, vault_transit_key="payloads",
            vault_token_file=token_file,
        )  # fmt: skip
        here, names = LocalKeyEncryption(secrets[0]), [KeyName(uuid7(), uuid7()) for _ in range(count)]
        wrapped = [(name.tenant_id, name.id, await here.wrap(name, b"k" * 32)) for name in names]
        superuser = await asyncpg.connect(database.superuser_url)
        await superuser.executemany(
            "insert into audit.data_key (tenant_id, id, subject_id, month, wrapped) values ($1, $2, $2, '2026-11-01', $3)",
            wrapped,
        )
        await superuser.close()

        def seal_vault(done: int) -> None:
            vault.sealed = done == batch

        async with all_wrapped(settings, database.owner_url, secrets) as (owner, kinds):
            with pytest.raises(AuditUnavailable):
                await rewrap(owner, kinds[0], seal_vault)
            vault.sealed = False
            rest = await rewrap(owner, kinds[0], lambda _: None)
        assert (rest[Wrapping.CURRENT], rest[Wrapping.EARLIER], rest[Wrapping.UNKNOWN]) == (batch, count - batch, 0)
        assert all(
            row["wrapped"].startswith(b"vault:v1:")
            for row in await fetched(database, "select wrapped from audit.data_key")
        )


def test_settings_refuse_two_key_encryptions_half_a_vault_and_a_vault_without_tls() -> None:
    for chosen in (
        {"aws_kms_key": "a", "vault_transit_key": "b", "vault_url": "https://vault", "vault_token_file": "t"},
        {"vault_transit_key": "b", "vault_url": "https://vault"},
        {"vault_transit_key": "b", "vault_token_file": "t", "vault_url": "http://vault.example.com"},
        {"vault_transit_key": "../sys", "vault_token_file": "t", "vault_url": "https://vault"},
    ):
        with pytest.raises(ValidationError):
            Settings(**chosen)

"""Erasure needs a second person, the end of retention and no hold; afterwards texts are gone and every proof holds."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest

from backend.audit.key_encryption import KeyName, LocalKeyEncryption
from backend.audit.payloads import PayloadVault
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Role
from backend.ledger import verifier
from backend.review.events.service import first_id_at
from tests.ledger.sealed_log import KEY, SealedLog
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

MARKER = "the zebra clause of my mortgage"
REQUEST = {"subject": "analyst", "legal_basis": "GDPR article 17(1)(b)"}


@pytest.fixture
async def asked(service: Service) -> Tenant:
    """A tenant with two privacy officers, whose analyst asked something personal."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "privacy2", Role.PRIVACY)
    for path, body in (("/retrieve", {"query": MARKER}), ("/answer", {"question": MARKER})):
        assert (await service.post(path, tenant, "analyst", body)).status_code == 200
    return tenant


async def request(service: Service, tenant: Tenant) -> str:
    answer = await service.post("/audit/erasures", tenant, "privacy", REQUEST)
    assert answer.status_code == 201, answer.text
    return f"/audit/erasures/{answer.json()['id']}/approval"


async def revealed(service: Service, tenant: Tenant) -> str:
    """Everything that a reviewer can still read of the analyst."""
    texts = []
    for event in await service.events(tenant, actor="analyst"):
        path = f"/audit/events/{event['id']}"
        answer = await service.get(path, tenant, "compliance", reveal=True, reason="checking erasure")
        texts.append(str(answer.json()["payloads"]))
    return "".join(texts)


async def test_an_approved_erasure_destroys_texts_and_keys_and_every_proof_still_verifies(
    service: Service, asked: Tenant, database: Database, tmp_path: Path
) -> None:
    assert MARKER in await revealed(service, asked)
    approval = await request(service, asked)
    answer = await service.post(approval, asked, "privacy2", None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["texts"] >= 4
    assert MARKER not in await revealed(service, asked)

    log = SealedLog(service, asked, database, tmp_path, datetime.now(UTC))
    await log.act(1)  # the analyst goes on, under a new key
    await log.seal()
    assert "fees" in await revealed(service, asked)
    report = verifier.verify(await log.export(), str(KEY.verifier_key))
    assert report.ok, list(report.lines())
    assert any(finding.kind is verifier.Kind.ERASED for finding in report.findings)


async def test_whoever_asked_cannot_approve(service: Service, asked: Tenant, database: Database) -> None:
    approval = await request(service, asked)
    assert (await service.post(approval, asked, "privacy", None)).status_code == 403
    assert MARKER in await revealed(service, asked)
    superuser = await asyncpg.connect(database.superuser_url)
    with pytest.raises(asyncpg.CheckViolationError):
        await superuser.execute("update audit.erasure set approved_by = requested_by")
    await superuser.close()


async def test_a_hold_prevents_erasure_until_it_is_released(service: Service, asked: Tenant) -> None:
    approval = await request(service, asked)
    hold = await service.post("/audit/holds", asked, "compliance", {"subject": "analyst", "reason": "Subpoena 17"})
    assert hold.status_code == 201, hold.text
    assert (await service.post(approval, asked, "privacy2", None)).status_code == 409
    assert MARKER in await revealed(service, asked)
    path = f"/audit/holds/{hold.json()['id']}"
    await service.add_user(asked, "compliance2", Role.COMPLIANCE)
    for person, status in (("compliance", 202), ("compliance", 202), ("compliance2", 204)):
        released = await service.client.delete(path, headers=await service.as_user(asked, person))
        assert released.status_code == status
    assert (await service.post(approval, asked, "privacy2", None)).status_code == 200
    actions = [event["action"] for event in await service.events(asked)]
    assert {"hold:placed", "hold:released", "erasure:requested", "erasure:executed"} <= set(actions)


async def test_retention_can_be_raised_never_lowered_and_prevents_erasure(service: Service, asked: Tenant) -> None:
    raised = {"event_class": "retrieval", "days": 365}
    assert (await service.post("/audit/retention", asked, "compliance", raised)).status_code == 200
    for days in (364, 365, 0):
        lower = await service.post("/audit/retention", asked, "compliance", {**raised, "days": days})
        assert lower.status_code == 409
    approval = await request(service, asked)
    assert (await service.post(approval, asked, "privacy2", None)).status_code == 409
    assert MARKER in await revealed(service, asked)


async def test_nobody_but_privacy_erases_and_nobody_but_who_exports_holds(service: Service, asked: Tenant) -> None:
    for role in ("admin", "editor", "approver", "analyst", "compliance", "partner"):
        assert (await service.post("/audit/erasures", asked, role, REQUEST)).status_code == 403
    for role in ("admin", "analyst", "privacy"):
        refused = await service.post("/audit/holds", asked, role, {"reason": "because"})
        assert refused.status_code == 403


async def test_the_database_itself_refuses_an_erasure_that_no_second_person_approved(
    service: Service, asked: Tenant
) -> None:
    """What injected SQL could do with the privacy officer's own context: nothing before the approval."""
    await request(service, asked)
    tenancy = service.services.tenancy
    resolver = service.services.resolver
    privacy = await resolver.resolve(await service.token(asked, "privacy"), Origin("request"))
    async with tenancy.transaction(privacy.claims()) as connection:
        assert await connection.execute("delete from audit.payload") == "DELETE 0"
        assert await connection.execute("delete from audit.data_key") == "DELETE 0"
    assert MARKER in await revealed(service, asked)


async def test_a_prompt_without_an_answer_is_reported_as_an_open_turn(
    service: Service, asked: Tenant, database: Database
) -> None:
    open_turns = (await service.get("/audit/turns/open", asked, "compliance")).json()["turns"]
    assert open_turns == []  # all were answered
    superuser = await asyncpg.connect(database.superuser_url)
    envelope = await superuser.fetchval(
        "select envelope from audit.event where tenant_id = $1 and action = 'prompt:submitted' limit 1", asked.id
    )
    # The same prompt two minutes ago, from a process that was killed before it answered.
    members = orjson.loads(envelope)
    old = UUID(
        int=first_id_at(datetime.fromtimestamp(datetime.now(UTC).timestamp() - 120, UTC)).int | 7 << 76 | 8 << 60
    )
    members["id"] = members["turn"] = str(old)
    await superuser.execute(
        "insert into audit.event (id, envelope) values ($1, $2)", old, orjson.dumps(members).decode()
    )
    await superuser.close()
    open_turns = (await service.get("/audit/turns/open", asked, "compliance")).json()["turns"]
    assert [turn["event_id"] for turn in open_turns] == [str(old)]


async def test_a_key_that_another_process_destroyed_encrypts_nothing_more(
    service: Service, asked: Tenant, database: Database, run_secrets: Secrets, model_home: Path
) -> None:
    question = {"query": MARKER}
    async with running(settings_for(database, run_secrets, model_home), database) as other:
        headers = await service.as_user(asked, "analyst")
        assert (await other.client.post("/retrieve", json=question, headers=headers)).status_code == 200
        assert other.services.payloads.remembered == 1
        erased = await keys_of(database, asked.users["analyst"])
        assert (await service.post(await request(service, asked), asked, "privacy2", None)).status_code == 200
        refused = await other.client.post("/retrieve", json=question, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (503, "audit_unavailable")
        assert other.services.payloads.remembered == 0
        assert await keys_of(database, asked.users["analyst"]) == set()
        assert (await other.client.post("/retrieve", json=question, headers=headers)).status_code == 200
    assert not erased & await keys_of(database, asked.users["analyst"])
    assert (await revealed(service, asked)).count(MARKER) == 1  # only what was asked under the new key


async def keys_of(database: Database, subject: UUID) -> set[UUID]:
    superuser = await asyncpg.connect(database.superuser_url)
    rows = await superuser.fetch("select id from audit.data_key where subject_id = $1", subject)
    await superuser.close()
    return {row["id"] for row in rows}


class CountedKeyEncryption(LocalKeyEncryption):
    unwrapped = 0

    async def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        self.unwrapped += 1
        return await super().unwrap(name, wrapped)


@pytest.mark.parametrize(("seconds", "unwrapped"), [(60, 1), (0.01, 2)])
async def test_a_remembered_key_is_forgotten_after_its_time_also_when_nobody_asks(
    service: Service, asked: Tenant, run_secrets: Secrets, seconds: float, unwrapped: int
) -> None:
    counted = CountedKeyEncryption(run_secrets.payload_key)
    vault = PayloadVault(counted, seconds)
    analyst = Caller(
        asked.id, asked.slug, asked.users["analyst"], "user", "analyst", "request", permissions=frozenset()
    )
    month = datetime.now(UTC).date().replace(day=1)
    async with service.services.tenancy.transaction(analyst.claims()) as connection:
        for _ in range(2):
            await vault.data_key(connection, asked.id, analyst.subject_id, month)
            await asyncio.sleep(0.05)
    assert counted.unwrapped == unwrapped
    assert vault.remembered == (1 if seconds > 1 else 0)

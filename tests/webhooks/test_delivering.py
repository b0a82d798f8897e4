"""What happens is told to those who must know: signed, at least once, in the log's order, and nothing that is not sealed."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from backend.audit.actions.answers import PromptSubmitted, SubmittedPrompt
from backend.audit.events import Event
from backend.audit.recorder import Draft
from backend.identity.callers.permissions import Role
from backend.identity.callers.principals import resolve_principal
from backend.webhooks import collecting
from tests import factories
from tests.service import Service, Tenant, sealing
from tests.webhooks.endpoints import (
    created,
    deliveries,
    delivering,
    endpoint_of,
    forced,
    sealed,
    sent_test,
    serve,
    signatures_by,
)
from tests.webhooks.receiver import answering, receiving

pytestmark = pytest.mark.anyio

OLD_RULE = "Card disputes must be filed within 90 days of the statement date."
NEW_RULE = "Card disputes must be filed within 60 days of the statement date."


@pytest.fixture(name="tenant")
async def _tenant(service: Service) -> Tenant:
    """A tenant of each test, since every endpoint is told of all that its tenant does."""
    return await service.create_tenant()


async def test_a_version_that_took_over_is_told_with_the_answers_that_cited_the_one_before(
    service: Service, tenant: Tenant
) -> None:
    await factories.create_collection(service, tenant)
    async with sealing(service.database), receiving() as receiver, delivering(service) as deliverer:
        first = await factories.approved(service, tenant, "disputes", OLD_RULE)
        asked = await service.post("/answer", tenant, "analyst", {"question": "When must card disputes be filed?"})
        answer = asked.json()
        assert answer["citations"], answer
        await sealed(
            service.database, tenant
        )  # what is sealed later is told to an endpoint, even if it happened before
        endpoint = await created(service, tenant, receiver)
        await factories.approved(service, tenant, "disputes", NEW_RULE)
        await sealed(service.database, tenant)
        await serve(deliverer)
    approved, superseded = receiver.received
    assert (approved.told["type"], superseded.told["type"]) == ("version.approved", "version.superseded")
    assert approved.told["data"]["document"] == first["document_id"]
    assert (approved.told["data"]["version"], approved.told["data"]["tenant"]) == (2, str(tenant.id))
    told = superseded.told["data"]
    assert (told["version"], told["by_version"], told["cited_by"]) == (1, 2, [answer["turn"]])
    events = await service.events(tenant, action="document:approved")
    assert {approved.told["data"]["event"], told["event"]} == {events[0]["id"]}
    for one in receiver.received:
        assert one.headers["webhook-signature"] == signatures_by(endpoint["secret"], one)
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60
        assert not [word for word in ("disputes", "analyst", "editor", "approver", "days") if word in one.body.decode()]
    (newest, _) = await deliveries(service, tenant, endpoint)
    assert (newest["state"], newest["attempts"], newest["response_status"]) == ("delivered", 1, 204)
    assert {one.id for one in receiver.received} == {one["id"] for one in await deliveries(service, tenant, endpoint)}


async def test_an_approval_that_is_not_the_last_one_is_not_told(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await factories.create_collection(service, tenant, approvers=2)
    async with sealing(service.database), receiving() as receiver, delivering(service) as deliverer:
        await created(service, tenant, receiver)
        submitted = await factories.submit(service, tenant, "disputes", OLD_RULE)
        for approver, told in (("approver", 0), ("approver2", 1)):
            assert (await factories.decide(service, tenant, submitted, username=approver)).status_code == 200
            await sealed(service.database, tenant)
            await serve(deliverer)
            assert len(receiver.of("version.approved")) == told


async def test_what_is_not_sealed_is_not_told(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        await created(service, tenant, receiver)
        assert (await service.post("/audit/holds", tenant, "compliance", HOLD)).status_code == 201
        await serve(deliverer)
        assert receiver.received == []
        async with sealing(service.database):
            await sealed(service.database, tenant)
        await serve(deliverer)
        assert [one.told["type"] for one in receiver.received] == ["hold.placed"]


HOLD = {"reason": "Litigation about disputes of May"}


async def test_a_hold_a_failed_job_and_an_erasure_are_told_by_their_ids(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "privacy2", Role.PRIVACY)
    async with sealing(service.database), receiving() as receiver, delivering(service) as deliverer:
        await created(service, tenant, receiver)
        job = await factories.ingested(service, tenant, "broken.pdf", b"%PDF-1.7 nothing")
        assert job["status"] == "failed"
        erased = {"subject": "analyst", "legal_basis": "GDPR Article 17"}
        erasure = (await service.post("/audit/erasures", tenant, "privacy", erased)).json()["id"]
        done = await service.post(f"/audit/erasures/{erasure}/approval", tenant, "privacy2", None)
        assert done.is_success, done.text
        hold = (await service.post("/audit/holds", tenant, "compliance", HOLD)).json()["id"]
        await sealed(service.database, tenant)
        await serve(deliverer)
    assert [one.told["type"] for one in receiver.received] == ["job.failed", "erasure.executed", "hold.placed"]
    failed, executed, placed = (one.told["data"] for one in receiver.received)
    assert (failed["kind"], failed["job"]) == ("document:ingest", job["id"])
    assert executed["erasure"] == erasure
    assert (placed["hold"], placed["everyone"]) == (hold, True)
    assert str(tenant.users["analyst"]) not in "".join(one.body.decode() for one in receiver.received)


async def test_a_question_that_nobody_answered_is_told_once_when_it_is_old(service: Service, tenant: Tenant) -> None:
    async with sealing(service.database), receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver, "turn.open")
        asked = await service.post("/answer", tenant, "analyst", {"question": "When must card disputes be filed?"})
        assert asked.status_code == 200
        turn = await open_turn(service, tenant)
        await sealed(service.database, tenant)
        await serve(deliverer)
        assert receiver.received == []  # it may still be answered
        later = replace(deliverer, open_after=timedelta())
        for _ in range(2):
            await forced(
                service.database, "update webhooks.endpoint set served_at = null where id = $1", endpoint["id"]
            )
            await serve(later)
    assert [one.told["data"]["turn"] for one in receiver.received] == [str(turn)]


async def test_that_sealing_is_late_is_told_once_in_an_hour(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver, "seal.lag")
        await forced(
            service.database,
            "insert into audit.unsealed (tenant_id, event_id) values ($1, audit.first_id_at(now() - interval '10 minutes'))",
            tenant.id,
        )
        # Whatever the clock says, both are in one hour of it.
        monkeypatch.setattr(collecting, "_HOUR", 10**9)
        for _ in range(2):
            await forced(
                service.database, "update webhooks.endpoint set served_at = null where id = $1", endpoint["id"]
            )
            await serve(deliverer)
        await forced(
            service.database,
            "delete from audit.unsealed where event_id < audit.first_id_at(now() - interval '9 minutes')",
        )
    (one,) = receiver.received
    assert 590 < one.told["data"]["seconds"] < 700


async def test_what_fails_is_tried_again_under_its_id_and_at_last_given_up_until_somebody_replays_it(
    service: Service, tenant: Tenant
) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("500 Internal Server Error")
        name = await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert [one.id for one in receiver.received] == [name] * 3
        (dead,) = await deliveries(service, tenant, endpoint)
        assert (dead["state"], dead["attempts"], dead["failure"], dead["response_status"]) == ("dead", 3, "status", 500)
        assert dead["next_attempt_at"] is None
        failing = await endpoint_of(service, tenant, endpoint)
        assert failing["failing_since"]
        assert failing["dead"] == 1
        receiver.always = answering("200 OK")
        again = await service.post(f"/webhooks/{endpoint['id']}/deliveries/{name}/replay", tenant, "admin", None)
        assert (again.status_code, again.json()["state"]) == (202, "waiting")
        await serve(deliverer)
        assert [one.id for one in receiver.received] == [name] * 4
        (delivered,) = await deliveries(service, tenant, endpoint)
        assert (delivered["state"], delivered["attempts"], delivered["failure"]) == ("delivered", 1, None)
        assert (await endpoint_of(service, tenant, endpoint))["failing_since"] is None
        # The time of sending is signed anew, so that a receiver may refuse what is old.
        assert receiver.received[3].headers["webhook-signature"] == signatures_by(
            endpoint["secret"], receiver.received[3]
        )


async def test_between_attempts_there_is_time(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service, back_off=(5.0, 300.0)) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("503 Service Unavailable")
        await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert len(receiver.received) == 1
        (failed,) = await deliveries(service, tenant, endpoint)
        assert failed["state"] == "failed"
        waited = moment(failed["next_attempt_at"]) - moment(failed["attempted_at"])
        assert 4 < waited < 7
        await forced(service.database, "update webhooks.delivery set next_attempt_at = now() where state = 'failed'")
        await serve(deliverer)
        (failed,) = await deliveries(service, tenant, endpoint)
        assert 250 < moment(failed["next_attempt_at"]) - moment(failed["attempted_at"]) < 350


async def test_everything_since_a_moment_is_sent_again_under_the_same_ids(service: Service, tenant: Tenant) -> None:
    async with sealing(service.database), receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver, "hold.placed")
        begin = (await service.events(tenant))[0]["time"]
        for _ in range(3):
            assert (await service.post("/audit/holds", tenant, "compliance", HOLD)).status_code == 201
        await sealed(service.database, tenant)
        await serve(deliverer)
        first = [one.id for one in receiver.received]
        assert len(set(first)) == 3
        # One of them was forgotten meanwhile, and is made again.
        await forced(service.database, "delete from webhooks.delivery where id::text = $1", first[0])
        replay = await service.post(f"/webhooks/{endpoint['id']}/replay", tenant, "admin", {"since": begin})
        assert replay.status_code == 202, replay.text
        assert replay.json()["events"] >= 3
        await serve(deliverer)
        assert [one.id for one in receiver.received] == first * 2
        await serve(deliverer)
        assert len(receiver.received) == 6


async def test_while_a_secret_is_exchanged_both_sign(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        rotated = await service.post(f"/webhooks/{endpoint['id']}/rotate", tenant, "admin", {"overlap_seconds": 3600})
        assert rotated.status_code == 200, rotated.text
        await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        (one,) = receiver.received
        wanted = [signatures_by(secret, one) for secret in (rotated.json()["secret"], endpoint["secret"])]
        assert one.headers["webhook-signature"].split(" ") == wanted
        await forced(service.database, "update webhooks.secret set expires_at = now() where expires_at is not null")
        await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert receiver.received[1].headers["webhook-signature"] == signatures_by(
            rotated.json()["secret"], receiver.received[1]
        )


async def test_an_endpoint_that_nobody_looked_after_for_days_did_not_fail_meanwhile(
    service: Service, tenant: Tenant
) -> None:
    """As where a tenant was suspended, or no worker ran, for a week: then one failure more disables nothing."""
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("503 Service Unavailable")
        await sent_test(service, tenant, endpoint)
        await forced(
            service.database, "update webhooks.endpoint set failing_since = now() - interval '7 days',"
            " served_at = now() - interval '7 days' + interval '1 minute' where id = $1", endpoint["id"],
        )  # fmt: skip
        await serve(deliverer)
        failing = await endpoint_of(service, tenant, endpoint)
        assert failing["status"] == "enabled"
        assert datetime.fromisoformat(failing["failing_since"]) > datetime.now(UTC) - timedelta(hours=1)


async def test_an_endpoint_that_failed_for_days_is_disabled_which_others_are_told(
    service: Service, tenant: Tenant
) -> None:
    async with (
        sealing(service.database),
        receiving() as broken,
        receiving() as receiver,
        delivering(service) as deliverer,
    ):
        endpoint = await created(service, tenant, broken)
        await created(service, tenant, receiver, "webhook.disabled")
        broken.always = answering("404 Not Found")
        await sent_test(service, tenant, endpoint)
        await forced(
            service.database, "update webhooks.endpoint set failing_since = now() - interval '6 days' where id = $1",
            endpoint["id"],
        )  # fmt: skip
        await serve(deliverer)
        ended = await endpoint_of(service, tenant, endpoint)
        assert (ended["status"], ended["disabled_because"], len(broken.received)) == ("disabled", "failing", 1)
        (event,) = await service.events(tenant, action="webhook:disabled")
        assert event["event"]["webhook"]["because"] == "failing"
        await sealed(service.database, tenant)
        await serve(deliverer)
        assert receiver.received[0].told["data"]["endpoint"] == endpoint["id"]
        refused = await service.post(f"/webhooks/{endpoint['id']}/test", tenant, "admin", None)
        assert refused.status_code == 409
        # Enabled again, it is told what it was not.
        broken.always = answering("204 No Content")
        headers = await service.as_user(tenant, "admin")
        await service.client.patch(f"/webhooks/{endpoint['id']}", json={"status": "enabled"}, headers=headers)
        await forced(service.database, "update webhooks.delivery set next_attempt_at = now() where state = 'failed'")
        await serve(deliverer)
        assert {one.told["type"] for one in broken.received[1:]} == {"webhook.test", "webhook.disabled"}


async def test_an_endpoint_that_says_that_it_is_gone_is_disabled_at_once(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("410 Gone")
        await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert (await endpoint_of(service, tenant, endpoint))["disabled_because"] == "gone"


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def open_turn(service: Service, tenant: Tenant) -> UUID:
    """A prompt on record after which the process died."""
    caller = await resolve_principal(service.services.tenancy, tenant.id, tenant.users["analyst"], "a-request")
    prompt = SubmittedPrompt(
        template="v1", template_sha256="0" * 64, model="m", parameters={}, retrieval=uuid4(), chunks=[]
    )
    draft = Draft()
    event = Event(PromptSubmitted(turn=draft.event_id, prompt=prompt))
    async with service.services.tenancy.transaction(caller.claims()) as connection:
        return await service.services.recorder.record(connection, caller, event, draft)

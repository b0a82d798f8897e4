"""What a caller may do, and what its transactions are bound to, from the row that the database answers."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.audit.events import DoorKind
from backend.errors import Forbidden
from backend.identity.callers.caller import Caller, Door, Origin, SecondFactorMissing, caller_of
from backend.identity.callers.on_behalf_of import asserted
from backend.identity.callers.permissions import Permission
from backend.identity.callers.rows import KeyRow, SessionUserRow
from backend.tenancy import PLATFORM_TENANT, Purpose

TENANT, PRINCIPAL, OWNER = uuid4(), uuid4(), uuid4()
READ, WRITTEN, BOTH = uuid4(), uuid4(), uuid4()
ORIGIN = Origin("request-1", "203.0.113.9", door=Door(DoorKind.MCP, "client/1"))

USER = SessionUserRow(
    tenant_slug="bank", tenant_status="active", name="ada", live=True, roles=["editor", "compliance"], readable=[READ, BOTH],
    writable=[WRITTEN, BOTH], tenant_requests_per_minute=None, principal_requests_per_minute=None, session_live=True,
    lacks_second_factor=False,
)  # fmt: skip
KEY = KeyRow(
    tenant_id=TENANT, key_id=PRINCIPAL, tenant_slug="bank", tenant_status="active", tenant_requests_per_minute=None,
    principal_requests_per_minute=None, name="partner", permissions=["retrieval:query", "documents:write"],
    allowed_networks=None, requests_per_minute=None, requests_per_day=None, assertion_key=None, live=True, use_noted=True,
    purpose="support desk", owner_id=OWNER, owner_roles=["analyst"], readable=[READ, BOTH], writable=[WRITTEN, BOTH],
)  # fmt: skip


def caller(row: SessionUserRow | KeyRow, **changed: Any) -> Caller:
    return caller_of(replace(row, **changed), TENANT, PRINCIPAL, ORIGIN)


def test_a_user_has_the_rights_of_its_roles_and_writes_only_what_it_reads() -> None:
    user = caller(USER)
    assert (user.kind, user.name, user.roles) == ("user", "ada", ("editor", "compliance"))
    assert {"documents:write", "audit:reveal"} <= user.permissions
    assert Permission.ERASURE_EXECUTE not in user.permissions
    assert (user.readable, user.writable) == ({READ, BOTH}, {BOTH})
    assert (user.owner_id, user.purpose, user.lacks_second_factor) == (None, None, False)
    assert (user.tenant_id, user.tenant_slug, user.principal_id) == (TENANT, "bank", PRINCIPAL)
    assert (user.request_id, user.source_address, user.door) == ("request-1", "203.0.113.9", ORIGIN.door)


def test_a_key_has_of_what_it_was_given_what_its_owner_may_still_give() -> None:
    key = caller(KEY)
    assert (key.kind, key.roles, key.permissions) == ("key", (), {Permission.RETRIEVAL_QUERY})
    assert (key.owner_id, key.purpose, key.writable) == (OWNER, "support desk", {BOTH})
    assert caller(KEY, owner_roles=[]).permissions == frozenset()


def test_who_lacks_a_second_factor_reads_writes_and_may_do_nothing() -> None:
    user = caller(USER, lacks_second_factor=True)
    assert (user.permissions, user.readable, user.writable, user.lacks_second_factor) == (
        frozenset(), frozenset(), frozenset(), True,
    )  # fmt: skip
    with pytest.raises(SecondFactorMissing) as refused:
        replace(user, permissions=frozenset(Permission)).require(Permission.DOCUMENTS_READ)
    assert (refused.value.reason, refused.value.code) == ("second_factor:missing", "second_factor_missing")


def test_what_is_not_permitted_is_refused_by_name() -> None:
    user = caller(USER)
    user.require(Permission.DOCUMENTS_WRITE)
    with pytest.raises(Forbidden) as refused:
        user.require(Permission.ERASURE_EXECUTE)
    assert refused.value.reason == "permission:erasure:execute"
    assert not isinstance(refused.value, SecondFactorMissing)


def test_personal_data_is_the_end_users_the_principals_or_the_tenants() -> None:
    user = caller(USER)
    assert user.subject_id == PRINCIPAL
    assert Caller.nobody(ORIGIN).subject_id == PLATFORM_TENANT == UUID(int=0)
    named = replace(user, on_behalf_of=asserted("customer-7"))
    assert named.subject_id == user.subject_named("customer-7") not in {PRINCIPAL, TENANT}
    assert user.subject_named("customer-7") != user.subject_named("customer-8")
    assert replace(user, tenant_id=uuid4()).subject_named("customer-7") != named.subject_id


def test_nobody_has_no_rights_in_no_tenant_or_the_one_that_is_named() -> None:
    nobody = Caller.nobody(ORIGIN)
    assert (nobody.tenant_id, nobody.principal_id, nobody.kind, nobody.permissions) == (
        PLATFORM_TENANT, None, "anonymous", frozenset(),
    )  # fmt: skip
    assert (nobody.request_id, nobody.source_address, nobody.door) == ("request-1", "203.0.113.9", ORIGIN.door)
    assert Caller.nobody(ORIGIN, tenant_id=TENANT).tenant_id == TENANT


def test_a_transaction_is_bound_to_what_its_caller_is_and_presents() -> None:
    user = caller(USER)
    claims = user.claims(presented={Purpose.WRITING: "chunks"})
    assert (claims.request_id, claims.tenant_id, claims.principal_id, claims.subject_id, claims.kind) == (
        "request-1", TENANT, PRINCIPAL, PRINCIPAL, "user",
    )  # fmt: skip
    assert (claims.permissions, claims.readable, claims.writable) == (user.permissions, user.readable, user.writable)
    assert (claims.moment, claims.presented) == (None, {Purpose.WRITING: "chunks"})
    assert user.claims().presented == {}

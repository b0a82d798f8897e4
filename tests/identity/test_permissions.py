"""What each role may do, written out so that a change of access shows as a diff."""

import re

import pytest

from backend.identity.callers.permissions import ROLE_PERMISSIONS, Permission, Role, permissions_of

GOLDEN = {
    "admin": "collections:manage documents:read keys:manage sources:manage users:manage webhooks:manage",
    "editor": "answers:create documents:read documents:write retrieval:query",
    "approver": "answers:create documents:read documents:review retrieval:query",
    "analyst": "answers:create documents:read retrieval:query",
    "compliance": "audit:export audit:read audit:reveal documents:read",
    "privacy": "audit:read erasure:execute",
    "partner": "retrieval:query",
}

ALL_PERMISSIONS = (
    "answers:create audit:export audit:read audit:reveal collections:manage documents:read documents:review "
    "documents:write erasure:execute keys:manage retrieval:query scim:provision sources:manage users:manage webhooks:manage"
)


@pytest.mark.parametrize("role", Role)
def test_a_role_permits_exactly_what_is_written_here(role: Role) -> None:
    assert " ".join(sorted(ROLE_PERMISSIONS[role])) == GOLDEN[role]


def test_every_role_is_written_here() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role) == set(GOLDEN)


def test_there_are_exactly_these_permissions() -> None:
    assert " ".join(sorted(Permission)) == ALL_PERMISSIONS


@pytest.mark.parametrize("permission", Permission)
def test_a_permission_is_a_resource_and_an_action(permission: Permission) -> None:
    assert re.fullmatch(r"[a-z]+:[a-z]+", permission)


def test_several_roles_permit_what_each_of_them_permits() -> None:
    both = permissions_of([Role.PARTNER, Role.COMPLIANCE])
    assert both == ROLE_PERMISSIONS[Role.PARTNER] | ROLE_PERMISSIONS[Role.COMPLIANCE]


def test_no_role_permits_nothing() -> None:
    assert permissions_of([]) == frozenset()


def test_an_administrator_reads_no_audit() -> None:
    assert not any(permission.startswith("audit:") for permission in ROLE_PERMISSIONS[Role.ADMIN])


def test_no_role_both_writes_and_reviews_documents() -> None:
    writers = {role for role, granted in ROLE_PERMISSIONS.items() if Permission.DOCUMENTS_WRITE in granted}
    reviewers = {role for role, granted in ROLE_PERMISSIONS.items() if Permission.DOCUMENTS_REVIEW in granted}
    assert not writers & reviewers


def test_a_role_cannot_be_given_more_while_the_service_runs() -> None:
    with pytest.raises(TypeError):
        ROLE_PERMISSIONS[Role.PARTNER] = frozenset(Permission)  # type: ignore[index]

"""What a caller may do: permissions as `resource:action`, and the built-in roles that bundle them.

Which collections a caller may read or write is granted separately, to a principal or to a role.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    """One thing a caller may do; never rename one: rows, tokens and policies hold the values."""

    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    DOCUMENTS_REVIEW = "documents:review"
    RETRIEVAL_QUERY = "retrieval:query"
    ANSWERS_CREATE = "answers:create"
    AUDIT_READ = "audit:read"
    AUDIT_REVEAL = "audit:reveal"
    AUDIT_EXPORT = "audit:export"
    USERS_MANAGE = "users:manage"
    KEYS_MANAGE = "keys:manage"
    COLLECTIONS_MANAGE = "collections:manage"
    ERASURE_EXECUTE = "erasure:execute"
    SCIM_PROVISION = "scim:provision"
    WEBHOOKS_MANAGE = "webhooks:manage"
    SOURCES_MANAGE = "sources:manage"


class Role(StrEnum):
    """A built-in role; a tenant assigns roles to its users and cannot change what they permit."""

    ADMIN = "admin"
    EDITOR = "editor"
    APPROVER = "approver"
    ANALYST = "analyst"
    COMPLIANCE = "compliance"
    PRIVACY = "privacy"
    PARTNER = "partner"


_ASK = frozenset({Permission.DOCUMENTS_READ, Permission.RETRIEVAL_QUERY, Permission.ANSWERS_CREATE})

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        # No audit permission: administrators do not police themselves.
        Role.ADMIN: frozenset(
            {
                Permission.USERS_MANAGE,
                Permission.KEYS_MANAGE,
                Permission.COLLECTIONS_MANAGE,
                Permission.WEBHOOKS_MANAGE,
                Permission.SOURCES_MANAGE,
                Permission.DOCUMENTS_READ,
            }
        ),
        Role.EDITOR: _ASK | {Permission.DOCUMENTS_WRITE},
        # Neither writes what it approves nor approves what it writes: four eyes.
        Role.APPROVER: _ASK | {Permission.DOCUMENTS_REVIEW},
        Role.ANALYST: _ASK,
        Role.COMPLIANCE: frozenset(
            {
                Permission.AUDIT_READ,
                Permission.AUDIT_REVEAL,
                Permission.AUDIT_EXPORT,
                Permission.DOCUMENTS_READ,
            }
        ),
        # Erases what the law wants erased; a second person of this role approves it.
        Role.PRIVACY: frozenset({Permission.ERASURE_EXECUTE, Permission.AUDIT_READ}),
        Role.PARTNER: frozenset({Permission.RETRIEVAL_QUERY}),
    }
)

# Who sees what administrators do. Given by the operator or a trusted provider, never by an administrator.
REVIEWING_ROLES = frozenset({Role.COMPLIANCE, Role.PRIVACY})

# What a tenant's provider may, who calls with a bearer of its own kind at its own door. No role opens that door.
PROVIDER_PERMISSIONS = frozenset({Permission.SCIM_PROVISION, Permission.USERS_MANAGE})

# What a source may that runs: versions that go into review, in its one collection.
SOURCE_PERMISSIONS = frozenset({Permission.DOCUMENTS_WRITE})

# Who manages keys may hand these out without having them: they show nothing but what the key's owner may read.
DELEGABLE = frozenset({Permission.RETRIEVAL_QUERY, Permission.ANSWERS_CREATE, Permission.DOCUMENTS_READ})
# What only a person does.
NOT_FOR_KEYS = frozenset({Permission.ERASURE_EXECUTE})


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Returns everything that holders of all these roles together may do."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


def permissions_of_key(given: Iterable[Permission], owner: Iterable[Role]) -> frozenset[Permission]:
    """Returns what a key may do now: what it was given, as far as its owner may do or hand out the same."""
    held = permissions_of(owner)
    most = held | DELEGABLE if Permission.KEYS_MANAGE in held else held
    return (frozenset(given) & most) - NOT_FOR_KEYS

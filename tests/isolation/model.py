"""Who may read what, in a page: what the service is compared with."""

from dataclasses import dataclass, field

READERS = frozenset({"editor", "approver", "analyst"})  # roles that may ask; each may read `default`


@dataclass
class AccessModel:
    """Tenants, users and documents by name; a collection is (tenant, slug), a grantee a user's or a role's name."""

    roles: dict[tuple[str, str], str] = field(default_factory=dict)  # (tenant, user) → role
    readers: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # collection → grantees
    documents: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # collection → doc_ids

    def add_tenant(self, tenant: str) -> None:
        self.add_collection(tenant, "default", {*READERS, "admin", "compliance"})

    def add_collection(self, tenant: str, slug: str, readers: set[str]) -> None:
        self.readers[tenant, slug] = set(readers)
        self.documents[tenant, slug] = set()

    def reads(self, tenant: str, user: str, slug: str) -> bool:
        return bool(self.readers[tenant, slug] & {user, self.roles[tenant, user]})

    def visible(self, tenant: str, user: str) -> set[str] | None:
        """What the user retrieves; None when it may not ask at all."""
        if self.roles[tenant, user] not in READERS:
            return None
        mine = [(t, slug) for t, slug in self.readers if t == tenant and self.reads(tenant, user, slug)]
        return {doc_id for collection in mine for doc_id in self.documents[collection]}

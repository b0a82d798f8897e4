"""What the operator does to a tenant."""

from uuid import UUID

from backend.audit.details import Activity, Details, Instant, Member


class TenantSettings(Member):
    """Settings of a tenant that changed; `none` for a limit that was taken away."""

    name: int | str | None = None
    requests_per_minute: int | str | None = None
    principal_requests_per_minute: int | str | None = None


class Reembedded(Member):
    """With which model how many chunks were embedded anew."""

    model: str
    chunks: int


class Calibrated(Member):
    """What was measured to fit an embedding model: how much words count beside meaning, in millionths, and how much it reads."""

    model: str
    questions: int
    lexical_micros: int
    max_tokens: int | None = None


class Moved(Member):
    """A tenant's move from one cell to another, and how far it is: leaving, arrived, or its old copy purged."""

    step: str
    source: str
    target: str
    epoch: int


class TenantChanged(Details, action="tenant:changed", activity=Activity.UPDATE):
    """A tenant was created, changed, moved, exported, suspended or deleted."""

    tenant_status: str | None = None
    slug: str | None = None
    delete_after: Instant | None = None
    tenant_settings: TenantSettings | None = None
    placement: str | None = None
    exported: bool | None = None
    reembedded: Reembedded | None = None
    calibrated: Calibrated | None = None
    rows: int | None = None
    retained: int | None = None
    deleted: UUID | None = None
    moved: Moved | None = None
    domain_added: str | None = None  # of the e-mail addresses by which its people name it when they sign in
    domain_removed: str | None = None

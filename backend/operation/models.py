"""Request and response bodies of the operator's API."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import WHOLE, ApiModel, Text

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$", examples=["meridian-bank"])]
Name = Annotated[Text, Field(min_length=1, max_length=200, examples=["Meridian Bank"])]
RequestLimit = Annotated[int, Field(ge=1, le=1_000_000, strict=True, examples=[6_000]), WHOLE]


Domain = Annotated[Text, Field(min_length=1, max_length=253, examples=["meridian-bank.example"])]


class NewTenant(ApiModel):
    """A tenant to create."""

    slug: Slug
    name: Name | None = Field(default=None, description="Unset means the slug.")


class TenantChange(ApiModel):
    """What to change of a tenant; what is left out stays."""

    name: Name = Field(default_factory=str, description="Full name.")  # no default in its schema: too short a name
    requests_per_minute: RequestLimit | None = Field(
        default=None, description="Of the whole tenant; null means no limit."
    )
    principal_requests_per_minute: RequestLimit | None = Field(
        default=None, description="Of each of its users and keys; null means no limit."
    )


class TenantView(ApiModel):
    """A tenant as the operator sees it."""

    id: UUID
    slug: str
    name: str
    status: Literal["active", "suspended", "deleting"]
    created_at: datetime
    delete_after: datetime | None = Field(description="When a deleted tenant can no longer be resumed.")
    requests_per_minute: int | None
    principal_requests_per_minute: int | None
    chunks: int = Field(description="How many chunks are or will be in force.")
    placement: Literal["shared", "promoting", "private", "demoting"] = Field(
        description="Where they are: in the partition that small tenants share, in one of its own, or on the way."
    )
    promotion_proposed: bool = Field(
        description="Whether `affidavit tenant promote` would make the tenant's searches cheaper."
    )
    domains: list[str] = Field(
        description="Domains of e-mail addresses by which its people may name it when they sign in."
    )


class JobCount(ApiModel):
    """Jobs of one kind that have one status, of all tenants together."""

    kind: str = Field(examples=["document:ingest"], description="What they do.")
    status: str = Field(examples=["queued"], description="Whether they wait, run, or how they ended.")
    number: int = Field(description="How many there are. Those that are running are with a worker.")
    oldest_seconds: float = Field(description="For how long the oldest of them has been there.")


class SealingState(ApiModel):
    """How far the log is sealed."""

    waiting: int = Field(description="Events that no log holds yet.")
    oldest_seconds: float = Field(description="For how long the oldest of them has waited.")
    checkpoint_seconds: float | None = Field(description="Age of the newest checkpoint; null while there is none.")
    idle_seconds: float | None = Field(description="Since when no sealer has worked; null when none ever has.")
    halted: bool = Field(
        description="Whether the log differs from a checkpoint that was kept, so that nothing is sealed."
    )


class DeploymentState(ApiModel):
    """What goes on in the deployment, of all tenants together."""

    sealing: SealingState = Field(description="How sealing goes.")
    jobs: list[JobCount] = Field(description="By kind and status.")


class TenantList(ApiModel):
    """All tenants, by slug."""

    tenants: list[TenantView]

"""Request and response bodies of the operator's API."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import WHOLE, ApiModel, Text

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$", examples=["meridian-bank"])]
Name = Annotated[Text, Field(min_length=1, max_length=200, examples=["Meridian Bank"])]
RequestLimit = Annotated[int, Field(ge=1, le=1_000_000, strict=True, examples=[6_000]), WHOLE]


class NewTenant(ApiModel):
    """A tenant to create."""

    slug: Slug
    name: Name | None = Field(default=None, description="Unset means the slug.")


class TenantChange(ApiModel):
    """What to change of a tenant; what is left out stays."""

    name: Name = Field(default="", description="Full name.", validate_default=False)
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


class TenantList(ApiModel):
    """All tenants, by slug."""

    tenants: list[TenantView]

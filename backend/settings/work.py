"""Settings: what is done after a request: jobs and webhooks."""

from typing import Annotated

from pydantic import BaseModel, Field

AllowedHost = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*)(:[0-9]{1,5})?$", max_length=260)]


class WorkSettings(BaseModel):
    """What is done after a request: jobs and webhooks."""

    job_lease_seconds: float = Field(
        default=30.0, ge=1, le=600, description="After how long without a sign of its worker a job is taken over."
    )
    job_seconds: float = Field(
        default=3600.0,
        ge=10,
        le=86_400,
        description="How long a job may take; then it has failed, and can be tried again.",
    )
    jobs_at_once: int = Field(
        default=3, ge=1, le=64,
        description="How many jobs a worker does beside each other, so that a file that is read for long delays no other.",
    )  # fmt: skip
    job_attempts: int = Field(default=5, ge=1, le=50, description="How often a job is tried before it has failed.")
    max_tenant_files: int = Field(
        default=1_000, ge=1, le=100_000,
        description="How many uploaded files of a tenant wait to be read; more are answered 429 before they are taken.",
    )  # fmt: skip
    max_tenant_jobs: int = Field(
        default=20, ge=1, le=10_000,
        description="How many unfinished jobs of any other kind a tenant may have, such as exports; more are answered 429.",
    )  # fmt: skip
    job_retention_days: int = Field(
        default=30, ge=1, le=3650,
        description="Days after which a job that ended is forgotten; until then one that used up its attempts can be retried.",
    )  # fmt: skip
    webhook_hosts: list[AllowedHost] = Field(
        default_factory=list, max_length=100,
        description='Hosts to which webhooks may go: `["hooks.bank.example", "*.partner.example"]`, or `["*"]` for every public '
        "host; `HOST:PORT` for one port of it; none unless named.",
    )  # fmt: skip
    webhook_own_machine: bool = Field(
        default=False, description="Lets webhooks go to this machine, also without TLS; for trying out only."
    )
    webhook_seconds: float = Field(
        default=10.0, gt=0, le=60, description="Seconds to wait for the answer of an endpoint of webhooks."
    )
    webhook_failing_days: int = Field(
        default=5, ge=1, le=90, description="Days of failures alone after which an endpoint of webhooks is disabled."
    )

"""Settings: sources, from which documents come by themselves."""

from pydantic import BaseModel, Field

from backend.settings.work import AllowedHost


class SourceSettings(BaseModel):
    """Sources, from which documents come by themselves."""

    source_hosts: list[AllowedHost] = Field(
        default_factory=list, max_length=100,
        description='Hosts from which documents may be fetched: `["files.bank.example", "*.sharepoint.com"]`, or `["*"]` for '
        "every public host; `HOST:PORT` for one port of it; none unless named.",
    )  # fmt: skip
    source_own_machine: bool = Field(
        default=False, description="Lets sources lie on this machine, also without TLS; for trying out only."
    )
    source_seconds: float = Field(
        default=60.0, gt=0, le=600, description="Seconds that one request to a source may take, with what it answers."
    )
    source_run_seconds: float = Field(
        default=300.0,
        gt=0,
        le=3600,
        description="Seconds that one run of a source may take; the next run does the rest.",
    )
    source_requests_per_minute: int = Field(
        default=120, ge=1, le=60_000, description="Requests that a run of a source makes in a minute, at most."
    )
    source_items: int = Field(
        default=5_000, ge=1, le=100_000, description="Files that one source may hold; a run that finds more takes none."
    )
    source_run_files: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="New or changed files that one run takes; the next run takes the others.",
    )
    source_run_bytes: int = Field(
        default=2 * 1024**3, ge=1, description="Bytes that one run fetches; the next run fetches the others."
    )

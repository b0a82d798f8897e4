"""Bodies of sources and their runs."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from backend.documents.models import CollectionSlug, SourceType
from backend.schema import WHOLE, ApiModel, JsonObject, Text

SourceKind = Literal["urls", "sitemap", "s3", "webdav", "imap", "graph"]
RunState = Literal["waiting", "running", "succeeded", "failed", "cancelled"]
SourceName = Annotated[Text, Field(min_length=1, max_length=100, examples=["Policies of the intranet"])]
Address = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2_000,
        pattern="^(https?|imaps)://[!-~]+([ \\r\\n]+https?://[!-~]+)*$",
        description="HTTPS, on a host that the operator allows. Of `urls`, several, with spaces or lines between them; of `s3`, "
        "`https://HOST/BUCKET`; of `webdav`, that of a folder; of `imap`, `imaps://HOST/FOLDER`; of `graph`, that of a library, "
        "`https://graph.microsoft.com/v1.0/drives/ID`, or `…/ID/root:/FOLDER:` of a folder in it.",
        examples=["https://www.bank.example/sitemap.xml"],
    ),
]
Minutes = Annotated[
    int,
    Field(ge=5, le=43_200, strict=True, description="Minutes between two runs.", examples=[60]),
    WHOLE,
]
TimeOfDay = Annotated[
    str,
    Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="When it runs each day, in UTC.", examples=["02:30"]),
]
Secret = Annotated[Text, Field(min_length=1, max_length=4_000, examples=["…"])]


class SourceCredentials(ApiModel):
    """What the source is asked with; kept sealed, and never shown again."""

    username: Annotated[Text, Field(min_length=1, max_length=200, examples=["reader"])] | None = None
    password: Secret | None = None
    token: Secret | None = Field(default=None, description="Sent as a bearer, in place of user name and password.")
    access_key: Annotated[Text, Field(min_length=1, max_length=200, examples=["AKIA…"])] | None = Field(
        default=None, description="Names who asks a bucket."
    )
    secret_key: Secret | None = Field(default=None, description="Signs what a bucket is asked.")
    client_id: Annotated[Text, Field(min_length=1, max_length=200, examples=["5f8c…"])] | None = Field(
        default=None, description="Names the program that a directory lets read a library of SharePoint or OneDrive."
    )
    client_secret: Secret | None = Field(default=None, description="Proves that program to its directory.")

    def given(self) -> dict[str, str]:
        """Returns those that there are."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class SourceOptions(ApiModel):
    """What else says where the files are, of a bucket, or of a library of SharePoint or OneDrive."""

    prefix: Annotated[Text, Field(min_length=1, max_length=500, examples=["policies/"])] | None = Field(
        default=None, description="Only objects whose keys begin so."
    )
    region: Annotated[str, Field(pattern="^[a-z0-9-]{1,50}$", examples=["eu-central-1"])] | None = Field(
        default=None, description="Where the bucket is; unset means us-east-1."
    )
    authority: (
        Annotated[
            str,
            Field(
                max_length=500, pattern="^https?://[!-~]+$", examples=["https://login.microsoftonline.com/bank.example"]
            ),
        ]
        | None
    ) = Field(
        default=None, description="The directory that grants tokens for a library; the client's secret goes there."
    )

    def given(self) -> dict[str, str]:
        """Returns those that there are."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class Schedule(ApiModel):
    """When a source runs by itself; without either it runs when somebody asks for it."""

    every_minutes: Minutes | None = None
    daily_at: TimeOfDay | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.every_minutes is not None and self.daily_at is not None:
            message = "schedule: is either every_minutes or daily_at"
            raise ValueError(message)
        return self

    @property
    def daily_minute(self) -> int | None:
        """The minute of the day in UTC."""
        if self.daily_at is None:
            return None
        hours, minutes = self.daily_at.split(":")
        return int(hours) * 60 + int(minutes)

    @classmethod
    def of(cls, every_minutes: int | None, daily_minute: int | None) -> "Schedule":
        """Returns a schedule as it is shown."""
        daily_at = None if daily_minute is None else f"{daily_minute // 60:02}:{daily_minute % 60:02}"
        return cls(every_minutes=every_minutes, daily_at=daily_at)


class NewSource(ApiModel):
    """A source, from which documents of one collection come by themselves."""

    name: SourceName
    kind: SourceKind = Field(description="What kind of source it is.", examples=["sitemap"])
    collection: CollectionSlug = Field(
        description="Its documents go there, and nowhere else; it must ask for approvals.", examples=["policies"]
    )
    address: Address
    options: SourceOptions = Field(default_factory=SourceOptions, description="What else says where the files are.")
    credentials: SourceCredentials | None = Field(
        default=None, description="What it is asked with, if it asks who calls; a bucket always does."
    )
    source_type: SourceType = Field(default="document", description="What kind of documents they are.")
    metadata: JsonObject = Field(default_factory=dict, description="What each of its documents says of itself.")
    schedule: Schedule = Field(default_factory=Schedule, description="When it runs by itself.")


class SourceChange(ApiModel):
    """What of a source is to change; what is not named stays. Who changes it answers for what it writes from then on."""

    name: SourceName | None = None
    address: Address | None = Field(default=None, description="Where it is; elsewhere it needs credentials anew.")
    options: SourceOptions | None = Field(default=None, description="What else says where the files are.")
    credentials: SourceCredentials | None = Field(
        default=None, description="Others in their place; null takes them away."
    )
    source_type: SourceType | None = Field(default=None, description="What kind of documents they are.")
    metadata: JsonObject | None = Field(default=None, description="What each new version says of itself.")
    schedule: Schedule | None = Field(default=None, description="When it runs by itself.")
    status: Literal["enabled", "disabled"] | None = Field(
        default=None, description="One that is disabled does not run.", examples=["disabled"]
    )


class LastRun(ApiModel):
    """How the last run of a source went, apart from dry runs."""

    id: UUID
    state: RunState = Field(description="How far it is.", examples=["succeeded"])
    reason: str | None = Field(description="Why it failed, as a code.", examples=[None])
    finished_at: datetime | None
    counts: dict[str, Any] | None = Field(
        description="How many files were what.", examples=[{"new": 3, "unchanged": 120}]
    )


class SourceView(ApiModel):
    """A source, without what it is asked with."""

    id: UUID
    name: str = Field(description="What people call it.", examples=["Policies of the intranet"])
    kind: SourceKind = Field(description="What kind of source it is.", examples=["sitemap"])
    collection: str
    address: str = Field(description="Where it is.", examples=["https://www.bank.example/sitemap.xml"])
    options: SourceOptions = Field(description="What else says where the files are.")
    has_credentials: bool = Field(description="Whether it is asked with credentials.", examples=[False])
    source_type: str
    metadata: dict[str, Any]
    schedule: Schedule = Field(description="When it runs by itself.")
    next_run_at: datetime | None = Field(description="When it is due next.")
    status: Literal["enabled", "disabled"] = Field(description="Whether it runs.", examples=["enabled"])
    responsible_id: UUID = Field(description="Who answers for what it writes, and approves none of it.")
    created_by: UUID
    created_at: datetime
    last_run: LastRun | None = Field(description="Null before the first.")


class SourceList(ApiModel):
    """Sources, newest first."""

    sources: list[SourceView]


class NewSourceRun(ApiModel):
    """What is asked of a run."""

    dry_run: bool = Field(default=False, description="Whether it only says what it would do.", examples=[True])
    accept_gone: bool = Field(
        default=False, description="Whether it goes on although more than half of the files are gone.", examples=[False]
    )


class RunChange(ApiModel):
    """What became of one file."""

    change: Literal["new", "changed", "renamed", "gone", "refused"] = Field(
        description="`gone`: its retirement was asked for. `refused`: it was not taken.", examples=["new"]
    )
    path: str | None = Field(
        default=None, description="What the source calls it; null when it was erased.", examples=["policies/wires.pdf"]
    )
    reason: str | None = Field(default=None, description="Why it was refused, as a code.", examples=[None])
    document_id: UUID | None = None


class RunView(ApiModel):
    """A run of a source; it is a job of the same id."""

    id: UUID
    source_id: UUID
    asked_by: UUID | None = Field(description="Who asked for it; null when it was due.")
    dry_run: bool = Field(description="Whether it only said what it would do.", examples=[False])
    state: RunState = Field(description="How far it is.", examples=["succeeded"])
    reason: str | None = Field(description="Why it failed, as a code; nothing changed then.", examples=[None])
    counts: dict[str, Any] | None = Field(
        description="How many files were what, and why how many were refused.",
        examples=[{"new": 3, "changed": 1, "unchanged": 120, "refused": 1, "reasons": {"type": 1}}],
    )
    created_at: datetime
    finished_at: datetime | None


class RunDetails(RunView):
    """A run, with what became of the first 200 files that were not as before."""

    changes: list[RunChange] | None = Field(description="Null until it has succeeded.")


class RunPage(ApiModel):
    """Runs, newest first."""

    runs: list[RunView]
    next_cursor: UUID | None

"""What the service returns. Offsets count code points; moments carry a zone. `/docs` of the service describes every member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID


class Scope(TypedDict, total=False):
    """What is searched: everything that the caller may read and that is in force, narrowed by these."""

    collection: str | Sequence[str]
    source_type: str | Sequence[str]
    language: str | Sequence[str]
    filters: Mapping[str, Any]
    as_of: datetime | str
    known_at: datetime | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The tenant of a caller."""

    id: UUID
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who is calling, and what they may do."""

    id: UUID
    kind: Literal["user", "key"]
    name: str
    tenant: Tenant
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    readable_collections: tuple[str, ...]
    writable_collections: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What supports the sentence from `start` to `end` of an answer; `link` opens the document at the quoted words."""

    number: int
    start: int
    end: int
    support: Literal["verbatim", "close", "judged"]
    doc_id: str
    document_id: UUID
    document_version: int
    chunk_id: UUID
    quote: str
    link: str
    page_start: int | None = None
    page_end: int | None = None
    page_label: str | None = None
    heading_path: tuple[str, ...] | None = None
    recognition_confidence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, each sentence cited, or a refusal: then `answer` is empty, and `reason` and `notice` say why."""

    question: str
    answer: str
    refused: bool
    citations: tuple[Citation, ...]
    model: str
    turn: UUID
    conversation: UUID
    audit_event_id: UUID
    reason: str | None = None
    notice: str | None = None
    read_as: str | None = None
    dropped: int = 0
    cut: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A passage that was found, and where it stands; `link` is a path of the service."""

    chunk_id: UUID
    chunk_text: str
    doc_id: str
    document_id: UUID
    document_version: int
    collection: str
    source_type: str
    metadata: dict[str, Any]
    score: float
    rank: int
    link: str
    page_start: int | None = None
    page_end: int | None = None
    page_label: str | None = None
    heading_path: tuple[str, ...] | None = None
    recognition_confidence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """The best passages, and the event that records that they were shown."""

    query: str
    contexts: tuple[Context, ...]
    audit_event_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One ready-made passage of a document."""

    doc_id: str
    chunk_text: str
    source_type: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    collection: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is, in units of its own such as pages; `total` is None while it is not known."""

    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that the service does after it has answered."""

    id: UUID
    kind: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: JobError | None = None
    retryable: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that was uploaded to a document before."""

    sha256: str
    job_id: UUID
    is_latest: bool
    document_version: int | None = None
    job_status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What becomes of a file: the job that makes a version of it, or None where the service has the same file already."""

    doc_id: str
    sha256: str
    job_id: UUID | None = None
    document_version: int | None = None


class Budgets(TypedDict, total=False):
    """What a key may use: tokens and money of a day and a month in UTC, the latter in the currency of the prices."""

    tokens_day: int
    tokens_month: int
    cost_day: float
    cost_month: float


class KeyBounds(TypedDict, total=False):
    """What bounds a key beside its permissions and collections."""

    purpose: str
    expires_at: datetime
    allowed_networks: Sequence[str]
    requests_per_minute: int
    requests_per_day: int
    budgets: Budgets
    assertion_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key without its secret."""

    id: UUID
    name: str
    permissions: tuple[str, ...]
    collections: tuple[str, ...]
    purpose: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key with its secret, which is shown this once."""

    id: UUID
    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSourceRun:
    """How the last run of a source went."""

    id: UUID
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """From where documents of a collection come by themselves, without what it is asked with."""

    id: UUID
    name: str
    kind: str
    collection: str
    address: str
    status: str
    has_credentials: bool = False
    next_run_at: datetime | None = None
    last_run: LastSourceRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """What became of one file of a run; of one that was erased, it is not told which."""

    change: str
    path: str | None = None
    reason: str | None = None
    document_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRun:
    """A run of a source; `changes` tells of its first files, where it was asked for alone."""

    id: UUID
    source_id: UUID
    state: str
    dry_run: bool
    created_at: datetime
    reason: str | None = None
    counts: Mapping[str, Any] | None = None
    finished_at: datetime | None = None
    changes: tuple[SourceFile, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint that is told of events, without its secret."""

    id: UUID
    url: str
    kinds: tuple[str, ...]
    status: str
    disabled_because: str | None = None
    description: str | None = None
    failing_since: datetime | None = None
    delivered_at: datetime | None = None
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """An endpoint with the secret that signs what is sent to it, which is shown this once."""

    id: UUID
    url: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhookSecret:
    """Another secret of an endpoint, which is shown this once."""

    id: UUID
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """A message to an endpoint, and how far it is. Its id is the `webhook-id`."""

    id: UUID
    kind: str
    state: str
    attempts: int
    created_at: datetime
    response_status: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """One file of a long export."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export of the audit log, which a job writes."""

    id: UUID
    job_id: UUID
    parts: tuple[ExportPart, ...] = ()
    sha256: str | None = None
    size: int | None = None

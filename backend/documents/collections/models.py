"""Request and response bodies of collections and of the grants to them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from backend.documents.parsing.findings import WarningKind
from backend.identity.callers.permissions import Role
from backend.language.stemming import LANGUAGES
from backend.personal_data.policy import Policy
from backend.schema import ApiModel, JsonObject, Text


def _with_word_stems(language: str) -> str:
    if language not in LANGUAGES:
        message = f"must be one of {', '.join(LANGUAGES)}"
        raise ValueError(message)
    return language


Language = Annotated[
    str,
    AfterValidator(_with_word_stems),
    WithJsonSchema({"type": "string", "enum": LANGUAGES, "examples": ["english"]}),
]
CollectionName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Compliance guidance"])]
Approvers = Annotated[int, Field(ge=1, le=9, description="How many people must approve a version.")]
MetadataSchema = Annotated[
    JsonObject,
    Field(
        description="JSON Schema (2020-12) that metadata must meet; without references.",
        examples=[
            {"type": "object", "required": ["jurisdiction"], "properties": {"jurisdiction": {"enum": ["US", "CA"]}}}
        ],
    ),
]

RefusedWarnings = Annotated[
    list[WarningKind],
    Field(
        max_length=len(WarningKind),
        description="A file whose parser warns of one of these kinds becomes no version.",
        examples=[["scanned_page"]],
    ),
]
PersonalDataPolicy = Annotated[
    Policy,
    Field(
        description=(
            "What is done about personal data, such as account numbers. `tell`: it is counted. `mask`: chunks that are found "
            "and prompts have pseudonyms in its place, and answers have it back. `refuse`: nothing that has any is taken, and "
            "no question that has any is asked of the collection."
        ),
        examples=["mask"],
    ),
]


class NewCollection(ApiModel):
    """A collection to create."""

    slug: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", examples=["compliance-guidance"])]
    name: CollectionName
    language: Language = Field(
        default="english", description="The language whose word stems lexical retrieval compares."
    )
    approval_required: bool = False
    approvers: Approvers = 1
    metadata_schema: MetadataSchema | None = None
    refused_warnings: RefusedWarnings = Field(default_factory=list)
    personal_data: PersonalDataPolicy = Policy.TELL


class CollectionChange(ApiModel):
    """What of a collection is to change; what is not named stays."""

    name: CollectionName = Field(default_factory=str)  # its schema shows no default, which would be too short a name
    approval_required: bool = False
    approvers: Approvers = 1
    metadata_schema: MetadataSchema | None = None
    refused_warnings: RefusedWarnings = Field(default_factory=list)
    personal_data: PersonalDataPolicy = Policy.TELL


class CollectionView(ApiModel):
    """A collection, and whether the caller may read and write it."""

    id: UUID
    slug: str
    name: str
    language: str
    approval_required: bool
    approvers: int
    metadata_schema: dict[str, Any] | None
    refused_warnings: list[WarningKind]
    personal_data: PersonalDataPolicy
    created_at: datetime
    readable: bool
    writable: bool


class CollectionList(ApiModel):
    """Collections, by slug."""

    collections: list[CollectionView]


class NewGrant(ApiModel):
    """Access to a collection for one role, or for one principal: a user or a key."""

    model_config = ConfigDict(
        json_schema_extra={
            # A condition and not alternatives, of which generators would make classes of their own.
            "if": {"required": ["role"], "properties": {"role": {"type": "string"}}},
            "then": {"properties": {"principal_id": {"type": "null"}}},
            "else": {"required": ["principal_id"], "properties": {"principal_id": {"type": "string"}}},
        }
    )
    access: Literal["read", "write"]
    role: Role | None = Field(default=None, examples=["analyst"])
    principal_id: UUID | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.role is None) == (self.principal_id is None):
            message = "name either a role or a principal_id"
            raise ValueError(message)
        return self


class GrantView(ApiModel):
    """Who may read or write a collection."""

    id: UUID
    access: str
    role: str | None
    principal_id: UUID | None
    principal_name: str | None
    created_at: datetime


class GrantList(ApiModel):
    """The grants of a collection, oldest first."""

    grants: list[GrantView]


class CollectionReader(ApiModel):
    """A user or key that reads or writes a collection now."""

    id: UUID
    kind: Literal["user", "key"]
    name: str
    reads: bool
    writes: bool
    through: list[str] = Field(description="`itself`, or the roles to which it is granted.", examples=[["analyst"]])


class ReaderList(ApiModel):
    """Who reads or writes a collection now."""

    readers: list[CollectionReader]

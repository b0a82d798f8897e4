"""Bodies of the events of the log: filters, pages, proofs, who read a document, and prompts without an answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from backend.audit.actions import ActionName
from backend.audit.events import DoorKind, Outcome
from backend.errors import InvalidInput
from backend.schema import ApiModel, Moment, Text


class EventFilters(ApiModel):
    """Which events; unset takes all."""

    since: Moment | None = Field(default=None, alias="from", description="Events at or after this moment.")
    until: Moment | None = Field(default=None, alias="to", description="Events before this moment.")
    actor: Annotated[Text, Field(max_length=128)] | None = Field(
        default=None, description="Id of a principal, user name, or name of a key."
    )
    action: ActionName | None = None
    outcome: Outcome | None = None
    document: Annotated[Text, Field(max_length=256)] | None = Field(default=None, description="A doc_id.")
    request_id: Annotated[Text, Field(max_length=64)] | None = None
    turn: UUID | None = Field(default=None, description="A prompt and everything that became of it.")
    conversation: UUID | None = Field(default=None, description="What requests named as their `conversation`.")
    end_user: Annotated[Text, Field(max_length=200)] | None = Field(
        default=None, description="For whom partners' keys acted, in the partner's words (X-On-Behalf-Of)."
    )
    door: DoorKind | None = Field(default=None, description="By which protocol the request came.")
    reason: Annotated[Text, Field(min_length=3, max_length=500, examples=["permission:documents:write"])] | None = (
        Field(default=None, description="Why the service refused or failed, in the words of the record.")
    )


class Facet(StrEnum):
    """What found events can be counted by."""

    ACTION = "action"
    ACTOR = "actor"
    OUTCOME = "outcome"
    MODEL = "model"
    DOOR = "door"


_FACET = "|".join(Facet)
_LIST_OF_FACETS = f"^({_FACET})(,({_FACET}))*$"


class PageOfEvents(ApiModel):
    """Which page of the events found, and by what to count them."""

    limit: int = Field(default=50, ge=1, le=500)
    cursor: Annotated[Text, Field(max_length=64)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )
    facets: Annotated[Text, Field(max_length=64, examples=["action,door"])] | None = Field(
        default=None,
        json_schema_extra={"pattern": _LIST_OF_FACETS},
        description="By what to count the events found: names of `action,actor,outcome,model,door`.",
    )

    def counted(self) -> list[Facet]:
        """Returns the facets asked for; raises InvalidInput for one that there is not."""
        names = [name.strip() for name in self.facets.split(",")] if self.facets else []
        if unknown := [name for name in names if name not in set(Facet)]:
            raise InvalidInput(f"facets: {unknown[0]!r} is none of {', '.join(Facet)}")
        return [Facet(name) for name in dict.fromkeys(names)]


class FacetCount(ApiModel):
    """How many of the counted events have one value."""

    value: str = Field(description="What the filter of the same name takes.")
    label: str | None = Field(default=None, description="The name of an actor today.")
    count: int


class EventView(ApiModel):
    """One event: the members that reviewers filter by, and its envelope as it was recorded."""

    id: UUID
    time: datetime
    action: str
    outcome: str
    reason: str | None = None
    principal_id: UUID | None = None
    principal_name: str | None = Field(default=None, description="The name today; the envelope holds the id.")
    request_id: str
    event: dict[str, Any] = Field(description="The recorded envelope.")
    payloads: dict[str, str] | None = Field(default=None, description="Decrypted texts, when revealed.")


class EventPage(ApiModel):
    """Events, newest first."""

    events: list[EventView]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")
    facets: dict[Facet, list[FacetCount]] | None = Field(
        default=None,
        description="What was asked for with `facets`, most frequent first; of the newest 10,000 events that the filters find.",
    )


class SignedCheckpoint(ApiModel):
    """What the tenant's log commits to."""

    checkpoint: str = Field(
        description="Origin, size, root and time: a C2SP signed note (Ed25519), or the text of one with its C2SP tlog-proof in "
        "the signed log of all checkpoints."
    )
    size: int = Field(description="Number of sealed events.")
    public_key: str | None = Field(description="The verifier key: name, key id and public key.")


class InclusionProof(ApiModel):
    """Proves that an event is in the log that a checkpoint commits to (RFC 6962, section 2.1.1)."""

    event_id: UUID
    leaf_index: int
    leaf_hash: str = Field(description="Hex SHA-256 of a zero byte and the envelope's UTF-8 text.")
    tree_size: int
    proof: list[str] = Field(description="Hex hashes from the leaf's sibling up to the root.")
    envelope: str = Field(description="The sealed text, byte for byte.")
    checkpoint: str
    public_key: str | None


class ConsistencyProof(ApiModel):
    """Proves that the log of one size is a prefix of the log of another (RFC 6962, section 2.1.2)."""

    first: int
    second: int
    proof: list[str]
    first_checkpoint: str | None = Field(description="A signed checkpoint of the first size, if one was signed.")
    second_checkpoint: str | None


class DocumentReader(ApiModel):
    """One time that somebody was shown a document."""

    principal_id: UUID | None
    principal_name: str | None
    time: datetime
    action: str
    event_id: UUID


class ReaderPage(ApiModel):
    """Who was shown a document, newest first."""

    doc_id: str
    readers: list[DocumentReader]
    next_cursor: str | None


class OpenTurn(ApiModel):
    """A prompt without an answer."""

    event_id: UUID
    time: datetime
    principal_id: UUID | None
    request_id: str


class OpenTurns(ApiModel):
    """Prompts without an answer, newest first."""

    turns: list[OpenTurn]

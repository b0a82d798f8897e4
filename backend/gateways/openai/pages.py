"""Pages of lists, as OpenAI's clients turn them: `limit`, `order`, and the id behind or before which a page lies."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import Field

from backend.gateways.openai.models import LenientModel
from backend.schema import Text

Row = TypeVar("Row")


class PageQuery(LenientModel):
    """Which page of a list is asked for."""

    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")
    order: Literal["asc", "desc"] = Field(default="desc", description="By time of creation.")
    after: Annotated[Text, Field(max_length=100)] | None = Field(
        default=None, description="The last id of the page before."
    )
    before: Annotated[Text, Field(max_length=100)] | None = Field(
        default=None, description="The first id of the page behind, to turn back; not read together with `after`."
    )

    def span(self, identifier: Callable[[str], UUID]) -> "Span":
        """Returns the page in ids of this service, which begin with their time; raises what `identifier` does."""
        forwards = self.after is not None or self.before is None
        edge = self.after if forwards else self.before
        return Span(
            edge=None if edge is None else identifier(edge), descending=(self.order == "desc") is forwards,
            turned=not forwards, limit=self.limit,
        )  # fmt: skip


Page = Annotated[PageQuery, Query()]


@dataclass(frozen=True, slots=True)
class Span:
    """How a page is read: from behind an edge, in one direction; a page that is turned back to is read from its end."""

    edge: UUID | None
    descending: bool
    turned: bool
    limit: int

    def of(self, rows: Iterable[Row], identifier: Callable[[Row], UUID]) -> list[Row]:
        """Returns of all rows those of the page, and one more where there is one, in the order in which they are read."""
        ordered = sorted(rows, key=identifier, reverse=self.descending)
        return [row for row in ordered if self._behind(identifier(row))][: self.limit + 1]

    def page(self, read: Sequence[Row], shown: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
        """Returns the page of rows that were read, of which one may be too many."""
        kept = list(read[: self.limit])
        if self.turned:
            kept.reverse()
        return page([shown(row) for row in kept], has_more=len(read) > self.limit)

    def _behind(self, identifier: UUID) -> bool:
        if self.edge is None:
            return True
        return identifier < self.edge if self.descending else identifier > self.edge


def page(objects: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Returns a page of a list as OpenAI's clients read it."""
    first, last = (objects[0]["id"], objects[-1]["id"]) if objects else (None, None)
    return {"object": "list", "data": list(objects), "first_id": first, "last_id": last, "has_more": has_more}

"""Searching without an answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.console.page import page
from backend.console.page import router as pages
from backend.console.pages.ask import collections_of, meanwhile
from backend.console.viewer import viewer_of
from backend.console.visit import Signed, may, requires
from backend.console.wording import N_, words
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import Explanation, RetrievalRequest
from backend.retrieval.stages import Hit
from backend.schema import ApiModel, Text
from backend.tenancy import Tenancy

router = pages()

_SHOWN = 20
_FACETS = {"source_type": N_("Kind"), "collection": N_("Collection"), "jurisdiction": N_("Jurisdiction")}
_MOST_VALUES = 8

Value = Annotated[Text, Query(max_length=128)]
Option = tuple[str, str, int | None, bool]
Facet = tuple[str, list[Option]]


class Chosen(ApiModel):
    """What stands in the address."""

    q: str = ""
    collection: str = ""
    source_type: str = ""
    jurisdiction: str = ""
    as_of: str = ""
    explain: str = ""

    def request(self) -> RetrievalRequest:
        """Returns it as the service takes it; raises ValidationError."""
        asked: dict[str, Any] = {
            "query": self.q, "k": _SHOWN, "collection": self.collection or None, "source_type": self.source_type or None,
            "as_of": self.as_of or None, "explain": bool(self.explain),
            "filters": {"jurisdiction": self.jurisdiction} if self.jurisdiction else {},
        }  # fmt: skip
        return RetrievalRequest.model_validate({name: value for name, value in asked.items() if value is not None})


def chosen_in_address(
    q: Annotated[Text, Query(max_length=4000)] = "", collection: Value = "", source_type: Value = "",
    jurisdiction: Value = "", as_of: Value = "", explain: Value = "",
) -> Chosen:  # fmt: skip
    """Returns what stands in the address."""
    return Chosen(
        q=q, collection=collection, source_type=source_type, jurisdiction=jurisdiction, as_of=as_of, explain=explain
    )


@router.get("/search")
async def search(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    retrieval: Provided[Retrieval],
    chosen: Annotated[Chosen, Depends(chosen_in_address)],
) -> Response:
    """Shows the passages that bear on some words; what was found is on record."""
    requires(visitor, Permission.RETRIEVAL_QUERY)
    hits: Sequence[Hit] = []
    explanations: Mapping[Any, Explanation] = {}
    said = None
    async with meanwhile(collections_of(tenancy, visitor)) as listing:
        if chosen.q.strip():
            try:
                asked = await retrieval.ask(visitor.caller, chosen.request())
                hits, explanations = asked.hits, asked.explanations
            except (ValidationError, InvalidInput) as error:
                said = error.detail if isinstance(error, InvalidInput) else error.errors()[0]["msg"]
        collections = await listing
    return page(
        request, "search.html", visitor, chosen=chosen, collections=collections, hits=hits, said=said,
        explanations=explanations, facets=_facets(hits, chosen, viewer_of(request).language),
        may_explain=may(visitor, Permission.DOCUMENTS_REVIEW),
    )  # fmt: skip


def _facets(hits: Sequence[Hit], chosen: Chosen, language: str) -> list[Facet]:
    """Returns the values by which these passages differ, each with how many have it and the address that keeps those."""
    facets: list[Facet] = []
    for name, label in _FACETS.items():
        current = getattr(chosen, name)
        counted = Counter(str(value) for hit in hits if isinstance(value := _value(hit, name), str))
        if len(counted) < 2 and not current:
            continue
        options: list[Option] = [(_without(chosen, name, ""), words(language).gettext(N_("any")), None, not current)]
        options += [
            (_without(chosen, name, value), value, count, value == current)
            for value, count in counted.most_common(_MOST_VALUES)
        ]
        facets.append((words(language).gettext(label), options))
    return facets


def _value(hit: Hit, name: str) -> object:
    return hit.metadata.get(name) if name == "jurisdiction" else getattr(hit, name)


def _without(chosen: Chosen, name: str, value: str) -> str:
    kept = {**chosen.model_dump(), name: value}
    return "?" + urlencode({key: text for key, text in kept.items() if text})

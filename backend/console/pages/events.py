"""The log: events by filters, searches that one comes back to, and one event with its proof."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.actions import ACTIONS
from backend.audit.events import Outcome
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.console.page import HEADERS, page, to
from backend.console.page import router as pages
from backend.console.viewer import viewer_of
from backend.console.visit import Sender, Signed, requires
from backend.console.wording import N_
from backend.console.wording import words as words_in
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.analysis import saved_searches
from backend.review.analysis.models import NewSavedSearch
from backend.review.events import proofs
from backend.review.events import service as events
from backend.review.events.models import EventPage, Facet, InclusionProof
from backend.schema import Text
from backend.settings import Settings
from backend.tenancy import Tenancy

router = pages()

Cursor = Annotated[Text, Query(max_length=64)]
_FILTERS = ("action", "outcome", "actor", "document", "request_id", "door", "end_user", "reason", "from", "to")
_FACETS = (Facet.ACTION, Facet.ACTOR, Facet.OUTCOME, Facet.DOOR)
_LABELS = {"action": N_("Action"), "actor": N_("Who"), "outcome": N_("Outcome"), "door": N_("By")}
_MOST_VALUES = 12


def chosen_in_address(request: Request) -> dict[str, str]:
    """Returns the filters that stand in the address, as they were written."""
    return {name: request.query_params.get(name, "")[:500] for name in _FILTERS}


FacetShown = tuple[str, list[tuple[str, str, int, bool]]]
Chosen = Annotated[dict[str, str], Depends(chosen_in_address)]


def _as_search(chosen: dict[str, str], name: str = "shown") -> NewSavedSearch:
    """Returns filters as the service takes them; days begin in UTC. Raises InvalidInput."""
    filled = {name: value.strip() for name, value in chosen.items() if value.strip()}
    days = {
        name: f"{filled[name]}T00:00:00Z" for name in ("from", "to") if len(filled.get(name, "")) == len("2026-01-01")
    }
    try:
        return NewSavedSearch.model_validate({"name": name, "filters": {**filled, **days}})
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(f"{problem['loc'][-1]}: {problem['msg']}") from error


@router.get("/review")
async def list_events(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    words: Provided[SearchWords],
    chosen: Chosen,
    cursor: Cursor = "",
) -> Response:
    """Lists events, newest first, by the filters in the address."""
    requires(visitor, Permission.AUDIT_READ)
    wanted = events.EventFilter.of(_as_search(chosen).filters)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await events.list_events(
            connection, visitor.caller, recorder, words, wanted, limit=50, cursor=cursor or None,
            facets=() if cursor else _FACETS,
        )  # fmt: skip
        searches = (await saved_searches.list_saved(connection, visitor.caller)).searches
    runnable = [(search, f"/console/review?{urlencode(search.filters)}") for search in searches]
    return page(
        request, "events.html", visitor, found=found, chosen=chosen, actions=list(ACTIONS), outcomes=list(Outcome),
        searches=runnable, facets=_facets(found, chosen, viewer_of(request).language),
    )  # fmt: skip


def _facets(found: EventPage, chosen: dict[str, str], language: str) -> list[FacetShown]:
    """Returns the values by which the events found differ, each with how many have it and the address that keeps those."""
    facets = []
    for facet, counts in (found.facets or {}).items():
        name = facet.value
        options = [
            (_address({**chosen, name: "" if chosen.get(name) == one.value else one.value}), one.label or one.value,
             one.count, chosen.get(name) == one.value)
            for one in counts[:_MOST_VALUES]
        ]  # fmt: skip
        if len(options) > 1 or any(option[3] for option in options):
            facets.append((words_in(language).gettext(_LABELS[name]), options))
    return facets


def _address(chosen: dict[str, str]) -> str:
    return f"/console/review?{urlencode({name: value for name, value in chosen.items() if value})}"


@router.post("/review/searches")
async def save_search(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    name: Annotated[Text, Form(min_length=1, max_length=100)],
    filters: Annotated[Text, Form(max_length=2000)],
) -> Response:
    """Keeps the filters of the page under a name."""
    requires(visitor, Permission.AUDIT_READ)
    given = dict(part.split("=", 1) for part in filters.split("\n") if "=" in part)
    wanted = _as_search({key: given.get(key, "").strip() for key in _FILTERS}, name)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await saved_searches.save(connection, visitor.caller, recorder, wanted)
    return to(f"/console/review?{urlencode({key: value for key, value in given.items() if value.strip()})}")


@router.post("/review/searches/{search_id}/delete")
async def delete_search(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], search_id: UUID
) -> Response:
    """Forgets one of the visitor's own searches."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await saved_searches.delete(connection, visitor.caller, recorder, search_id)
    return to("/console/review")


@router.get("/review/events/{event_id}")
async def show_event(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    event_id: UUID,
) -> Response:
    """Shows one event, and verifies in the browser that it is in the sealed log."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        event = await events.get_event(connection, visitor.caller, recorder, payloads, event_id, None)
    return page(request, "event.html", visitor, event=event)


@router.get("/review/events/{event_id}/proof")
async def prove(
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    event_id: UUID,
) -> Response:
    """Gives the page what it verifies; nothing as long as the event is not sealed."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        try:
            proof: InclusionProof | None = await proofs.inclusion(
                connection, visitor.caller, recorder, event_id, settings.checkpoint_public_key
            )
        except NotFound:  # recorded, and not sealed yet
            proof = None
    told = "{}" if proof is None else proof.model_dump_json()
    return Response(told, media_type="application/json", headers=HEADERS)

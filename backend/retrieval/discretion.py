"""Puts pseudonyms for personal data in a question, and in the chunks that it finds, where a searched collection asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from anyio import to_thread

from backend.audit.actions.retrieval import QuestionRefused
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Queries
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.personal_data.policy import Policy, strictest
from backend.personal_data.pseudonyms import Pseudonymous, Pseudonyms, counts, values_in
from backend.retrieval.models import RetrievalRequest
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

_SHORT_QUESTION = (
    200  # characters, in which to look for personal data takes microseconds, of the worst ones one millisecond
)

Request = TypeVar("Request", bound=RetrievalRequest)


@dataclass(frozen=True, slots=True)
class Discretion:
    """The pseudonyms of who asks; how much was found in the question as asked, and the question if it has pseudonyms now."""

    pseudonyms: Pseudonyms
    found: Mapping[str, int] = field(default_factory=dict)
    masked: Pseudonymous | None = None

    @property
    def values(self) -> Mapping[str, str]:
        """What stands behind the pseudonyms in the question."""
        return self.masked.values if self.masked else {}


async def _given(pseudonyms: Pseudonyms, query: str) -> Pseudonymous:
    """Returns a question with pseudonyms. A thread for a short one would cost more than the looking does."""
    if len(query) <= _SHORT_QUESTION:
        return pseudonyms.given(query)
    return await to_thread.run_sync(pseudonyms.given, query)


async def discreetly(
    tenancy: Tenancy, recorder: Recorder, pseudonyms: Pseudonyms, caller: Caller, request: Request
) -> tuple[Request, Discretion]:
    """Returns the question as it may be asked of the collections that it searches: the strictest of them decides.

    Raises InvalidInput, which is recorded, when the question holds personal data and one of them takes none.
    """
    given = await _given(pseudonyms, request.query)
    if not given.findings:
        return request, Discretion(pseudonyms)
    found = counts(values_in(given.findings))
    async with tenancy.transaction(caller.claims()) as connection:
        rows = await connection.fetch(queries.policies, caller.tenant_id, list(caller.readable), request.collections)
    policy = strictest(Policy(row["personal_data"]) for row in rows)
    if policy is Policy.REFUSE:
        reason, slugs = "personal_data:refused", [row["slug"] for row in rows if row["personal_data"] == policy]
        async with tenancy.transaction(caller.claims()) as connection:
            refused = QuestionRefused(collections=slugs[:10], personal_data=found, conversation=request.conversation)
            await recorder.record(connection, caller, Event(refused, Outcome.DENIED, reason))
        held = ", ".join(f"{number} of kind {kind}" for kind, number in found.items())
        detail = (
            f"The question holds personal data ({held}), of which the collection {slugs[0]!r} takes none: leave it out, "
            "or name other collections."
        )
        raise InvalidInput(detail, reason=reason)
    if policy is Policy.TELL:
        return request, Discretion(pseudonyms, found)
    return request.model_copy(update={"query": given.text}), Discretion(pseudonyms, found, given)

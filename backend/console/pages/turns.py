"""One turn on one page, and the review of answers: what was reported, what is drawn, and what reviewers found."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Form, Query, Request
from fastapi.responses import Response

from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires, requires_fresh
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import Provided
from backend.review.erasure import service as erasure
from backend.review.events.models import EventView
from backend.review.quality import service as quality
from backend.review.quality.models import AnswerVerdict, Because, NewVerdict
from backend.review.replay.models import ReplayRequest
from backend.review.replay.service import Replaying
from backend.review.turns import service as turns
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

Reason = Annotated[Text, Form(max_length=500)]
_SHORTEST_REASON = 3


@router.get("/review/turns/{turn}")
async def show_turn(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    turn: UUID,
    because: Annotated[Because, Query()] = Because.REPORTED,
) -> Response:
    """Shows everything on record of a question, without its texts."""
    return await _turn(request, visitor, tenancy, recorder, payloads, turn, None, because)


@router.post("/review/turns/{turn}")
async def reveal_turn(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    turn: UUID,
    reason: Reason = "",
    because: Annotated[Because, Form()] = Because.REPORTED,
) -> Response:
    """Shows the turn with its texts; the reviewer's reason goes on record."""
    requires(visitor, Permission.AUDIT_REVEAL)
    if again := requires_fresh(visitor, f"/console/review/turns/{turn}"):
        return again
    return await _turn(request, visitor, tenancy, recorder, payloads, turn, _checked(reason), because)


@router.post("/review/turns/{turn}/verdict")
async def judge(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    turn: UUID,
    verdict: Annotated[AnswerVerdict, Form()],
    because: Annotated[Because, Form()],
    comment: Annotated[Text, Form(max_length=2000)] = "",
) -> Response:
    """Puts on record what a reviewer found of an answer."""
    requires(visitor, Permission.AUDIT_REVEAL)
    given = NewVerdict(verdict=verdict, because=because, comment=comment.strip() or None)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await quality.judge(connection, visitor.caller, recorder, turn, given)
    return to("/console/review/quality")


@router.post("/review/events/{event_id}/replay")
async def replay(
    request: Request, visitor: Sender, replaying: Provided[Replaying], event_id: UUID, reason: Reason = ""
) -> Response:
    """Re-runs a retrieval as it was then, and shows whether it finds the same."""
    requires(visitor, Permission.AUDIT_REVEAL)
    if again := requires_fresh(visitor, f"/console/review/events/{event_id}"):
        return again
    done = await replaying.replay(visitor.caller, event_id, ReplayRequest(reason=_checked(reason)))
    return page(request, "replay.html", visitor, done=done)


@router.get("/review/quality")
async def show_quality(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    cursor: Annotated[Text, Query(max_length=64)] = "",
    seed: Annotated[Text, Query(max_length=64)] = "",
) -> Response:
    """Shows what was reported, a sample of answers to look at, and what the verdicts add up to."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        caller = visitor.caller
        reported = await quality.list_reported(connection, caller, recorder, limit=30, cursor=cursor or None)
        sample = await quality.draw(connection, caller, recorder, days=30, size=10, seed=seed or None)
        sums = await quality.add_up(connection, caller, recorder, days=90)
    counted = {(count.because, count.verdict): count.answers for count in sums.counts}
    return page(
        request, "quality.html", visitor, reported=reported, sample=sample, sums=sums, counted=counted,
        verdicts=list(AnswerVerdict), becauses=list(Because),
    )  # fmt: skip


@router.get("/review/open")
async def show_open(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    days: Annotated[int, Query(ge=1, le=3660)] = 30,
) -> Response:
    """Lists prompts without an answer."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await erasure.list_open_turns(connection, visitor.caller, recorder, days=days)
    return page(request, "open_turns.html", visitor, found=found, days=days)


async def _turn(
    request: Request, visitor: Visitor, tenancy: Tenancy, recorder: Recorder, payloads: PayloadVault, turn: UUID,
    reason: str | None, because: Because,
) -> Response:  # fmt: skip
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        shown = await turns.get_turn(connection, visitor.caller, recorder, payloads, turn, reason)
    texts = {name: text for event in shown.events for name, text in (event.payloads or {}).items()}
    by_action = {event.action: event for event in shown.events}
    return page(
        request, "turn.html", visitor, shown=shown, texts=texts, steps=by_action, passages=_passages(by_action, texts),
        may_reveal=may(visitor, Permission.AUDIT_REVEAL), revealed=reason is not None, because=because,
        verdicts=list(AnswerVerdict),
        ended=next((e for e in shown.events if e.action in {"answer:returned", "answer:refused", "answer:aborted"}), None),
    )  # fmt: skip


def _passages(steps: dict[str, EventView], texts: dict[str, str]) -> list[dict[str, Any]]:
    """Returns what was found, best first, each with its text when texts are revealed."""
    found = steps.get("retrieval:executed")
    known = {context["id"]: context["text"] for context in orjson.loads(texts.get("contexts", "[]"))}
    chunks = found.event.get("retrieval", {}).get("chunks", []) if found else []
    return [{**chunk, "score": chunk["score_micros"] / 1_000_000, "text": known.get(chunk["id"])} for chunk in chunks]


def _checked(reason: str) -> str:
    if len(reason.strip()) < _SHORTEST_REASON:
        raise InvalidInput("Say in a few words why you need the texts.")
    return reason.strip()

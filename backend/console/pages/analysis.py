"""What reviewers ask about many events at once: who read a document, what one person did, and how many there were."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response

from backend.audit.recorder import Recorder
from backend.console import plots
from backend.console.page import page
from backend.console.page import router as pages
from backend.console.pages.events import Cursor
from backend.console.viewer import viewer_of
from backend.console.visit import Signed, requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.analysis import service as analysis
from backend.review.events import service as events
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

Filter = Annotated[Text, Query(max_length=256)]


@router.get("/review/readers")
async def show_readers(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document: Annotated[Text, Query(max_length=256)] = "",
    cursor: Cursor = "",
) -> Response:
    """Lists who was shown a document, and in which event."""
    requires(visitor, Permission.AUDIT_READ)
    found = None
    if document.strip():
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            found = await events.list_readers(
                connection, visitor.caller, recorder, document.strip(), limit=50, cursor=cursor or None
            )
    return page(request, "readers.html", visitor, found=found, document=document)


@router.get("/review/timeline")
async def show_timeline(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    actor: Filter = "",
    end_user: Filter = "",
    conversation: Annotated[UUID | None, Query()] = None,
    cursor: Cursor = "",
) -> Response:
    """Shows what one person did, or what happened in one conversation, oldest first."""
    requires(visitor, Permission.AUDIT_READ)
    thread = analysis.Thread(actor.strip() or None, end_user.strip() or None, conversation)
    found = None
    if actor.strip() or end_user.strip() or conversation:
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            found = await analysis.timeline(
                connection, visitor.caller, recorder, thread, until=None, limit=100, cursor=cursor or None
            )
    chosen = {"actor": actor, "end_user": end_user, "conversation": conversation or ""}
    return page(request, "timeline.html", visitor, found=found, chosen=chosen)


@router.get("/review/counts")
async def show_counts(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    by: Annotated[analysis.Dimension, Query()] = analysis.Dimension.ACTION,
    interval: Annotated[analysis.Interval, Query()] = analysis.Interval.DAY,
    only: Annotated[Text, Query(max_length=200)] = "",
) -> Response:
    """Shows how many events there were over time, as a plot and as a table."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        counted = await analysis.statistics(connection, visitor.caller, recorder, by, interval, None, None)
    totals: Counter[str] = Counter()
    for bucket in counted.buckets:
        totals.update(bucket.counts)
    plot = plots.counts(counted, only or None, viewer_of(request), only or by)
    return page(
        request, "counts.html", visitor, counted=counted, totals=totals.most_common(), plot=plot, by=by,
        interval=interval, only=only, dimensions=list(analysis.Dimension), intervals=list(analysis.Interval),
    )  # fmt: skip

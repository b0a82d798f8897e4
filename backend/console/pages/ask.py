"""Asking, and seeing what an answer rests on."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Form, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from backend.answers.citations import Sentence
from backend.answers.models import AnswerRequest, AnswerResponse
from backend.answers.refusals import shown_text
from backend.answers.service import Answering
from backend.console.page import HEADERS, page, rendered
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires
from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import list_collections
from backend.errors import InvalidInput, ServiceError
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

Found = TypeVar("Found")

_MARKERS = re.compile(r"\s*(\[\d+\])+")


@dataclass(frozen=True, slots=True)
class QuestionForm:
    """The form as it was filled in."""

    question: str = ""
    collection: str = ""
    as_of: str = ""
    previous: str = ""

    def request(self) -> AnswerRequest:
        """Returns it as the service takes it; raises InvalidInput."""
        fields = {
            "question": self.question.strip(), "collection": self.collection or None,
            "as_of": f"{self.as_of}T00:00:00Z" if self.as_of else None, "previous_turn": self.previous or None,
        }  # fmt: skip
        try:
            return AnswerRequest.model_validate({name: value for name, value in fields.items() if value is not None})
        except ValidationError as error:
            problem = error.errors()[0]
            raise InvalidInput(f"{problem['loc'][0]}: {problem['msg']}") from error


@dataclass(frozen=True, slots=True)
class Part:
    """Words of an answer, and the numbers of what they rest on."""

    text: str
    numbers: tuple[int, ...] = ()


def parts_of(answer: AnswerResponse) -> list[Part]:
    """Returns the answer in the claims that its citations mark, without the numbers that stand behind them."""
    spans: dict[tuple[int, int], list[int]] = {}
    for citation in answer.citations:
        spans.setdefault((citation.start, citation.end), []).append(citation.number)
    parts, at = [], 0
    for (start, end), numbers in sorted(spans.items()):
        parts += [
            Part(_MARKERS.sub("", answer.answer[at:start])),
            Part(answer.answer[start:end], tuple(sorted(set(numbers)))),
        ]
        at = end
    rest = _MARKERS.sub("", answer.answer[at:])
    return [part for part in (*parts, Part(rest)) if part.text]


def shown(answer: AnswerResponse, visitor: Visitor) -> dict[str, Any]:
    """Returns what the template of an answer shows."""
    return {
        "answer": answer, "parts": parts_of(answer), "text": shown_text(answer),
        "sources": list({citation.number: citation for citation in answer.citations}.values()),
        "may_review": may(visitor, Permission.AUDIT_READ), "visitor": visitor, "copied": copied(answer),
    }  # fmt: skip


def copied(answer: AnswerResponse) -> str:
    """Returns an answer with its sources as text, as it is pasted into a letter."""
    sources = {
        c.number: f"[{c.number}] {c.doc_id}, version {c.document_version}: “{c.quote}” {c.link}"
        for c in answer.citations
    }
    return "\n".join([answer.answer, "", *sources.values(), "", f"Record {answer.audit_event_id}"])


async def collections_of(tenancy: Provided[Tenancy], visitor: Signed) -> list[CollectionView]:
    """Returns the collections that the visitor may read."""
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        return [view for view in (await list_collections(connection, visitor.caller)).collections if view.readable]


Collections = Annotated[list[CollectionView], Depends(collections_of)]


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, Found]) -> AsyncIterator[asyncio.Task[Found]]:
    """Does something in another task while the block asks a question; what the block does not await ends with it."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        if not task.cancel() and not task.cancelled():
            task.exception()  # seen, so that nobody warns of it


def filled_in(
    question: Annotated[Text, Form(max_length=4000)] = "",
    collection: Annotated[Text, Form(max_length=63)] = "",
    as_of: Annotated[Text, Form(max_length=10)] = "",
    previous: Annotated[Text, Form(max_length=36)] = "",
) -> QuestionForm:
    """Returns the form."""
    return QuestionForm(question, collection, as_of, previous)


Form_ = Annotated[QuestionForm, Depends(filled_in)]


@router.get("/ask")
async def form(
    request: Request,
    visitor: Signed,
    collections: Collections,
    question: Annotated[Text, Query(max_length=4000)] = "",
    previous: Annotated[Text, Query(max_length=36)] = "",
) -> Response:
    """Shows the form, for a new question or one that follows up on another."""
    requires(visitor, Permission.ANSWERS_CREATE)
    asked = QuestionForm(question, previous=previous)
    return page(request, "ask.html", visitor, collections=collections, asked=asked, said=None, answer=None)


@router.post("/ask")
async def ask(
    request: Request, visitor: Sender, tenancy: Provided[Tenancy], answering: Provided[Answering], asked: Form_
) -> Response:
    """Shows the answer below the form as it was filled in."""
    requires(visitor, Permission.ANSWERS_CREATE)
    async with meanwhile(collections_of(tenancy, visitor)) as listing:
        try:
            answer = await answering.answer(visitor.caller, asked.request(), lambda: _departure(request))
            around = {"said": None, **shown(answer, visitor)}
        except InvalidInput as error:
            around = {"said": error.detail, "answer": None, "visitor": visitor}
        status = 422 if around["said"] else 200
        return page(request, "ask.html", status=status, collections=await listing, asked=asked, **around)


@router.post("/ask/stream")
async def ask_streamed(request: Request, visitor: Sender, answering: Provided[Answering], asked: Form_) -> Response:
    """Sends the answer as lines of JSON: `sentence` by sentence as each is on record, then the `html` of the whole.

    `place` is where the answer can be read again: the browser comes back to it.
    """
    requires(visitor, Permission.ANSWERS_CREATE)
    delivery = answering.stream(visitor.caller, asked.request())
    await delivery.begun(1.0)

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for item in delivery.items():
                if isinstance(item, Sentence):
                    yield _line({"sentence": item.text})
                else:
                    html = rendered(request, "answer.html", **shown(item, visitor))
                    yield _line({"html": html, "place": f"/console/conversations/{item.conversation}"})
        except ServiceError as error:
            yield _line({"html": rendered(request, "stopped.html", said=error.detail)})
        finally:
            delivery.cancel()

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=HEADERS)


def _line(item: dict[str, str]) -> bytes:
    return orjson.dumps(item) + b"\n"


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

"""Asking, and seeing what an answer rests on."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Form, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from backend.answers.citations import Sentence
from backend.answers.models import AnswerRequest, AnswerResponse
from backend.answers.refusals import shown_text
from backend.answers.service import Answering
from backend.console.page import HEADERS, Sender, Signed, page, rendered, requires
from backend.console.page import router as pages
from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import list_collections
from backend.errors import InvalidInput, ServiceError
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import Provided
from backend.tenancy import Tenancy

router = pages()

_MARKERS = re.compile(r"\s*(\[\d+\])+")


@dataclass(frozen=True, slots=True)
class Asked:
    """The form as it was filled in."""

    question: str = ""
    collection: str = ""
    as_of: str = ""

    def request(self) -> AnswerRequest:
        """Returns it as the service takes it; raises InvalidInput."""
        fields = {
            "question": self.question.strip(), "collection": self.collection or None,
            "as_of": f"{self.as_of}T00:00:00Z" if self.as_of else None,
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
        "may_review": Permission.AUDIT_READ in visitor.caller.permissions,
    }  # fmt: skip


async def collections_of(tenancy: Provided[Tenancy], visitor: Signed) -> list[CollectionView]:
    """Returns the collections that the visitor may read."""
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        return [view for view in (await list_collections(connection, visitor.caller)).collections if view.readable]


Collections = Annotated[list[CollectionView], Depends(collections_of)]


def filled_in(
    question: Annotated[str, Form(max_length=4000)] = "",
    collection: Annotated[str, Form(max_length=63)] = "",
    as_of: Annotated[str, Form(max_length=10)] = "",
) -> Asked:
    """Returns the form."""
    return Asked(question, collection, as_of)


Form_ = Annotated[Asked, Depends(filled_in)]


@router.get("/ask")
async def form(request: Request, visitor: Signed, collections: Collections) -> Response:
    """Shows the form."""
    requires(visitor, Permission.ANSWERS_CREATE)
    return page(request, "ask.html", visitor, collections=collections, asked=Asked(), said=None, answer=None)


@router.post("/ask")
async def ask(
    request: Request, visitor: Sender, collections: Collections, answering: Provided[Answering], asked: Form_
) -> Response:
    """Shows the answer below the form as it was filled in."""
    requires(visitor, Permission.ANSWERS_CREATE)
    try:
        answer = await answering.answer(visitor.caller, asked.request(), lambda: _departure(request))
    except InvalidInput as error:
        said = error.detail
        return page(
            request, "ask.html", visitor, status=422, collections=collections, asked=asked, said=said, answer=None
        )
    return page(request, "ask.html", visitor, collections=collections, asked=asked, said=None, **shown(answer, visitor))


@router.post("/ask/stream")
async def ask_streamed(visitor: Sender, answering: Provided[Answering], asked: Form_) -> Response:
    """Sends the answer as lines of JSON: `sentence` by sentence as each is on record, then the `html` of the whole."""
    requires(visitor, Permission.ANSWERS_CREATE)
    delivery = answering.stream(visitor.caller, asked.request())
    await delivery.begun(1.0)

    async def lines() -> AsyncIterator[bytes]:
        try:
            async for item in delivery.items():
                if isinstance(item, Sentence):
                    yield _line({"sentence": item.text})
                else:
                    yield _line({"html": rendered("answer.html", **shown(item, visitor))})
        except ServiceError as error:
            yield _line({"html": rendered("stopped.html", said=error.detail)})
        finally:
            delivery.cancel()

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=HEADERS)


def _line(item: dict[str, str]) -> bytes:
    return orjson.dumps(item) + b"\n"


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

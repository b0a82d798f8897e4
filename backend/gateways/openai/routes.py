"""What chat interfaces, agents and libraries use of OpenAI's API: models, chat completions, responses, embeddings."""

import base64
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response
from uuid_utils.compat import uuid7

from backend.answers.models import AnswerResponse
from backend.answers.service import Answering
from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.documents.collections.service import list_collections
from backend.errors import Forbidden, Unavailable
from backend.gateways.openai import asking, tasks
from backend.gateways.openai.chat import Chat
from backend.gateways.openai.errors import RESPONSES, ModelNotFound, UnsupportedParameter
from backend.gateways.openai.filters import own_filters
from backend.gateways.openai.ids import parsed, spelled
from backend.gateways.openai.models import ChatRequest, EmbeddingRequest, ResponseRequest
from backend.gateways.openai.responses import OpenResponse
from backend.gateways.openai.route import OpenAIRoute, Searcher
from backend.gateways.openai.streams import STATUS_SECONDS, chat_events, event_source, response_events
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable
from backend.schema import Text
from backend.settings import Settings
from backend.tenancy import Tenancy

Asker = Annotated[Caller, Requires(Permission.ANSWERS_CREATE)]
NamedConversation = Annotated[
    Text | None,
    Header(
        alias="X-Conversation",
        max_length=200,
        description="Names the conversation; a UUID, or any text of the client's.",
    ),
]


router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)


@router.get("/models", summary="List models")
async def list_models(tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> dict[str, Any]:
    """Returns `affidavit`, one model for each collection that the caller may read, and `affidavit-tasks` for chat interfaces."""
    names = await _model_names(tenancy, caller)
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{model:path}", summary="Get a model")
async def get_model(model: str, tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> dict[str, Any]:
    """Returns one model that the caller may use."""
    if model not in await _model_names(tenancy, caller):
        raise ModelNotFound(model)
    return _model(model)


@router.post(
    "/chat/completions",
    summary="Answer the last message of a chat",
    response_model=None,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def complete_chat(
    body: ChatRequest,
    caller: Asker,
    answering: Provided[Answering],
    settings: Provided[Settings],
    request: Request,
    conversation: NamedConversation = None,
) -> Response:
    """Answers from approved documents alone. A refusal is an ordinary message, and `metadata.refused` says that it is one.

    System and developer messages are ignored, and named in `x-affidavit-ignored`. Sampling parameters are ignored.
    """
    _refuse_unsupported_of_chat(body)
    if body.model == asking.TASKS:
        return tasks.reply(body)
    asked = asking.question_of(body.messages, "messages")
    caller = asking.for_end_user(caller, body)
    wanted = asking.answer_request(
        question=asked.question, collection=asking.collection_of(body.model),
        conversation=asking.conversation_of(caller, conversation),
    )  # fmt: skip
    turn = uuid7()
    chat = Chat(spelled("chatcmpl-", turn), body.model, int(time.time()), settings.sources_in_text)
    if not body.stream:
        response = await answering.answer(caller, wanted, lambda: _departure(request), turn)
        return JSONResponse(chat.completion(response), headers={**asked.headers, **_headers(response)})
    items = answering.stream(caller, wanted, turn)
    await items.begun(STATUS_SECONDS)
    events = chat_events(items, chat, request.state.request_id, with_usage=body.stream_options.include_usage)
    return event_source(items, events, asked.headers)


@router.post(
    "/responses",
    summary="Answer the last message of a conversation",
    response_model=None,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def create_response(
    body: ResponseRequest,
    caller: Asker,
    answering: Provided[Answering],
    tenancy: Provided[Tenancy],
    request: Request,
    conversation: NamedConversation = None,
) -> Response:
    """Answers from approved documents alone; the tool `file_search` says in which collections, and by which filters."""
    _refuse_unsupported_of_response(body)
    asked = asking.Asked(body.input, ()) if isinstance(body.input, str) else asking.question_of(body.input, "input")
    caller = asking.for_end_user(caller, body)
    tool = body.tools[0] if body.tools else None
    wanted = asking.answer_request(
        question=asked.question,
        collection=await _collections(tenancy, caller, body.model, tool.vector_store_ids if tool else []),
        filters=own_filters(tool.filters) if tool else None,
        conversation=asking.conversation_of(caller, conversation),
        previous_turn=parsed("resp_", body.previous_response_id) if body.previous_response_id else None,
    )
    response = OpenResponse(
        uuid7(), body.model, int(time.time()), asked.question, tool is not None,
        [t.model_dump(exclude_unset=True) for t in body.tools], "file_search_call.results" in body.include,
        body.previous_response_id,
    )  # fmt: skip
    if not body.stream:
        answer = await answering.answer(caller, wanted, lambda: _departure(request), response.turn)
        return JSONResponse(response.whole(answer), headers={**asked.headers, **_headers(answer)})
    items = answering.stream(caller, wanted, response.turn)
    await items.begun(STATUS_SECONDS)
    return event_source(items, response_events(items, response, request.state.request_id), asked.headers)


@router.delete("/responses/{response_id}", summary="Refuse to delete a response")
async def delete_response(response_id: str, _: Asker) -> None:
    """Refuses: an answer is evidence. What a person's texts need is an erasure, which two people order."""
    parsed("resp_", response_id)
    raise Forbidden("Answers are evidence and are not deleted; ask for an erasure.", reason="openai:evidence")


@router.post("/embeddings", summary="Embed texts")
async def create_embeddings(
    body: EmbeddingRequest,
    caller: Searcher,
    embedder: Provided[Embedder],
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
) -> dict[str, Any]:
    """Returns a vector for each text, of the embedder that retrieval uses. How many texts were embedded is on record."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    if body.dimensions is not None and body.dimensions != embedder.dimensions:
        raise UnsupportedParameter("dimensions", f"dimensions: the embedder's vectors have {embedder.dimensions}")
    async with tenancy.transaction(caller.claims()) as connection:
        details = {"embeddings": {"texts": len(texts), "characters": sum(map(len, texts)), "model": embedder.model}}
        await recorder.record(connection, caller, Event(Action.TEXTS_EMBEDDED, details=details))
    try:
        vectors = await embedder.embed_passages(texts)
    except EmbedderUnavailable as error:
        raise Unavailable("The embedder is unavailable.", reason="embedder") from error
    tokens = sum(max(1, len(text) // 4) for text in texts)  # estimated: not every embedder counts
    return {
        "object": "list", "model": embedder.model,
        "data": [
            {"object": "embedding", "index": n, "embedding": _vector(vector, body.encoding_format)}
            for n, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }  # fmt: skip


async def _departure(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _headers(response: AnswerResponse) -> dict[str, str]:
    told = {"x-audit-event-id": str(response.audit_event_id)}
    return {**told, "x-affidavit-refused": response.reason or "refused"} if response.refused else told


def _refuse_unsupported_of_chat(body: ChatRequest) -> None:
    if body.n != 1:
        raise UnsupportedParameter("n", "n: only 1 is offered")
    if body.logprobs:
        raise UnsupportedParameter("logprobs", "logprobs: are not offered")
    if body.response_format.get("type", "text") != "text":
        raise UnsupportedParameter("response_format", "response_format: only `text` is offered")
    if body.tool_choice not in ("auto", "none"):
        raise UnsupportedParameter("tool_choice", "tool_choice: no tools are called; use `auto` or `none`")


def _refuse_unsupported_of_response(body: ResponseRequest) -> None:
    if body.background:
        raise UnsupportedParameter("background", "background: is not offered")
    if body.conversation is not None:
        raise UnsupportedParameter("conversation", "conversation: is not offered; use previous_response_id")
    if _format_of(body.text) != "text":
        raise UnsupportedParameter("text", "text: only the format `text` is offered")
    if len(body.tools) > 1 or any(tool.type != "file_search" for tool in body.tools):
        raise UnsupportedParameter("tools", "tools: at most one `file_search` is offered")
    unknown = set(body.include) - {"file_search_call.results"}
    if unknown:
        raise UnsupportedParameter("include", "include: only file_search_call.results is offered")


def _format_of(text: Mapping[str, Any]) -> object:
    wanted = text.get("format")
    return wanted.get("type", "text") if isinstance(wanted, dict) else "text"


async def _collections(tenancy: Tenancy, caller: Caller, model: str, stores: list[str]) -> list[str] | str | None:
    """Returns the slugs that a model and vector stores confine a search to; raises UnsupportedParameter for another's store."""
    if not stores:
        return asking.collection_of(model)
    wanted = [parsed("vs_", store) for store in stores]
    async with tenancy.transaction(caller.claims()) as connection:
        known = {
            view.id: view.slug for view in (await list_collections(connection, caller)).collections if view.readable
        }
    if missing := [store for store, identifier in zip(stores, wanted, strict=True) if identifier not in known]:
        raise UnsupportedParameter("tools", f"tools: there is no vector store {missing[0]!r} that you may read")
    return [known[identifier] for identifier in wanted]


async def _model_names(tenancy: Tenancy, caller: Caller) -> list[str]:
    async with tenancy.transaction(caller.claims()) as connection:
        views = (await list_collections(connection, caller)).collections
    return [asking.MODEL, *(f"{asking.MODEL}/{view.slug}" for view in views if view.readable), asking.TASKS]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "affidavit"}


def _vector(vector: Iterable[float], encoding: str) -> list[float] | str:
    numbers = np.asarray(list(vector), dtype="<f4")
    return (
        base64.b64encode(numbers.tobytes()).decode() if encoding == "base64" else [float(number) for number in numbers]
    )

"""What chat interfaces, agents and libraries use of OpenAI's API: models, chat completions, responses, embeddings."""

import base64
import time
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
from fastapi import Header, Request
from fastapi.responses import JSONResponse, Response
from uuid_utils.compat import uuid7

from backend.answers.conversations import Conversations
from backend.answers.models import AnswerResponse, OwnTurn
from backend.answers.service import Answering
from backend.audit.actions.retrieval import TextsEmbedded
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.documents.collections.service import list_collections
from backend.errors import Forbidden, Gone, Unavailable
from backend.gateways.front_door import DoorRouter
from backend.gateways.openai import asking, examples, offered, tasks
from backend.gateways.openai.chat import Chat
from backend.gateways.openai.errors import REFUSING, RESPONSES, ModelNotFound, UnsupportedParameter
from backend.gateways.openai.examples import shows
from backend.gateways.openai.filters import as_read, own_filters
from backend.gateways.openai.ids import parsed, spelled
from backend.gateways.openai.models import ChatRequest, EmbeddingRequest, FileSearchTool, ResponseRequest
from backend.gateways.openai.pages import page
from backend.gateways.openai.responses import OpenResponse
from backend.gateways.openai.route import OpenAIRoute, Searcher
from backend.gateways.openai.stored import seconds
from backend.gateways.openai.streams import STATUS_SECONDS, chat_events, event_source, response_events
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.identity.usage.accounting import Accounting, Reservation, Tokens, estimated_tokens
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
ForwardedUser = Annotated[
    Text | None,
    Header(
        alias=asking.FORWARDED_USER,
        max_length=200,
        description="The end user, as Open WebUI forwards it; for an API key whose end users need no signature.",
    ),
]

router = DoorRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)


@router.get("/models", summary="List models", responses=shows(examples.MODELS))
async def list_models(tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> dict[str, Any]:
    """Returns `affidavit`, one model for each collection that the caller may read, and `affidavit-tasks` for chat interfaces."""
    names = await _model_names(tenancy, caller)
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{model:path}", summary="Get a model", responses=shows(examples.MODEL))
async def get_model(model: str, tenancy: Provided[Tenancy], caller: Annotated[Caller, Requires()]) -> dict[str, Any]:
    """Returns one model that the caller may use."""
    if model not in await _model_names(tenancy, caller):
        raise ModelNotFound(model)
    return _model(model)


@router.post(
    "/chat/completions",
    summary="Answer the last message of a chat",
    response_model=None,
    responses=shows(examples.CHAT, streams=True),
)
async def complete_chat(
    body: ChatRequest,
    caller: Asker,
    answering: Provided[Answering],
    settings: Provided[Settings],
    request: Request,
    conversation: NamedConversation = None,
    forwarded: ForwardedUser = None,
) -> Response:
    """Answers from approved documents alone. A refusal is an ordinary message, and `metadata.refused` says that it is one.

    Earlier messages tell what a follow-up means; they are no source. System and developer messages are recorded and not obeyed,
    and named in `x-affidavit-ignored`. Sampling parameters are ignored.
    """
    offered.refuse_of_chat(body)
    if body.model == asking.TASKS:
        return tasks.reply(body)
    asked = asking.question_of(body.messages, "messages")
    caller = asking.for_end_user(caller, body, forwarded)
    wanted = asking.answer_request(
        {"question": "messages"}, question=asked.question, collection=asking.collection_of(body.model),
        conversation=asking.conversation_of(caller, conversation),
    )  # fmt: skip
    turn = uuid7()
    chat = Chat(spelled("chatcmpl-", turn), body.model, int(time.time()), settings.sources_in_text)
    if not body.stream:
        response = await answering.answer(caller, wanted, lambda: _departure(request), turn, asked.said)
        return JSONResponse(chat.completion(response), headers={**asked.headers, **_headers(response)})
    items = answering.stream(caller, wanted, turn, asked.said)
    await items.begun(STATUS_SECONDS)
    events = chat_events(items, chat, request.state.request_id, with_usage=body.stream_options.include_usage)
    return event_source(items, events, asked.headers)


@router.post(
    "/responses",
    summary="Answer the last message of a conversation",
    response_model=None,
    responses=shows(examples.RESPONSE, streams=True),
)
async def create_response(
    body: ResponseRequest,
    caller: Asker,
    answering: Provided[Answering],
    request: Request,
    conversation: NamedConversation = None,
    forwarded: ForwardedUser = None,
) -> Response:
    """Answers from approved documents alone; the tool `file_search` says in which collections, and by which filters."""
    offered.refuse_of_response(body)
    asked = (
        asking.ConversationQuestion(body.input)
        if isinstance(body.input, str)
        else asking.question_of(body.input, "input")
    )
    asked = asking.with_instructions(asked, body.instructions)
    caller = asking.for_end_user(caller, body, forwarded)
    tool = body.tools[0] if body.tools else None
    within = asking.stores_of(caller, tool.vector_store_ids) if tool else None
    wanted = asking.answer_request(
        {"question": "input", "filters": "tools", "passages": "tools"},
        question=asked.question,
        collection=asking.collection_of(body.model),
        filters=own_filters(tool.filters) if tool else None,
        passages=tool.max_num_results if tool else None,
        conversation=asking.conversation_of(caller, conversation),
        previous_turn=asking.turn_of(body.previous_response_id),
    )
    response = OpenResponse(
        uuid7(), body.model, int(time.time()), asked.question, tool is not None,
        [_told(tool)] if tool else [], "file_search_call.results" in body.include,
        body.previous_response_id,
    )  # fmt: skip
    if not body.stream:
        answer = await answering.answer(
            caller, wanted, lambda: _departure(request), response.turn, asked.said, found=response.finds, within=within
        )
        return JSONResponse(response.whole(answer), headers={**asked.headers, **_headers(answer)})
    items = answering.stream(caller, wanted, response.turn, asked.said, response.finds, within)
    await items.begun(STATUS_SECONDS)
    return event_source(items, response_events(items, response, request.state.request_id), asked.headers)


@router.get("/responses/{response_id}", summary="Get a response of your own", responses=shows(examples.RESPONSE))
async def get_response(response_id: str, conversations: Provided[Conversations], caller: Asker) -> dict[str, Any]:
    """Returns an answer that the caller got, as it is on record; citations are addresses. 404 for another's."""
    turn, answer = await _recorded(conversations, caller, response_id)
    return OpenResponse(turn.turn, asking.MODEL, seconds(turn.answered_at), answer.question, searches=False).whole(
        answer
    )


@router.get(
    "/responses/{response_id}/input_items",
    summary="Get what a response of your own answered",
    responses=shows(examples.INPUT_ITEMS),
)
async def list_input_items(response_id: str, conversations: Provided[Conversations], caller: Asker) -> dict[str, Any]:
    """Returns the question that was answered, the only item that is kept."""
    turn, answer = await _recorded(conversations, caller, response_id)
    item = {
        "id": spelled("msg_q", turn.turn), "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": answer.question}],
    }  # fmt: skip
    return page([item], has_more=False)


@router.delete("/responses/{response_id}", summary="Refuse to delete a response", **REFUSING)
async def delete_response(response_id: str, _: Asker) -> None:
    """Refuses: an answer is evidence. What a person's texts need is an erasure, which two people order."""
    parsed("resp_", response_id)
    raise Forbidden("Answers are evidence and are not deleted; ask for an erasure.", reason="openai:evidence")


@router.post("/embeddings", summary="Embed texts", responses=shows(examples.EMBEDDINGS))
async def create_embeddings(
    body: EmbeddingRequest,
    caller: Searcher,
    embedder: Provided[Embedder],
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    accounting: Provided[Accounting],
    forwarded: ForwardedUser = None,
) -> dict[str, Any]:
    """Returns a vector for each text, of the embedder that retrieval uses. How many texts were embedded is on record."""
    caller = asking.for_end_user(caller, body, forwarded)
    texts = [body.input] if isinstance(body.input, str) else body.input
    if body.dimensions is not None and body.dimensions != embedder.dimensions:
        raise UnsupportedParameter("dimensions", f"dimensions: the embedder's vectors have {embedder.dimensions}")
    tokens = Tokens(estimated_tokens(*texts), 0, estimated=True)  # not every embedder counts
    reserved = Reservation(uuid7(), embedder.model, "", tokens)
    async with tenancy.transaction(caller.claims()) as connection:
        embedded = TextsEmbedded(texts=len(texts), characters=sum(map(len, texts)), model=embedder.model)
        await recorder.record(connection, caller, Event(embedded))
        await accounting.reserve(connection, caller, reserved)
    try:
        vectors = await embedder.embed_passages(texts)
    except EmbedderUnavailable as error:
        async with tenancy.transaction(caller.claims()) as connection:
            await accounting.release(connection, reserved)
        raise Unavailable("The embedder is unavailable.", reason="embedder") from error
    async with tenancy.transaction(caller.claims()) as connection:
        await accounting.settle(connection, reserved)
    return {
        "object": "list", "model": embedder.model,
        "data": [
            {"object": "embedding", "index": n, "embedding": _vector(vector, body.encoding_format)}
            for n, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens.prompt, "total_tokens": tokens.prompt},
    }  # fmt: skip


async def _recorded(conversations: Conversations, caller: Caller, response_id: str) -> tuple[OwnTurn, AnswerResponse]:
    """Returns a turn of the caller's and its answer; raises NotFound, and Gone when its texts were erased."""
    turn = await conversations.read_turn(caller, parsed("resp_", response_id))
    if turn.question is None or turn.answer is None:
        raise Gone("The texts of this response were erased.", reason="openai:erased")
    return turn, AnswerResponse(
        question=turn.question, answer=turn.answer, refused=turn.refused, citations=turn.citations, model=asking.MODEL,
        turn=turn.turn, conversation=turn.turn, audit_event_id=turn.audit_event_id,
    )  # fmt: skip


async def _departure(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _told(tool: FileSearchTool) -> dict[str, Any]:
    """Returns a tool as the client named it, as far as it was read."""
    named = tool.model_dump(exclude_unset=True)
    return {**named, "filters": as_read(tool.filters)} if tool.filters else named


def _headers(response: AnswerResponse) -> dict[str, str]:
    told = {"x-audit-event-id": str(response.audit_event_id)}
    return {**told, "x-affidavit-refused": response.reason or "refused"} if response.refused else told


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

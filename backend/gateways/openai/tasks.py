"""`affidavit-tasks` answers a chat interface's requests for titles and tags, so that these are not recorded as questions.

They get fixed replies here, without retrieval and without a record, and are only counted; nothing of a tenant is read. For Open
WebUI, set `TASK_MODEL_EXTERNAL=affidavit-tasks`.
"""

import time
from typing import Any

import orjson
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend import metrics
from backend.gateways.openai.models import ChatRequest, MessagePart

_LONGEST_TITLE = 60
_NONE: dict[str, list[str]] = {"tags": [], "follow_ups": [], "queries": []}


def reply(body: ChatRequest) -> Response:
    """Answers a background task: a title out of the first words that were asked, and otherwise nothing."""
    metrics.TASKS.inc()
    text = _text(body)
    id_, created = "chatcmpl-tasks", int(time.time())
    if body.stream:
        return EventSourceResponse(_chunks(text, id_, created), sep="\n")
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return JSONResponse({
        "id": id_, "object": "chat.completion", "created": created, "model": body.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    })  # fmt: skip


def _text(body: ChatRequest) -> str:
    wanted = " ".join(_plain(message.content) for message in body.messages)
    for kind, empty in _NONE.items():
        if f'"{kind}"' in wanted:
            return orjson.dumps({kind: empty}).decode()
    asked = wanted.rpartition("USER:")[2].strip().splitlines()
    title = (asked[0] if asked else "").strip()[:_LONGEST_TITLE] or "Question"
    return orjson.dumps({"title": title}).decode() if '"title"' in wanted else title


def _plain(content: str | list[MessagePart]) -> str:
    return content if isinstance(content, str) else " ".join(part.text or "" for part in content)


async def _chunks(text: str, id_: str, created: int) -> Any:  # noqa: ANN401 - an iterator of events
    head = {"id": id_, "object": "chat.completion.chunk", "created": created, "model": "affidavit-tasks"}
    for delta, reason in (({"role": "assistant", "content": text}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield ServerSentEvent(orjson.dumps({**head, "choices": [choice]}).decode())
    yield ServerSentEvent("[DONE]")

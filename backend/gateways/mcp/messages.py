"""What a body must be before the library reads it: a message of JSON-RPC, or else refused in one sentence.

The library takes a request whose id is of a wrong type for a notification, which nobody answers.
"""

from http import HTTPStatus
from typing import Any

import orjson
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json
from starlette.responses import Response


def read(body: bytes) -> dict[str, Any] | Response:
    """Returns a message that the library can read, and what to answer to a body that is none."""
    try:
        message = from_json(body)
    except ValueError as error:
        return _refused(PARSE_ERROR, f"The body is no JSON: {error}.")
    if (wrong := _wrong(message)) is not None:
        return _refused(INVALID_REQUEST, wrong)
    read: dict[str, Any] = message
    return read


def _wrong(message: object) -> str | None:
    """Returns what is wrong with the frame of a message, naming the member and never repeating it."""
    if isinstance(message, list):
        return "Send one message in a request: batches are not taken."
    if not isinstance(message, dict):
        return "A message is an object."
    is_answer = "method" not in message and bool(message.keys() & {"result", "error"})
    rules = {
        "jsonrpc: must be '2.0'": message.get("jsonrpc") == "2.0",
        "method: must be a string": is_answer or isinstance(message.get("method"), str),
        "id: must be a string or a whole number": is_answer or "id" not in message or _is_id(message["id"]),
        "params: must be an object": isinstance(message.get("params", {}), dict),
    }
    return next((rule for rule, holds in rules.items() if not holds), None)


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _refused(code: int, sentence: str) -> Response:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": sentence}}
    return Response(orjson.dumps(body), HTTPStatus.BAD_REQUEST, media_type="application/json")

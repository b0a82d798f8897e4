"""What is offered of OpenAI's API. A parameter that is not, and that would change the answer, is refused by its name."""

from collections.abc import Mapping
from typing import Any

from backend.gateways.openai.errors import UnsupportedParameter
from backend.gateways.openai.models import ChatRequest, ChunkingStrategy, ResponseRequest

# Every answer comes of a search, so that asking for one changes nothing.
_OWN_CHOICES: tuple[object, ...] = ("auto", "required", {"type": "file_search"})


def refuse_of_chat(body: ChatRequest) -> None:
    """Raises UnsupportedParameter for what a chat asks and would not get."""
    if body.n != 1:
        raise UnsupportedParameter("n", "n: only 1 is offered")
    if body.logprobs:
        raise UnsupportedParameter("logprobs", "logprobs: are not offered")
    _refuse_probabilities(body.top_logprobs)
    if (body.response_format.get("type") or "text") != "text":
        raise UnsupportedParameter("response_format", "response_format: only `text` is offered")
    if body.modalities != ["text"]:
        raise UnsupportedParameter("modalities", "modalities: only `text` is offered")
    if body.tool_choice not in ("auto", "none"):
        raise UnsupportedParameter("tool_choice", "tool_choice: no tools are called; use `auto` or `none`")
    if body.function_call not in ("auto", "none"):
        raise UnsupportedParameter("function_call", "function_call: no functions are called; use `auto` or `none`")
    if body.web_search_options is not None:
        raise UnsupportedParameter("web_search_options", "web_search_options: only approved documents are searched")


def refuse_of_response(body: ResponseRequest) -> None:
    """Raises UnsupportedParameter for what a response asks and would not get."""
    if body.background:
        raise UnsupportedParameter("background", "background: is not offered")
    _refuse_probabilities(body.top_logprobs)
    if body.conversation is not None:
        raise UnsupportedParameter("conversation", "conversation: is not offered; use previous_response_id")
    if _format_of(body.text) != "text":
        raise UnsupportedParameter("text", "text: only the format `text` is offered")
    if len(body.tools) > 1 or any(tool.type != "file_search" for tool in body.tools):
        raise UnsupportedParameter("tools", "tools: at most one `file_search` is offered")
    if any(tool.ranking_options.score_threshold for tool in body.tools):
        raise UnsupportedParameter(
            "tools", "tools: `ranking_options.score_threshold` is not offered; use max_num_results"
        )
    if body.tool_choice not in _OWN_CHOICES:
        raise UnsupportedParameter("tool_choice", "tool_choice: documents are always searched; use `auto`")
    if body.prompt is not None:
        raise UnsupportedParameter("prompt", "prompt: no templates are kept here")
    unknown = set(body.include) - {"file_search_call.results"}
    if unknown:
        raise UnsupportedParameter("include", "include: only file_search_call.results is offered")


def refuse_chunking(*strategies: ChunkingStrategy) -> None:
    """Raises UnsupportedParameter for a way to cut documents that is not this service's."""
    if any(strategy.type != "auto" for strategy in strategies):
        raise UnsupportedParameter("chunking_strategy", "chunking_strategy: only `auto` is offered")


def _refuse_probabilities(wanted: int) -> None:
    if wanted:
        raise UnsupportedParameter("top_logprobs", "top_logprobs: are not offered")


def _format_of(text: Mapping[str, Any]) -> object:
    wanted = text.get("format")
    return (wanted.get("type") or "text") if isinstance(wanted, dict) else "text"

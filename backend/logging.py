"""Structured logs with request id and tenant; never a token, password, question or document text."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import orjson
import structlog

from backend import tracing

LogFormat: TypeAlias = Literal["auto", "text", "json"]


def _dump(event: structlog.typing.EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


_transform_exception = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


class _FramesOnly:
    """Types and places of an exception and its causes; messages and locals can hold what was asked."""

    def __call__(self, exc_info: structlog.typing.ExcInfo) -> list[dict[str, object]]:
        return [
            {
                "type": stack["exc_type"],
                "frames": [f"{f['filename']}:{f['lineno']}:{f['name']}" for f in stack["frames"]],
            }
            for stack in _transform_exception(exc_info)
        ]


def _traced(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names the trace that the line belongs to."""
    event.update(tracing.ids())
    return event


def _exception_below(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Puts an exception's frames on lines of their own, as people read them; the innermost last."""
    stacks = event.pop("exception", None)
    if isinstance(stacks, list):
        lines = [line for stack in reversed(stacks) for line in (f"  {stack['type']}", *_indented(stack["frames"]))]
        event["event"] = "\n".join([str(event["event"]), *lines])
    return event


def _indented(frames: list[str]) -> list[str]:
    return [f"    {frame}" for frame in frames]


def _rendering(form: LogFormat) -> list[structlog.typing.Processor]:
    if form == "json" or (form == "auto" and not sys.stderr.isatty()):
        return [structlog.processors.JSONRenderer(serializer=_dump)]
    colours = sys.stderr.isatty()
    return [_exception_below, structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=24, sort_keys=False)]


def configure(level: str = "INFO", form: LogFormat = "auto") -> None:
    """Sends the logs of the service and its libraries to standard error: text at a terminal, else one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _traced,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_FramesOnly()),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries at DEBUG write out what they send and receive.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    logging.getLogger("backend").setLevel(level)
    # uvicorn's access log holds query strings, and httpx logs addresses; the service logs its own line a request.
    for name in ("uvicorn.access", "httpx", "httpcore", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):  # whoever started a server before can have silenced them
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out the service's lines of its ordinary work while the block runs."""
    own = logging.getLogger("backend")
    level = own.level
    own.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        own.setLevel(level)
